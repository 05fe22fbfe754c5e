"""`export`: checkpoint -> ONNX file with the contract in its metadata, checked against PyTorch on three sizes."""
import copy
import hashlib
import inspect

import torch
from torch import nn
from torch.nn import functional as F

from .checkpoints import checkpoint_of
from .generator import Generator, ResizeConv, StyledPointwise, check_margin, without
from .imported import generator_of, weights_of
from .shuffle import by_transposes

SIZES = ((64, 64), (180, 320), (360, 640))
TOLERANCE = 2e-3
TAILS = ("resize", "sub-pixel")
LICENSE = "CC0-1.0"


def add_arguments(parser):
    parser.add_argument("checkpoint", help="checkpoint.pt written by train, or an exported .onnx to write anew")
    parser.add_argument("onnx", help="file to write")
    parser.add_argument("--painting", nargs="+", default=[], help="title, artist and year of each style's painting, in the order of the styles (default: as in the .onnx)")
    parser.add_argument("--margin", type=int, help="pixels around the frame that are computed and cut off; a multiple of 4 (default: that of the checkpoint or .onnx)")
    parser.add_argument("--tail", choices=TAILS, default=TAILS[0], help="what doubles the size first: resize is faster on ONNX Runtime's CPU provider, sub-pixel on OpenVINO")
    parser.add_argument("--average", nargs=2, metavar=("OTHER", "SHARE"), help="a checkpoint or .onnx that was trained on from this one (or this one from it), and its share in the weights: between the two (Wortsman et al. 2022)")
    parser.add_argument("--license", help=f"licence of the weights (default: {LICENSE}, or as in the .onnx)")


def run(args):
    generator, known = _source(args.checkpoint)
    generator.margin = generator.margin if args.margin is None else args.margin
    check_margin(generator.margin)
    styles = known["styletransfer.styles"].split(",")
    if args.painting and len(args.painting) != len(styles) or not args.painting and "styletransfer.paintings" not in known:
        raise SystemExit(f"--painting: {args.checkpoint} has {len(styles)} style(s) ({', '.join(styles)}), but {len(args.painting)} painting(s) are named")
    if args.average:
        _average(generator, *args.average)
        known.pop("styletransfer.base", None)
    save(generator, args.onnx, {"styletransfer.license": LICENSE, **known, **_metadata(args)}, args.tail)


def save(generator, path, metadata, tail):
    """Writes a generator with its margin and the tail asked for, and checks the file."""
    resized = tail == "resize"
    change = {"change": by_transposes} if resized else {}
    write(Folded(generator, resized).eval(), path, {**metadata, "styletransfer.margin": str(generator.margin), "styletransfer.skip": str(generator.skip).lower()}, **change)
    _check(generator, path)


def _source(path):
    """The generator of a checkpoint or an exported file, and what its metadata say of it already."""
    if str(path).endswith(".onnx"):
        generator, metadata = generator_of(path)
        return generator.eval(), metadata
    state = checkpoint_of(path, "cpu")
    generator = Generator(**state["config"]).eval()
    generator.load_state_dict(state["generator"])
    return generator, {"styletransfer.styles": ",".join(state["styles"]), "styletransfer.steps": str(state["step"])}


def _average(generator, path, share):
    """Moves the weights towards those of another generator of the same shape."""
    try:
        share = float(share)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SystemExit("--average: expected a share from 0 to 1 after the file")
    state, (other, _) = generator.state_dict(), weights_of(path)
    different = [name for name, value in state.items() if name not in other or other[name].shape != value.shape]
    if different:
        raise SystemExit(f"--average: {path} has no '{different[0]}' of the shape {list(state[different[0]].shape)}")
    generator.load_state_dict({k: v.lerp(other[k], share) if v.is_floating_point() else v for k, v in state.items()})


def write(folded, path, metadata, change=lambda model: None):
    """Writes a `Folded` as an ONNX file; `change` may edit it first."""
    import onnx
    from onnx import helper

    inputs = {"image": torch.zeros(1, 3, 64, 64)}
    if folded.styles > 1:
        inputs["style_weights"] = torch.eye(folded.styles)[:1].clone()
    dynamic = {"image": {2: "height", 3: "width"}, "stylized": {2: "height", 3: "width"}}
    # torch 2.9 made another exporter the default; torch 1.13 does not know the word.
    known = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        folded, tuple(inputs.values()), path, opset_version=17,
        input_names=list(inputs), output_names=["stylized"], dynamic_axes=dynamic, **known,
    )
    model = onnx.load(path)
    change(model)
    # What comes after it can be left to who reads the file.
    last = next(node for node in reversed(model.graph.node) if node.op_type == "Conv")
    known = {**metadata, "styletransfer.sub-pixel": f"{last.output[0]},{folded.crop}"}
    if folded.styles == 1:
        known.pop("styletransfer.base", None)
    else:
        known.setdefault("styletransfer.base", _digest_of_shared(model))
    helper.set_model_props(model, known)
    onnx.save(model, path)


def _tables(model):
    """{name: `[styles, N]` as declared} of the tables that `style_weights` is multiplied with."""
    names = {node.input[1] for node in model.graph.node if "style_weights" in node.input[:1]}
    return {i.name: tuple(i.dims) for i in model.graph.initializer if i.name in names}


def _digest_of_shared(model):
    """Tells models apart by the weights that all of their styles share: a style learned for one fits to no other."""
    from onnx import numpy_helper

    tables, digest = _tables(model), hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        if tensor.name not in tables:
            digest.update(tensor.name.encode() + numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()[:16]


def save_style(generator, path, base, metadata):
    """Writes a style file: the only style of `generator` as rows (16 bit floats) for the tables of the ONNX file `base`."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(base)
    values = Folded(generator, resized=True).eval().state_dict()
    rows = [numpy_helper.from_array(values[name].reshape(1, -1).half().numpy(), name) for name in _tables(model)]
    style = helper.make_model(helper.make_graph([], "style", [], [], rows), opset_imports=[helper.make_opsetid("", 17)])
    base_of = next(p.value for p in model.metadata_props if p.key == "styletransfer.base")
    helper.set_model_props(style, {**metadata, "styletransfer.base": base_of, "styletransfer.license": LICENSE})
    onnx.save(style, path)


def _metadata(args):
    metadata = {
        "styletransfer.input-layout": "nchw",
        "styletransfer.output-layout": "nchw",
        "styletransfer.input-channels": "rgb",
        "styletransfer.output-channels": "rgb",
        "styletransfer.input-range": "0,1",
        "styletransfer.output-range": "0,1",
        "styletransfer.size-multiple": "4",
    }
    given = {"license": args.license, "paintings": "; ".join(args.painting)}
    return {**metadata, **{f"styletransfer.{key}": value for key, value in given.items() if value}}


TAIL = 8
"""Pixels of margin that the tail needs: two cells of the trunk."""


class Folded(nn.Module):
    """What is exported: norms folded into the convolutions, the last layer sub-pixel, weights as tables of the styles.

    With a constant `style_weights` the runtime computes the mixed weights once, when it loads the model. `up1` may stay
    `resized`: then ONNX Runtime's CPU provider keeps its blocked layout from the first layer to the last and takes 0.82 of
    the time. Sub-pixel, it works on less of the margin, which is faster where the layout is no matter (OpenVINO).
    """

    def __init__(self, generator, resized=False):
        super().__init__()
        self.styles, self.margin, self.resized, self.skip = generator.config["styles"], generator.margin, resized, generator.skip
        self.down1 = _with_norm(generator.down1, generator.down1_norm)
        self.down2 = _with_norm(generator.down2, generator.down2_norm)
        self.blocks = nn.ModuleList([nn.ModuleList([_FoldedSeparable(b.first), _FoldedSeparable(b.second)]) for b in generator.blocks])
        self.narrow = _FoldedSeparable(generator.narrow)
        self.up1 = _Resized(generator.up1) if resized else _Tables(generator.up1)
        self.up2 = _Tables(generator.up2)

    @property
    def crop(self):
        """Pixels that are cut off at each side after the last shuffle."""
        return self.margin if self.resized else min(self.margin, TAIL)

    @torch.no_grad()
    def fix(self, mix):
        """Makes it a generator of one style: the mix `[styles]` of what there is."""
        for table in (m for m in self.modules() if isinstance(m, _Tables)):
            table.fix(mix)
        self.styles = 1

    def forward(self, x, mix=None):
        m = self.margin
        x = F.pad(x, (m, m, m, m), mode="replicate")
        half = F.relu(self.down1(x))
        y = F.relu(self.down2(half))
        for first, second in self.blocks:
            y = y + second(F.relu(first(y, mix)), mix)
        y = F.relu(self.narrow(y, mix))
        if self.resized:
            y = self.up1(y)
            y = self.up2(F.relu(y + half if self.skip else y), mix)
            # Cropped last, so that the crop writes the output: a reshape there would copy it.
            return F.pad(F.pixel_shuffle(y, 2), (-m, -m, -m, -m))
        # The tail sees less far than the trunk, and works at larger sizes.
        rest = self.crop
        y = F.pixel_shuffle(self.up1(without(y, (m - rest) // 4), None), 2)
        if self.skip:
            y = y + without(half, (m - rest) // 2)
        y = F.pixel_shuffle(self.up2(F.relu(y), mix), 2)
        return without(y, rest)


class _FoldedSeparable(nn.Module):
    def __init__(self, separable):
        super().__init__()
        self.depthwise = copy.deepcopy(separable.depthwise)
        self.pointwise = _Tables(separable.pointwise)

    def forward(self, x, mix):
        return self.pointwise(self.depthwise(x), mix)


class _Resized(nn.Module):
    """A [`ResizeConv`] of one style as it was trained."""

    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(layer.style_weight[0].detach().clone(), requires_grad=False)
        self.bias = nn.Parameter(layer.style_bias[0].detach().clone(), requires_grad=False)

    def forward(self, x):
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False, recompute_scale_factor=False)
        return F.conv2d(x, self.weight, self.bias, padding=1)


class _Tables(nn.Module):
    """A convolution with one set of weights per style, or a plain one for a layer with one set."""

    def __init__(self, layer):
        super().__init__()
        assert isinstance(layer, (StyledPointwise, ResizeConv))
        with torch.no_grad():
            weight, bias = layer.tables()
        if weight.dim() == 3:
            weight = weight[..., None, None]
        self.shape, self.padding = tuple(weight.shape[1:]), weight.shape[-1] // 2
        one = len(weight) == 1
        self.weight = nn.Parameter(weight[0].clone() if one else weight.flatten(1).clone(), requires_grad=False)
        self.bias = nn.Parameter(bias[0].clone() if one else bias.clone(), requires_grad=False)
        self.one = one

    def fix(self, mix):
        if not self.one:
            self.weight = nn.Parameter((mix @ self.weight).reshape(self.shape), requires_grad=False)
            self.bias = nn.Parameter(mix @ self.bias, requires_grad=False)
            self.one = True

    def forward(self, x, mix):
        if self.one:
            return F.conv2d(x, self.weight, self.bias, padding=self.padding)
        weight = (mix @ self.weight).reshape(self.shape)
        return F.conv2d(x, weight, (mix @ self.bias).reshape(-1), padding=self.padding)


def _with_norm(conv, norm):
    """The convolution that does both (frozen statistics)."""
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    with torch.no_grad():
        folded.weight.copy_(conv.weight * gain[:, None, None, None])
        folded.bias.copy_(norm.bias - gain * norm.running_mean)
    return folded


def _check(generator, path):
    """Fails the export if ONNX Runtime and PyTorch disagree, for every style and a mix of all."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    styles = generator.config["styles"]
    mixes = torch.cat([torch.eye(styles), torch.full((1, styles), 1 / styles)])
    for height, width in SIZES:
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        worst = 0.0
        for mix in mixes[:, None]:
            with torch.no_grad():
                wanted = generator(x, mix).numpy()
            feeds = {"image": x.numpy(), "style_weights": mix.numpy()}
            got = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})[0]
            worst = max(worst, float(abs(got - wanted).max()))
        print(f"{width}x{height}: largest difference to PyTorch {worst:.2e}")
        if not worst <= TOLERANCE:
            raise SystemExit(f"{path}: differs from PyTorch by {worst:.2e} at {width}x{height}, allowed {TOLERANCE}")

"""An exported ONNX file back as weights to train on: what `--start` takes beside checkpoints.

The norms stay folded: they are read as norms that change nothing, so `--frozen-share 1` belongs to it. The tail is read
back exactly: a sub-pixel convolution that export writes holds the small kernel several times over.
"""
import torch

from .checkpoints import checkpoint_of
from .generator import SIZES, Generator, bilinear_taps


def generator_of(path):
    """A [`Generator`] that paints what the file paints, and the file's metadata.

    Refuses a file that `export` did not write.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    tables = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer}
    metadata = {p.key: p.value for p in model.metadata_props}
    generator = _like(path, tables, metadata)
    state = generator.state_dict()
    for name, layer in generator.named_modules():
        for key, value in _weights(name, layer, tables, path):
            state[f"{name}.{key}"] = value.reshape(state[f"{name}.{key}"].shape)
    generator.load_state_dict(state)
    return generator, metadata


def weights_of(path, device="cpu"):
    """The state of the generator in a checkpoint.pt or an exported .onnx, and the names of its styles."""
    if str(path).endswith(".onnx"):
        generator, metadata = generator_of(path)
        return generator.state_dict(), metadata.get("styletransfer.styles", "").split(",")
    checkpoint = checkpoint_of(path, device)
    return checkpoint["generator"], checkpoint["styles"]


def _like(path, tables, metadata):
    trunk = _table(tables, "down2.weight", path).shape[0]
    size = next((s for s in SIZES.values() if s["trunk"] == trunk), None)
    if size is None:
        raise SystemExit(f"--start: {path} has {trunk} channels in its trunk; known are {', '.join(str(s['trunk']) for s in SIZES.values())}")
    bias = _table(tables, "up2.bias", path)
    skip = metadata.get("styletransfer.skip", "true") == "true"
    found = {**size, "kernel": _table(tables, "down2.weight", path).shape[-1], "skip": skip}
    return Generator(styles=bias.shape[0] if bias.dim() == 2 else 1, margin=int(metadata.get("styletransfer.margin", 36)), **found)


def _table(tables, name, path):
    name = name.replace(".first.", ".0.").replace(".second.", ".1.")
    if name not in tables:
        raise SystemExit(f"--start: {path} has no tensor '{name}'; expected a file that 'export' wrote, or a checkpoint.pt")
    return tables[name]


def _weights(name, layer, tables, path):
    """(key in the layer's state, value) pairs of one layer."""
    table = lambda part: _table(tables, f"{name}.{part}", path)
    kind = type(layer).__name__
    if kind == "Conv2d":
        yield "weight", table("weight")
    elif kind == "BatchNorm2d" and not name.endswith("pointwise.norm"):
        yield "running_mean", torch.zeros_like(layer.running_mean)
        yield "running_var", torch.ones_like(layer.running_var) - layer.eps
        yield "bias", _table(tables, f"{name[: -len('_norm')]}.bias", path)
    elif kind == "StyledPointwise":
        cout, cin = layer.weight.shape
        weight = table("weight").reshape(-1, cout, cin)
        yield "weight", weight.mean(0)
        yield "style_delta", weight - weight.mean(0)
        yield "style_bias", table("bias").reshape(-1, cout)
        yield "norm.running_var", torch.ones(cout) - layer.norm.eps
    elif kind == "ResizeConv":
        styles, cout, cin = layer.style_weight.shape[:3]
        if table("weight").shape == (cout, cin, 3, 3):
            yield "style_weight", table("weight")
            yield "style_bias", table("bias")
            return
        yield "style_weight", _small_kernel(table("weight").reshape(styles, cout, 2, 2, cin, 3, 3))
        yield "style_bias", table("bias").reshape(styles, cout, 4)[..., 0]


def _small_kernel(subpixel):
    """`[styles, cout, 2, 2, cin, 3, 3]` -> `[styles, cout, cin, 3, 3]`: what `ResizeConv.tables` made it of (least squares)."""
    taps = bilinear_taps()
    matrix = torch.einsum("pdy,qex->pqyxde", taps, taps).reshape(36, 9)
    values = subpixel.permute(0, 1, 4, 2, 3, 5, 6)
    solved = torch.linalg.lstsq(matrix.double(), values.reshape(-1, 36).T.double()).solution
    return solved.T.reshape(*values.shape[:3], 3, 3).float()

"""What can be measured of a stylized picture: gain, retrieval, content loss, LPIPS, warping error, grid and border score, cost."""
import numpy as np
import torch
from torch.nn import functional as F

from . import wasserstein
from .perceptual import CONTENT_LAYER, LPIPS_LAYERS, content_loss

BAND = 16
"""Pixels along the edge that the border score compares with the rest."""
WINDOW, STRIDE = 192, 32
"""Side and distance of the parts of a picture that are painted for the border score."""
PATCH = 32
"""Side of the flat patches whose spectrum shows a grid."""


GAIN_DIRECTIONS, GAIN_QUANTILES = 128, 256
_LUMA = (0.299, 0.587, 0.114)


def lightness(x):
    """`[N, 3, ...]` to `[N, ...]`"""
    return torch.einsum("nc...,c->n...", x, x.new_tensor(_LUMA))


class Gain:
    """How much nearer to a painting stylizing brings a photo: 1 - d(stylized, painting) / d(photo, painting), by layer.

    d is the sliced Wasserstein distance of VGG16 features (Heitz et al. 2021) of whole pictures over the variance of the
    painting's projections. 0: no nearer than the photo was; 1: not to be told from the painting; below 0: farther away.
    """

    def __init__(self, vgg):
        self.vgg = vgg
        generator = torch.Generator().manual_seed(0)
        channels = {k: f.shape[1] for k, f in vgg(torch.zeros(1, 3, 16, 16)).items()}
        self.directions = {k: wasserstein.directions(GAIN_DIRECTIONS, channels[k], generator) for k in wasserstein.LAYERS}

    def profile(self, picture):
        """What `distance` compares of `[1, 3, H, W]`: {layer: (quantiles `[directions, quantiles]`, variance)}."""
        features = self.vgg(picture)
        return {k: self._quantiles(features[k], d) for k, d in self.directions.items()}

    @staticmethod
    def _quantiles(features, directions):
        projected = (directions @ features[0].flatten(1)).sort(1).values
        at = torch.linspace(0, projected.shape[1] - 1, GAIN_QUANTILES).long()
        return projected[:, at], projected.var(1).mean()

    @staticmethod
    def distance(picture, painting):
        """`[layers]`, of two profiles."""
        each = [((picture[k][0] - painting[k][0]) ** 2).mean() / painting[k][1] for k in wasserstein.LAYERS]
        return np.array([float(d) for d in each])

    def __call__(self, photos, stylized, painting):
        """{layer: gain} from the means over the pictures; all are profiles."""
        before, after = (np.mean([self.distance(p, painting) for p in pictures], 0) for pictures in (photos, stylized))
        return dict(zip(wasserstein.LAYERS, (1 - after / before).tolist()))

    def rank(self, stylized, painting, others):
        """Retrieval: how many of `others` are at least as near to the picture as its own painting, and 1; all are profiles."""
        distance = lambda target: self.distance(stylized, target)[1:].mean()
        own = distance(painting)
        return 1 + sum(distance(other) <= own for other in others)


def relative_content(vgg, stylized, photo):
    """Content loss, relative, as in training."""
    stylized, photo = (vgg(x, until=CONTENT_LAYER)[CONTENT_LAYER] for x in (stylized, photo))
    return float(content_loss(stylized, photo).mean())


class Lpips:
    """Learned perceptual distance, VGG variant (Zhang et al. 2018). Weights: `.npz` with arrays `lin0` .. `lin4`."""

    def __init__(self, path, vgg):
        self.vgg = vgg
        weights = np.load(path)
        missing = [f"lin{i}" for i in range(5) if f"lin{i}" not in weights]
        if missing:
            raise SystemExit(f"{path}: no array '{missing[0]}'; expected LPIPS' linear layers lin0 to lin4")
        self.lins = [torch.from_numpy(weights[f"lin{i}"].astype("float32")).view(1, -1, 1, 1) for i in range(5)]

    def __call__(self, a, b):
        total = 0.0
        fa, fb = self.vgg(a, until="relu5_3"), self.vgg(b, until="relu5_3")
        for name, lin in zip(LPIPS_LAYERS, self.lins):
            difference = (F.normalize(fa[name], dim=1, eps=1e-10) - F.normalize(fb[name], dim=1, eps=1e-10)) ** 2
            total += float((difference * lin).sum(1).mean())
        return total


def motion(frames):
    """Of every frame but the first, list of `[1, 3, H, W]`: OpenCV's DIS to the frame before, `[H, W, 2]`, and where that
    frame shows the same, `[H, W]`; None where more than half is occluded (a cut)."""
    import cv2

    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    grey = [(lightness(f)[0] * 255).round().byte().numpy() for f in frames]
    pairs = []
    for before, after in zip(grey, grey[1:]):
        back = dis.calc(after, before, None)
        visible = _visible(back, dis.calc(before, after, None))
        pairs.append((back, visible) if visible.mean() >= 0.5 else None)
    return pairs


def warping_error(motion, painted):
    """E_warp after Lai et al. 2018: squared differences along the film's `motion`, summed over the channels, mean of the
    pixels that are not occluded. NaN if there is no pair."""
    errors = []
    for pair, before, after in zip(motion, painted, painted[1:]):
        if pair:
            warped = _remap(before[0].permute(1, 2, 0).numpy(), pair[0])
            difference = ((warped - after[0].permute(1, 2, 0).numpy()) ** 2).sum(2)
            errors.append(float((difference * pair[1]).sum() / pair[1].sum()))
    return float(np.mean(errors)) if errors else float("nan")


def detail(picture):
    """Mean absolute Laplacian of `[1, 3, H, W]`."""
    inside, around = picture[:, :, 1:-1, 1:-1], picture[:, :, :-2, 1:-1] + picture[:, :, 2:, 1:-1] + picture[:, :, 1:-1, :-2] + picture[:, :, 1:-1, 2:]
    return float((around - 4 * inside).abs().mean())


def _remap(image, flow):
    import cv2

    h, w = flow.shape[:2]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _visible(back, forth):
    """Forward-backward check (Sundaram et al. 2010), and inside the frame."""
    h, w = back.shape[:2]
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    px, py = x + back[..., 0], y + back[..., 1]
    there = _remap(forth, back)
    off = ((back + there) ** 2).sum(2)
    allowed = 0.01 * ((back**2).sum(2) + (there**2).sum(2)) + 0.5
    return ((off <= allowed) & (px >= 0) & (px <= w - 1) & (py >= 0) & (py <= h - 1)).astype(np.float32)


def grid_energy(picture, where):
    """Energy at the frequencies of periods 2 and 4 (the strides of the tail) over the energy beside them, in the
    spectrum of the patches at `where`; 1 means that nothing sticks out."""
    grey = lightness(picture)[0]
    window = torch.hann_window(PATCH, periodic=True)
    window = window[:, None] * window[None]
    patches = torch.stack([grey[y : y + PATCH, x : x + PATCH] for y, x in where])
    patches = (patches - patches.mean((1, 2), keepdim=True)) * window
    spectrum = (torch.fft.fft2(patches).abs() ** 2).mean(0)
    lattice = {(u, v) for u in range(0, PATCH, PATCH // 4) for v in range(0, PATCH, PATCH // 4)} - {(0, 0)}
    beside = {((u + du) % PATCH, (v + dv) % PATCH) for u, v in lattice for du in (-3, 0, 3) for dv in (-3, 0, 3)}
    beside -= {(u, v) for u, v in beside if min(u, PATCH - u) < 5 and min(v, PATCH - v) < 5} | lattice
    mean = lambda points: float(torch.stack([spectrum[u, v] for u, v in points]).mean())
    return mean(lattice) / max(mean(beside), 1e-12)


def flat_patches(picture, count=24):
    """The `count` patches of least variance that do not touch the edge band: positions (y, x)."""
    grey = lightness(picture)[0]
    h, w = grey.shape
    places = [(y, x) for y in range(BAND, h - BAND - PATCH, PATCH) for x in range(BAND, w - BAND - PATCH, PATCH)]
    return sorted(places, key=lambda p: float(grey[p[0] : p[0] + PATCH, p[1] : p[1] + PATCH].var()))[:count]


def windows(picture):
    """Square parts of `[1, 3, H, W]`, one every `STRIDE` pixels: what lies at the border of one lies inside others."""
    h, w = picture.shape[2:]
    side = min(WINDOW, h // 4 * 4, w // 4 * 4)
    return [picture[:, :, y : y + side, x : x + side] for y in range(0, h - side + 1, STRIDE) for x in range(0, w - side + 1, STRIDE)]


def border_energy(pictures):
    """Gradient energy in the outermost pixels over that of the rest, of all pictures together."""
    edge, inner = np.mean([_edge_and_inner(p) for p in pictures], 0)
    return float(edge / max(inner, 1e-12))


def _edge_and_inner(picture):
    grey = lightness(picture)[0]
    energy = (grey[1:, 1:] - grey[:-1, 1:]) ** 2 + (grey[1:, 1:] - grey[1:, :-1]) ** 2
    inner = energy[BAND:-BAND, BAND:-BAND]
    return float((energy.sum() - inner.sum()) / (energy.numel() - inner.numel())), float(inner.mean())


def cost(path, feeds):
    """Multiply-accumulates of the convolutions and matrix products of a run with `feeds`, and the number of weights."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    weights = sum(int(np.prod(i.dims)) for i in model.graph.initializer)
    nodes = [n for n in model.graph.node if n.op_type in _MACS]
    shown = sorted({name for n in nodes for name in (*n.input[:2], n.output[0])} - {o.name for o in model.graph.output})
    known = {i.name: list(i.dims) for i in model.graph.initializer}
    known.update({i.name: list(v.shape) for i in model.graph.input for k, v in feeds.items() if k == i.name})
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in shown if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, feeds)
    known.update({o.name: list(v.shape) for o, v in zip(session.get_outputs(), values)})
    return sum(_MACS[n.op_type](*(known[name] for name in (*n.input[:2], n.output[0]))) for n in nodes), weights


_MACS = {
    "Conv": lambda x, w, y: int(np.prod(y[2:])) * int(np.prod(w)),
    "ConvTranspose": lambda x, w, y: int(np.prod(x[2:])) * int(np.prod(w)),
    "MatMul": lambda x, w, y: int(np.prod(y)) * x[-1],
    "Gemm": lambda x, w, y: int(np.prod(y)) * int(np.prod(w)) // y[-1],
}
"""Multiply-accumulates by the shapes of input, weights and output, batch 1."""

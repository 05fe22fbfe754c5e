"""How far the features of pictures are distributed from those of paintings: the sliced Wasserstein distance of VGG16
features and of colours (Heitz, Vanhoey, Chambon and Belcour 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis").

Feature vectors are projected on random directions; for each direction the sorted projections of the pictures are compared
with the painting's. Other than Gram matrices this does not reward a picture for the painting's mean alone.
"""
import math

import torch
from torch.nn import functional as F

from .data import load_painting, to_tensor

LAYERS = ("rgb", "relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""What a picture is compared by: its pixels, and VGG16's layers."""
COLOUR = "rgb/"
WEIGHTS = {"rgb/1": 1.0, "rgb/4": 1.0, "rgb/8": 1.0, "rgb/16": 1.0, "relu1_2": 1.0, "relu2_2": 1.5, "relu3_3": 2.5, "relu4_3": 3.0}
"""Weights in the loss. `rgb/N`: mean colours of areas of N x N pixels. Without the larger areas the painting's range of
colours is met by fine light and dark lines along every edge."""
LEAST_VARIANCE = 0.04
"""Directions of colour count as if none varied by less than this share of what the most varying one does."""
BANK, SLICES = 256, 32
"""Directions that a target knows, and how many of them a step compares."""
QUANTILES = 1024
POSITIONS = 4096
"""Feature vectors of a picture's layer, at most, that a step compares."""
WINDOWS = 5
"""Parts of each painting at each of its sizes."""


def directions(count, channels, generator):
    """`[count, channels]`, random unit vectors."""
    return F.normalize(torch.randn(count, channels, generator=generator), dim=1)


def compared(features, generator=None):
    """{layer: `[N, C, H, W]`} of `Vgg16` -> {name in `WEIGHTS`: `[C, P]`}, of all pictures together."""
    return {name: _some_positions(_of_name(features, name), generator) for name in WEIGHTS}


def _of_name(features, name):
    if not name.startswith(COLOUR):
        return features[name].float()
    side = int(name[len(COLOUR) :])
    return F.avg_pool2d(features["rgb"].float(), side) if side > 1 else features["rgb"].float()


def _some_positions(features, generator=None):
    """`[N, C, H, W]` -> `[C, P]`: a grid of about `POSITIONS` positions of each picture at most, with a random offset."""
    stride = max(1, math.ceil(math.sqrt(features[0, 0].numel() / POSITIONS)))
    y, x = torch.randint(stride, (2,), generator=generator).tolist()
    return features[:, :, y::stride, x::stride].transpose(0, 1).flatten(1)


class Target:
    """Distribution of the features of one or several paintings.

    The paintings are seen through windows as large as the training crops, so that their features meet the zero padding of
    VGG16 as often as those of a stylized crop: no line along the border is rewarded.
    """

    @torch.no_grad()
    def __init__(self, vgg, paintings, sizes, window, device):
        """`paintings`: picture files; `sizes`: pixels on their short side; `window`: side of the windows."""
        generator = torch.Generator().manual_seed(0)
        seen = {name: [] for name in WEIGHTS}
        for picture in (to_tensor(load_painting(path, size)) for path in paintings for size in sizes):
            for part in _windows(picture, window, generator):
                for name, vectors in compared(vgg(part[None].to(device)), generator).items():
                    seen[name].append(vectors[:, :: max(1, vectors.shape[1] // (POSITIONS // 4))])
        self.directions, self.quantiles, self.variance = {}, {}, {}
        for name in WEIGHTS:
            vectors = torch.cat(seen.pop(name), 1)
            chosen = directions(BANK, len(vectors), generator).to(device)
            self.directions[name] = chosen @ _whitening(vectors) if name.startswith(COLOUR) else chosen
            projected = (self.directions[name] @ vectors).sort(1).values
            self.quantiles[name] = _resampled(projected, QUANTILES)
            self.variance[name] = projected.var(1).mean()

    def distance(self, vectors):
        """Weighted sum of the squared distances over the paintings' variances; `vectors`: as `compared` gives them."""
        return sum(weight * self._of(name, vectors[name]) for name, weight in WEIGHTS.items())

    def _of(self, name, vectors):
        chosen = torch.randperm(BANK)[:SLICES].to(vectors.device)
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 would round the order away
            projected = (self.directions[name][chosen] @ vectors).sort(1).values
        wanted = _resampled(self.quantiles[name][chosen], projected.shape[1])
        return ((projected - wanted) ** 2).mean() / self.variance[name]


def _whitening(colours):
    """`[3, 3]`: makes all directions of `[3, P]` vary alike, so that hues count as much as lightness."""
    variance, axes = torch.linalg.eigh(torch.cov(colours))
    return axes @ torch.diag(variance.clamp(min=LEAST_VARIANCE * float(variance.max())).rsqrt()) @ axes.T


def _windows(picture, side, generator):
    """`WINDOWS` random parts of `[3, H, W]`, `[3, side, side]` each where the picture has room for them."""
    _, height, width = picture.shape
    for _ in range(WINDOWS):
        y, x = (int(torch.randint(max(1, room - side + 1), (1,), generator=generator)) for room in (height, width))
        yield picture[:, y : y + side, x : x + side]


def _resampled(ordered, count):
    """`[N, P]` -> `[N, count]`: the same distribution by another number of quantiles."""
    return F.interpolate(ordered[:, None], size=count, mode="linear", align_corners=True)[:, 0]

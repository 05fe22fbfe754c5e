"""How far the features of a picture are distributed from those of paintings: the sliced Wasserstein distance of VGG16
features and of the pixels themselves (Heitz, Vanhoey, Chambon and Belcour 2021, "A Sliced Wasserstein Loss for Neural
Texture Synthesis").

Feature vectors are projected on random directions; for each direction the sorted projections of the picture are compared
with the painting's. Other than Gram matrices this does not reward a picture for the painting's mean alone.
"""
import math

import torch
from torch.nn import functional as F

from .data import load_painting, to_tensor

LAYERS = {"rgb": 1.0, "relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.5, "relu4_3": 2.0}
AREAS, AREA, AREA_WEIGHT = "areas", 8, 2.0
"""Means of the colours over areas of 8 x 8 pixels, which the loss compares beside the layers: without them the painting's
range of colours is met by fine light and dark lines along every edge."""
WEIGHTS = {**LAYERS, AREAS: AREA_WEIGHT}
"""Weights in the loss."""
BANK, SLICES = 512, 32
"""Directions that a target knows, and how many of them a step compares."""
QUANTILES = 1024
POSITIONS = 4096
"""Feature vectors of a layer, at most, that a step compares."""
WINDOWS = 5
"""Parts of each painting at each of its sizes."""


def directions(count, channels, generator):
    """`[count, channels]`, random unit vectors."""
    return F.normalize(torch.randn(count, channels, generator=generator), dim=1)


def with_areas(features):
    """{layer: `[N, C, H, W]`} of `Vgg16`, and the areas."""
    return {**features, AREAS: F.avg_pool2d(features["rgb"], AREA)}


def some_positions(features, most, generator=None):
    """`[C, H, W]` -> `[C, P]`: a grid of about `most` positions at most, with a random offset."""
    stride = max(1, math.ceil(math.sqrt(features[0].numel() / most)))
    y, x = torch.randint(stride, (2,), generator=generator).tolist()
    return features[:, y::stride, x::stride].flatten(1)


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
                for name, features in with_areas(vgg(part[None].to(device))).items():
                    seen[name].append(some_positions(features[0].float(), POSITIONS // 6, generator))
        self.directions, self.quantiles, self.variance = {}, {}, {}
        for name in WEIGHTS:
            features = torch.cat(seen.pop(name), 1)
            self.directions[name] = directions(BANK, len(features), generator).to(device)
            projected = (self.directions[name] @ features).sort(1).values
            self.quantiles[name] = _resampled(projected, QUANTILES)
            self.variance[name] = projected.var(1).mean()

    def distance(self, features):
        """Weighted sum of the squared distances over the paintings' variances; `features`: {layer or areas: `[C, H, W]`}."""
        return sum(weight * self._of_layer(name, features[name].float()) for name, weight in WEIGHTS.items())

    def _of_layer(self, name, features):
        chosen = torch.randperm(BANK)[:SLICES].to(features.device)
        with torch.autocast(features.device.type, enabled=False):  # bf16 would round the order away
            projected = (self.directions[name][chosen] @ some_positions(features, POSITIONS)).sort(1).values
        wanted = _resampled(self.quantiles[name][chosen], projected.shape[1])
        return ((projected - wanted) ** 2).mean() / self.variance[name]


def _windows(picture, side, generator):
    """`WINDOWS` random parts of `[3, H, W]`, `[3, side, side]` each where the picture has room for them."""
    _, height, width = picture.shape
    for _ in range(WINDOWS):
        y, x = (int(torch.randint(max(1, room - side + 1), (1,), generator=generator)) for room in (height, width))
        yield picture[:, y : y + side, x : x + side]


def _resampled(ordered, count):
    """`[N, P]` -> `[N, count]`: the same distribution by another number of quantiles."""
    return F.interpolate(ordered[:, None], size=count, mode="linear", align_corners=True)[:, 0]

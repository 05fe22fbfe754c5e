"""The colours of a painting as a whole: sliced Wasserstein distance (Heitz et al. 2021) between sets of RGB colours.

Gram matrices alone are content with the mean colour of a dark or bright painting; this asks for its range too. What is
light and what is dark is the photo's to say: its large areas keep their order (`tone_loss`).
"""
import torch
from torch.nn import functional as F

COLORS = 4096
AREA = 8
"""Side in pixels of what counts as an area of one colour."""
DIRECTIONS = 16
LEAST_RANGE = 0.1
"""Standard deviation that a photo's lightness is taken to have at least: mist is not blown up to night and day."""


def colors_of(x):
    """`[N, 3, H, W]` to `[N, 3, COLORS]`: pixels spread evenly over the picture."""
    pixels = x.float().flatten(2)
    step = torch.arange(COLORS, device=x.device) * pixels.shape[2] // COLORS
    return pixels[:, :, step]


def areas_of(x):
    """The same of the means over areas: a palette of large shapes, which specks of colour cannot imitate."""
    return colors_of(F.avg_pool2d(x.float(), AREA))


def palette_loss(painted, wanted):
    """Mean squared distance of the sorted projections of two sets `[N, 3, COLORS]`, over the variance of the wanted one."""
    directions = F.normalize(torch.randn(DIRECTIONS, 3, device=painted.device), dim=1)
    ranks = [torch.einsum("kc,ncp->nkp", directions, colors).sort(dim=2).values for colors in (painted, wanted)]
    variance = wanted.var(2).mean(1)
    return (((ranks[0] - ranks[1]) ** 2).mean((1, 2)) / variance).mean()


def tone_of(x):
    """Mean and standard deviation of the lightness of areas, `[N, 1, 1]` each."""
    light = _lightness(x)
    return light.mean((1, 2), keepdim=True), light.std((1, 2), keepdim=True)


def tone_loss(painted, photo, tone):
    """Mean squared distance of the painted areas' lightness from the photo's, brought to the painting's mean and range
    (as Reinhard et al. 2001 transfer colour), over the painting's variance. A photo of one tone stays of one tone."""
    mean, deviation = tone
    own_mean, own_deviation = tone_of(photo)
    wanted = (_lightness(photo) - own_mean) / own_deviation.clamp(min=LEAST_RANGE) * deviation + mean
    return (((_lightness(painted) - wanted.clamp(0, 1)) ** 2).mean((1, 2)) / deviation.flatten() ** 2).mean()


def _lightness(x):
    weights = x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return F.avg_pool2d((x.float() * weights).sum(1, keepdim=True), AREA)[:, 0]

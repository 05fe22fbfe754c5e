"""The colours of a painting as a whole: sliced Wasserstein distance (Heitz et al. 2021) between sets of RGB colours.

Gram matrices alone are content with the mean colour of a dark or bright painting; this asks for its range too.
"""
import torch
from torch.nn import functional as F

COLORS = 4096
AREA = 8
"""Side in pixels of what counts as an area of one colour."""
DIRECTIONS = 16


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

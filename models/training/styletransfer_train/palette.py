"""The colours of a painting as a whole: sliced Wasserstein distance (Heitz et al. 2021) between sets of RGB colours.

Gram matrices alone are content with the mean colour of a dark or bright painting; this asks for its range too.
"""
import torch

COLORS = 4096
DIRECTIONS = 16


def colors_of(x):
    """`[N, 3, H, W]` to `[N, 3, COLORS]`: pixels spread evenly over the picture."""
    pixels = x.float().flatten(2)
    step = torch.arange(COLORS, device=x.device) * pixels.shape[2] // COLORS
    return pixels[:, :, step]


def palette_loss(painted, wanted):
    """Mean squared distance of the sorted projections, over the variance of the wanted colours `[N, 3, COLORS]`."""
    directions = torch.nn.functional.normalize(torch.randn(DIRECTIONS, 3, device=painted.device), dim=1)
    ranks = [torch.einsum("kc,ncp->nkp", directions, colors).sort(dim=2).values for colors in (colors_of(painted), wanted)]
    variance = wanted.var(2).mean(1)
    return (((ranks[0] - ranks[1]) ** 2).mean((1, 2)) / variance).mean()

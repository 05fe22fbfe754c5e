"""Which colours of a painting belong where in a photo.

The painting's colours, from dark to light, are laid out along the lightness of all training photos (histogram
specification, Gonzalez and Woods): equal lightness gets equal tones and colours wherever it stands, so no light hangs around
dark things and a flat wall is not asked to show the whole palette. Sets of colours are compared by the sliced Wasserstein
distance (Heitz et al. 2021).
"""
import torch
from torch.nn import functional as F

COLORS = 4096
AREA = 8
"""Side in pixels of what counts as an area of one colour."""
DIRECTIONS = 16
LEVELS = 256
STRETCH = 1.3
"""Ranks are spread by this around the middle: one photo seldom has all tones that all photos have together."""
SPREAD = 0.05
"""Share of the painting, darker and lighter, whose colours serve for one lightness."""
_LUMA = (0.299, 0.587, 0.114)


def areas(x):
    """Means over areas: large shapes, which specks of colour cannot imitate."""
    return F.avg_pool2d(x.float(), AREA)


def lightness(x):
    """`[N, 3, ...]` to `[N, ...]`"""
    return torch.einsum("nc...,c->n...", x, x.new_tensor(_LUMA))


class Scale:
    """How light photos are: the share of all areas of all photos that is darker than a given one."""

    def __init__(self, photos):
        """`photos`: tensors `[1, 3, H, W]`, one at a time. All count alike."""
        each = [torch.quantile(lightness(areas(p)).flatten(), _steps(64)) for p in photos]
        self.levels = torch.quantile(torch.cat(each), _steps(LEVELS))

    def rank(self, light):
        """Lightness to 0..1: what place it has among the painting's tones."""
        levels = self.levels.to(light.device)
        above = torch.searchsorted(levels, light.contiguous()).clamp(1, LEVELS - 1)
        low, high = levels[above - 1], levels[above]
        between = ((light - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        rank = (above - 1 + between) / (LEVELS - 1)
        return (0.5 + STRETCH * (rank - 0.5)).clamp(0, 1)


class Palette:
    """The colours of paintings `[1, 3, H, W]`, as pixels and as areas, each from dark to light: `[N, 3, COLORS]`."""

    def __init__(self, paintings, scale):
        self.scale = scale
        self.sorted = [(of, torch.cat([_from_dark_to_light(of(p)) for p in paintings])) for of in (torch.Tensor.float, areas)]
        self.tones = lightness(self.sorted[1][1])
        self.variance = self.tones.var(1)

    def color_loss(self, painted, photo, style):
        """Distance of the painted colours from the painting's for this photo, over the variance of the painting's."""
        return sum(self._distance(of(painted), of(photo), colors[style]) for of, colors in self.sorted) / len(self.sorted)

    def _distance(self, painted, photo, colors):
        rank = self.scale.rank(lightness(_some(photo)))
        rank = rank + SPREAD * (2 * torch.rand_like(rank) - 1)
        index = (rank.clamp(0, 1) * (COLORS - 1)).round().long()
        wanted = torch.gather(colors, 2, index[:, None].expand(-1, 3, -1))
        directions = F.normalize(torch.randn(DIRECTIONS, 3, device=painted.device), dim=1)
        ranks = [torch.einsum("kc,ncp->nkp", directions, c).sort(dim=2).values for c in (_some(painted), wanted)]
        return (((ranks[0] - ranks[1]) ** 2).mean((1, 2)) / colors.var(2).mean(1)).mean()

    def tone_loss(self, painted, photo, style):
        """Mean squared distance of the painted areas' lightness from the painting's tone for the photo's, over the
        variance of the painting's tones."""
        rank = self.scale.rank(lightness(areas(photo)))
        index = (rank.flatten(1) * (COLORS - 1)).round().long()
        wanted = torch.gather(self.tones[style], 1, index).reshape(rank.shape)
        return (((lightness(areas(painted)) - wanted) ** 2).mean((1, 2)) / self.variance[style]).mean()


def _steps(count):
    return torch.linspace(0, 1, count)


def _some(x):
    """`[N, 3, COLORS]`: pixels spread evenly over `[N, 3, H, W]`."""
    pixels = x.flatten(2)
    return pixels[:, :, torch.arange(COLORS, device=x.device) * pixels.shape[2] // COLORS]


def _from_dark_to_light(picture):
    colors = _some(picture)
    order = lightness(colors).argsort(dim=1)
    return torch.gather(colors, 2, order[:, None].expand(-1, 3, -1))

"""Pairs of views with exactly known motion, for the stability terms.

A scene (a photo) is seen twice: shifted, zoomed, turned, noisier and a little brighter the second time, with a patch of
another photo in front that moves on its own. What one view shows and the other hides is masked out.
"""
import torch
from torch.nn import functional as F

MAX_SHIFT = 24
"""Pixels that the second view is moved by at most: far enough that what lies at a border in one is inside the other."""
HIDDEN_MARGIN = 6
"""Pixels around a motion edge that are not compared: a painter may treat an edge as one stroke."""


class Pair:
    """`first`, `second`: `[N, 3, S, S]`. `grid`: where each pixel of the second view lies in the first one,
    `[N, S, S, 2]` in -1..1 (align_corners=False). `mask`: `[N, 1, S, S]`, 1 where both views see the same."""

    def __init__(self, wide, size, rng):
        n = len(wide)
        shift = [rng.randint(-MAX_SHIFT, MAX_SHIFT) for _ in range(2)]
        turn, zoom = (rng.uniform(-0.03, 0.03), 1 + rng.uniform(-0.04, 0.04)) if rng.random() < 0.5 else (0.0, 1.0)
        points = _background_points(size, shift, turn, zoom).to(wide.device)
        self.first = _centre(wide, size)
        self.second = _sample(wide, points, wide.shape[2], size)
        mask = torch.ones(n, 1, size, size, device=wide.device)
        if rng.random() < 0.5:
            points, mask = self._add_patch(wide, points, mask, rng)
        inside = ((points >= 0) & (points <= size - 1)).all(-1)[None, None]
        self.mask = mask * inside
        self.grid = ((points + 0.5) * (2 / size) - 1)[None].expand(n, -1, -1, -1)
        noise = torch.randn_like(self.second) * rng.uniform(0, 0.03) + rng.uniform(-0.02, 0.02)
        self.second = (self.second + noise).clamp(0, 1)

    def around(self, wide):
        """The first view within `wide`, the picture that it is the middle of: `[N, 3, S + 2 MAX_SHIFT, S + 2 MAX_SHIFT]`."""
        wide = wide.clone()
        _centre(wide, self.first.shape[2])[:] = self.first
        return wide

    def _add_patch(self, wide, points, mask, rng):
        size = self.first.shape[2]
        side = size // 3
        y, x = (rng.randint(MAX_SHIFT, size - side - MAX_SHIFT) for _ in range(2))
        dy, dx = (rng.randint(-MAX_SHIFT // 2, MAX_SHIFT // 2) for _ in range(2))
        patch = wide.roll(1, 0).flip(3)[:, :, y : y + side, x : x + side]
        self.first, self.second = self.first.clone(), self.second.clone()
        self.first[:, :, y : y + side, x : x + side] = patch
        self.second[:, :, y + dy : y + dy + side, x + dx : x + dx + side] = patch
        # Hidden in the first view, or at the edge of what moves in the second one.
        near = _near(points, y, x, side).to(mask)
        near[_box(y + dy, x + dx, side, HIDDEN_MARGIN)] = 1
        near[_box(y + dy, x + dx, side, -HIDDEN_MARGIN)] = 0
        points = points.clone()
        box = _box(y + dy, x + dx, side, 0)
        points[box] = _pixels(size).to(points)[box] - points.new_tensor([dx, dy])
        return points, mask * (1 - near)

    def error(self, first, second):
        """Mean squared difference of the two painted views where both see the same part of the scene."""
        carried = F.grid_sample(first, self.grid, mode="bicubic", padding_mode="border", align_corners=False)
        return (self.mask * (carried - second) ** 2).sum() / (3 * self.mask.sum()).clamp(min=1)


def _near(points, top, left, side):
    """Where `points` lie in or at the box."""
    middle = points.new_tensor([left + (side - 1) / 2, top + (side - 1) / 2])
    return ((points - middle).abs() <= side / 2 + HIDDEN_MARGIN).all(-1)


def _box(top, left, side, margin):
    return slice(max(top - margin, 0), top + side + margin), slice(max(left - margin, 0), left + side + margin)


def _pixels(size):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([x, y], -1).float()


def _background_points(size, shift, turn, zoom):
    """Position in the first view, in pixels, of every pixel of the second one: `[S, S, 2]` (x, y)."""
    middle = (size - 1) / 2
    matrix = zoom * torch.tensor([[1.0, -turn], [turn, 1.0]])
    return (_pixels(size) - middle) @ matrix.T + middle + torch.tensor(shift, dtype=torch.float32)


def _centre(wide, size):
    edge = (wide.shape[2] - size) // 2
    return wide[:, :, edge : edge + size, edge : edge + size]


def _sample(wide, points, wide_size, size):
    grid = (points + (wide_size - size) / 2 + 0.5) * (2 / wide_size) - 1
    return F.grid_sample(wide, grid[None].expand(len(wide), -1, -1, -1), mode="bicubic", padding_mode="reflection", align_corners=False)

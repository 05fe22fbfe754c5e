"""The light generator: strided head, separable residual trunk at 1/4 size, sub-pixel tail in two steps.

Input and output: `[N, 3, H, W]` float RGB in 0..1, H and W multiples of 4. The output is not clamped.
"""
import torch
from torch import nn
from torch.nn import functional as F


class Separable(nn.Module):
    """Depthwise 3x3, pointwise 1x1, batch norm (folds away on export)."""

    def __init__(self, cin, cout):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, padding=1, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(x)))


class Block(nn.Module):
    """Residual block of two separable convolutions."""

    def __init__(self, channels):
        super().__init__()
        self.first = Separable(channels, channels)
        self.second = Separable(channels, channels)

    def forward(self, x):
        return x + self.second(F.relu(self.first(x)))


class Generator(nn.Module):
    """`margin` pixels are reflected around the frame and cut off again, so that no border shows."""

    def __init__(self, head=16, trunk=48, blocks=5, margin=8):
        super().__init__()
        self.config = {"head": head, "trunk": trunk, "blocks": blocks, "margin": margin}
        self.margin = margin
        self.down1 = nn.Conv2d(3, head, 4, stride=2, padding=1, bias=False)
        self.down1_norm = nn.BatchNorm2d(head)
        self.down2 = nn.Conv2d(head, trunk, 4, stride=2, padding=1, bias=False)
        self.down2_norm = nn.BatchNorm2d(trunk)
        self.blocks = nn.Sequential(*[Block(trunk) for _ in range(blocks)])
        self.up1 = Separable(trunk, head * 4)
        self.up2 = nn.Conv2d(head, 12, 3, padding=1)
        _icnr(self.up1.pointwise.weight)
        _icnr(self.up2.weight)

    def forward(self, x):
        m = self.margin
        if m:
            x = F.pad(x, (m, m, m, m), mode="reflect")
        half = F.relu(self.down1_norm(self.down1(x)))
        y = self.blocks(F.relu(self.down2_norm(self.down2(half))))
        y = F.pixel_shuffle(F.relu(self.up1(y)), 2) + half
        y = F.pixel_shuffle(self.up2(y), 2)
        return y[:, :, m:-m, m:-m] if m else y


def _icnr(weight, scale=2):
    """ICNR (Aitken et al. 2017): the sub-pixels of one output pixel start equal, so no checkerboard at the start."""
    with torch.no_grad():
        kept = weight[:: scale * scale].clone()
        weight.copy_(kept.repeat_interleave(scale * scale, dim=0))

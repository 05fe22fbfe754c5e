"""The light generator: strided head, separable residual trunk at 1/4 size, resize-convolution tail in two steps.

Input and output: `[N, 3, H, W]` float RGB in 0..1, H and W multiples of 4. The output is not clamped.
"""
import math

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


class ResizeConv(nn.Module):
    """Bilinear resize to twice the size, then a 3x3 convolution: a flat area stays flat, so no grid can be learned.

    `fold()` turns it into a sub-pixel convolution (Shi et al. 2016) that computes the same at the smaller size; the
    two differ only within two pixels of the border, which the generator's margin cuts off.
    """

    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)
        self.folded = None

    def forward(self, x):
        if self.folded is not None:
            return F.pixel_shuffle(self.folded(x), 2)
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))

    def fold(self):
        taps = _bilinear_taps()
        cout, cin = self.conv.weight.shape[:2]
        kernel = torch.einsum("ocde,pdy,qex->opqcyx", self.conv.weight.detach(), taps, taps)
        self.folded = nn.Conv2d(cin, cout * 4, 3, padding=1)
        with torch.no_grad():
            self.folded.weight.copy_(kernel.reshape(cout * 4, cin, 3, 3))
            self.folded.bias.copy_(self.conv.bias.repeat_interleave(4))


def _bilinear_taps():
    """[phase, tap of the 3-tap kernel, offset -1..1 in the small image]: the share of each small pixel."""
    taps = torch.zeros(2, 3, 3)
    for phase in range(2):
        for tap in range(3):
            position = (phase + tap - 1) / 2 - 0.25
            low = math.floor(position)
            taps[phase, tap, low + 1] += 1 - (position - low)
            if position > low:
                taps[phase, tap, low + 2] += position - low
    return taps


class Generator(nn.Module):
    """`margin` pixels of the edge are repeated around the frame and cut off again, so that no border shows.

    It has no weights: export may choose another margin than training.
    """

    def __init__(self, head=16, trunk=48, blocks=4, margin=8):
        super().__init__()
        self.config = {"head": head, "trunk": trunk, "blocks": blocks, "margin": margin}
        self.margin = margin
        self.down1 = nn.Conv2d(3, head, 4, stride=2, padding=1, bias=False)
        self.down1_norm = nn.BatchNorm2d(head)
        self.down2 = nn.Conv2d(head, trunk, 4, stride=2, padding=1, bias=False)
        self.down2_norm = nn.BatchNorm2d(trunk)
        self.blocks = nn.Sequential(*[Block(trunk) for _ in range(blocks)])
        self.narrow = Separable(trunk, head)
        self.up1 = ResizeConv(head, head)
        self.up2 = ResizeConv(head, 3)

    def fold(self):
        """Makes the tail cheap; for export, after training."""
        self.up1.fold()
        self.up2.fold()

    def forward(self, x):
        m = self.margin
        if m:
            x = F.pad(x, (m, m, m, m), mode="replicate")
        half = F.relu(self.down1_norm(self.down1(x)))
        y = self.blocks(F.relu(self.down2_norm(self.down2(half))))
        y = self.up1(F.relu(self.narrow(y)))
        y = self.up2(F.relu(y + half))
        return y[:, :, m:-m, m:-m] if m else y

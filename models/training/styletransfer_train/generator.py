"""The light generator: strided head, separable residual trunk at 1/4 size, resize-convolution tail in two steps.

Input and output: `[N, 3, H, W]` float RGB in 0..1, H and W multiples of 4. The output is not clamped. With several
styles the pointwise convolutions and the last layer have one set of weights per style (after the conditional
normalisation of Dumoulin et al. 2017, carried on to the weights themselves); `mix`, `[N, styles]`, mixes the sets linearly.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {
    "live": {"head": 16, "trunk": 48, "blocks": 4, "full": False, "kernel": 3, "skip": False},
    "fine": {"head": 24, "trunk": 80, "blocks": 4, "full": True, "kernel": 4, "skip": False},
}
"""`live` paints a camera on two CPU cores; `fine` is for film and GPUs. Neither has a way past the trunk: with one the
photo's own edges come through and are embossed and tinted, without one they are painted anew."""


class StyledPointwise(nn.Module):
    """1x1 convolution, batch norm and affine; every style adds its own difference to the shared weights."""

    def __init__(self, cin, cout, styles):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin).uniform_(-1, 1) / math.sqrt(cin))
        self.norm = nn.BatchNorm2d(cout, affine=False)
        self.style_delta = nn.Parameter(torch.zeros(styles, cout, cin))
        self.style_gain = nn.Parameter(torch.ones(styles, cout))
        self.style_bias = nn.Parameter(torch.zeros(styles, cout))

    def tables(self):
        """Weights `[styles, cout, cin]` and biases `[styles, cout]` with the norm's statistics folded in."""
        gain = self.style_gain * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return gain[:, :, None] * (self.weight + self.style_delta), self.style_bias - gain * self.norm.running_mean

    def forward(self, x, mix):
        if not self.norm.training:
            weight, bias = self.tables()
            return _pointwise(x, torch.einsum("ns,soi->noi", mix, weight), mix @ bias)
        weight = torch.einsum("ns,soi->noi", mix, self.weight + self.style_delta)
        y = self.norm(_pointwise(x, weight, None))
        return y * (mix @ self.style_gain)[:, :, None, None] + (mix @ self.style_bias)[:, :, None, None]


def _pointwise(x, weight, bias):
    """A 1x1 convolution with weights `[N, cout, cin]` of their own for every picture."""
    n, _, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, -1)
    y = torch.bmm(rows, weight.transpose(1, 2).to(rows.dtype))
    if bias is not None:
        y = y + bias[:, None].to(y.dtype)
    return y.reshape(n, h, w, -1).permute(0, 3, 1, 2)


class Separable(nn.Module):
    """Depthwise 3x3 (or, with `full`, a whole 3x3 convolution), then a styled pointwise convolution."""

    def __init__(self, cin, cout, styles, full=False):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, padding=1, groups=1 if full else cin, bias=False)
        self.pointwise = StyledPointwise(cin, cout, styles)

    def forward(self, x, mix):
        return self.pointwise(self.depthwise(x), mix)


class Block(nn.Module):
    """Residual block of two separable convolutions."""

    def __init__(self, channels, styles, full):
        super().__init__()
        self.first = Separable(channels, channels, styles, full)
        self.second = Separable(channels, channels, styles)

    def forward(self, x, mix):
        return x + self.second(F.relu(self.first(x, mix)), mix)


class ResizeConv(nn.Module):
    """Bilinear resize to twice the size, then a 3x3 convolution: a flat area stays flat, so no grid can be learned.

    On export it becomes a sub-pixel convolution (Shi et al. 2016) that computes the same at the smaller size; the
    two differ only within two pixels of the border, which the generator's margin cuts off.
    """

    def __init__(self, cin, cout, styles):
        super().__init__()
        bound = 1 / math.sqrt(cin * 9)
        self.style_weight = nn.Parameter(torch.empty(cout, cin, 3, 3).uniform_(-bound, bound).repeat(styles, 1, 1, 1, 1))
        self.style_bias = nn.Parameter(torch.zeros(styles, cout))

    def forward(self, x, mix):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        if len(self.style_weight) == 1:
            return F.conv2d(x, self.style_weight[0].to(x.dtype), self.style_bias[0].to(x.dtype), padding=1)
        weight, bias = torch.einsum("ns,soiyx->noiyx", mix, self.style_weight), mix @ self.style_bias
        pictures = [F.conv2d(p[None], w.to(p.dtype), b.to(p.dtype), padding=1) for p, w, b in zip(x, weight, bias)]
        return torch.cat(pictures)

    def tables(self):
        """Weights `[styles, 4 cout, cin, 3, 3]` and biases `[styles, 4 cout]` of the sub-pixel convolution."""
        taps = bilinear_taps()
        kernel = torch.einsum("socde,pdy,qex->sopqcyx", self.style_weight, taps, taps)
        styles, cout, cin = self.style_weight.shape[:3]
        return kernel.reshape(styles, cout * 4, cin, 3, 3), self.style_bias.repeat_interleave(4, dim=1)


def without(x, margin):
    """`[N, C, H, W]` with `margin` pixels less on every side."""
    return x[:, :, margin:-margin, margin:-margin] if margin else x


def check_margin(margin):
    """The trunk works at a quarter of the size, and a generator without a margin shows its border."""
    if margin % 4 or margin < 4:
        raise SystemExit(f"--margin: {margin} is not a positive multiple of 4")


def bilinear_taps():
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

    It has no weights: export may choose another margin than training. `kernel`: side of the two strided convolutions, 3 or 4.
    `skip`: whether what is seen at half size goes past the trunk, as in a U-Net, and is added where the tail has that size.
    """

    def __init__(self, styles=1, head=16, trunk=48, blocks=4, full=False, kernel=4, skip=True, margin=8):
        super().__init__()
        self.config = {"styles": styles, "head": head, "trunk": trunk, "blocks": blocks, "full": full, "kernel": kernel, "skip": skip, "margin": margin}
        self.margin, self.skip = margin, skip
        self.down1 = nn.Conv2d(3, head, kernel, stride=2, padding=1, bias=False)
        self.down1_norm = nn.BatchNorm2d(head)
        self.down2 = nn.Conv2d(head, trunk, kernel, stride=2, padding=1, bias=False)
        self.down2_norm = nn.BatchNorm2d(trunk)
        self.blocks = nn.ModuleList([Block(trunk, styles, full) for _ in range(blocks)])
        self.narrow = Separable(trunk, head, styles)
        self.up1 = ResizeConv(head, head, 1)
        self.up2 = ResizeConv(head, 3, styles)

    def forward(self, x, mix):
        m = self.margin
        if m:
            x = F.pad(x, (m, m, m, m), mode="replicate")
        half = F.relu(self.down1_norm(self.down1(x.contiguous(memory_format=torch.channels_last))))
        y = F.relu(self.down2_norm(self.down2(half)))
        for block in self.blocks:
            y = block(y, mix)
        y = self.up1(F.relu(self.narrow(y, mix)), None)
        y = self.up2(F.relu(y + half if self.skip else y), mix)
        return without(y, m)

    def shared_and_own(self):
        """Two lists of parameters: those that all styles share, and those of which each style has its own."""
        shared, own = [], []
        for name, parameter in self.named_parameters():
            (own if ".style_" in name and not name.startswith("up1.") else shared).append(parameter)
        return shared, own

    def start_from(self, state, rows=None, option="--start"):
        """Takes the weights of another generator. `rows`: for each style the index of the other's style to start from, or
        None for the mean of all (default: one by one, or the mean if their numbers differ).

        A smaller one grows into this size and paints at first what it painted before (Net2Net, Chen et al. 2016); strided
        kernels of four taps become three, the outer one added to its neighbour. `option`: what is told of weights that do
        not fit.
        """
        own = self.state_dict()
        for name, value in state.items():
            if name in ("down1.weight", "down2.weight") and value.shape[-1] > own[name].shape[-1]:
                value = _less_a_tap(value)
            if ".style_" in name and (rows or value.shape[0] != own[name].shape[0]) and max(len(value), len(own[name])) > 1:
                mean = value.mean(0)
                value = torch.stack([mean if row is None else value[row] for row in rows or [None] * len(own[name])])
            if any(v > o for v, o in zip(value.shape, own[name].shape)):
                raise SystemExit(f"{option}: '{name}' has the shape {list(value.shape)}, this size of generator has only room for {list(own[name].shape)}")
            own[name] = value.clone() if value.shape == own[name].shape else _grown(name, value, own[name].clone())
        self.load_state_dict(own)


def _less_a_tap(kernel):
    """`[..., 4, 4]` -> `[..., 3, 3]`"""
    fold = kernel.new_tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    return fold @ kernel @ fold.T


def _grown(name, value, room):
    """`value` in the first channels of `room`; its outputs see nothing of the new channels, which keep their random weights."""
    outputs = value.shape[1] if ".style_" in name else value.shape[0]
    known = room[:, :outputs] if ".style_" in name else room[:outputs]
    if room.dim() > (2 if ".style_" in name else 1):
        known.zero_()
    if name.endswith("depthwise.weight") and room.shape[1] > 1:
        each = torch.arange(outputs)
        known[each, each] = value[:, 0]
    else:
        known[tuple(slice(n) for n in (known.shape[0], *value.shape[1:]))] = value
    return room

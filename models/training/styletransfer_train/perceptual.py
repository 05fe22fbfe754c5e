"""VGG16 features and the perceptual losses after Johnson, Alahi and Fei-Fei 2016.

Losses are relative (error over the energy of the target), so that one set of weights serves every painting.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STYLE_LAYERS = {"relu1_2": 0.5, "relu2_2": 0.7, "relu3_3": 1.0, "relu4_3": 1.0}
"""Weights of the layers: the shallow ones reward fine repeated texture, which covers flat areas with a lattice."""
CONTENT_LAYER = "relu3_3"
GAN_CONTENT_LAYER = "relu4_3"
"""Deeper, as CartoonGAN has it: the discriminator may move edges and colours more freely."""
_BLOCKS = ((1, 2), (2, 2), (3, 3), (4, 3))


class Vgg16(nn.Module):
    """Frozen VGG16 up to relu4_3. Weights: an `.npz` with keys `convB_J.weight` (OIHW) and `convB_J.bias`."""

    def __init__(self, path):
        super().__init__()
        weights = np.load(path)
        self.names = [f"conv{b}_{j}" for b, count in _BLOCKS for j in range(1, count + 1)]
        for name in self.names:
            for part in ("weight", "bias"):
                key = f"{name}.{part}"
                if key not in weights:
                    raise SystemExit(f"{path}: no array '{key}'; expected the VGG16 feature layers, found {list(weights)[:4]}...")
                self.register_buffer(key.replace(".", "_"), torch.from_numpy(weights[key].astype("float32")))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x, until="relu4_3"):
        """`x`: `[N, 3, H, W]` RGB in 0..1. Returns {layer: features}, up to layer `until`."""
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        out = {}
        for block, count in _BLOCKS:
            if block > 1:
                x = F.max_pool2d(x, 2)
            for j in range(1, count + 1):
                x = F.relu(F.conv2d(x, getattr(self, f"conv{block}_{j}_weight"), getattr(self, f"conv{block}_{j}_bias"), padding=1))
            out[f"relu{block}_{count}"] = x
            if f"relu{block}_{count}" == until:
                break
        return out


def gram(features):
    """Gram matrix `[N, C, C]` over positions, divided by their number."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(features, targets):
    """Weighted sum over the layers of |G - G_style|^2 / |G_style|^2; targets: {layer: `[N, C, C]`}, one for each picture."""
    errors = {k: (((gram(features[k]) - t) ** 2).sum((1, 2)) / (t**2).sum((1, 2))).mean() for k, t in targets.items()}
    return sum(STYLE_LAYERS[k] * error for k, error in errors.items())


def content_loss(features, photo):
    """|F - F_photo|^2 / |F_photo|^2 at one layer."""
    a, b = features.float(), photo.float()
    return ((a - b) ** 2).mean() / (b**2).mean()

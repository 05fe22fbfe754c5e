"""VGG16 features and the content loss after Johnson, Alahi and Fei-Fei 2016, relative (error over the energy of the photo's
features).
"""
import pickle

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CONTENT_LAYER = "relu3_3"
GAN_CONTENT_LAYER = "relu4_3"
"""Deeper, as CartoonGAN has it: the discriminator may move edges and colours more freely."""
LPIPS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_BLOCKS = ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))
_TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Positions of the convolutions in torchvision's `vgg16().features`."""


class Vgg16(nn.Module):
    """Frozen VGG16 up to layer `depth`. Weights: an `.npz` with keys `convB_J.weight` (OIHW) and `convB_J.bias`, or
    torchvision's `vgg16-*.pth`."""

    def __init__(self, path, depth="relu4_3"):
        super().__init__()
        weights = _read(path)
        self.blocks = _BLOCKS[: int(depth[4])]
        for name in (f"conv{b}_{j}" for b, count in self.blocks for j in range(1, count + 1)):
            for part in ("weight", "bias"):
                key = f"{name}.{part}"
                if key not in weights:
                    raise SystemExit(f"{path}: no array '{key}'; expected the VGG16 feature layers, found {list(weights)[:4]}...")
                self.register_buffer(key.replace(".", "_"), torch.as_tensor(weights[key]).float())
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x, until="relu4_3"):
        """`x`: `[N, 3, H, W]` RGB in 0..1. Returns {layer: features}, from the picture itself ("rgb") up to layer `until`."""
        out = {"rgb": x}
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        for block, count in self.blocks:
            if block > 1:
                x = F.max_pool2d(x, 2)
            for j in range(1, count + 1):
                x = F.relu(F.conv2d(x, getattr(self, f"conv{block}_{j}_weight"), getattr(self, f"conv{block}_{j}_bias"), padding=1))
            out[f"relu{block}_{count}"] = x
            if f"relu{block}_{count}" == until:
                break
        return out


def _read(path):
    try:
        return dict(np.load(path)) if str(path).endswith(".npz") else _from_torchvision(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path}: not a readable file of VGG16 weights, .npz or torchvision's .pth ({str(error)[:80]})") from None


def _from_torchvision(state):
    names = [f"conv{b}_{j}" for b, count in _BLOCKS for j in range(1, count + 1)]
    pairs = [(f"{n}.{part}", f"features.{i}.{part}") for n, i in zip(names, _TORCHVISION) for part in ("weight", "bias")]
    return {name: state[key] for name, key in pairs if key in state}


def content_loss(features, photo):
    """|F - F_photo|^2 / |F_photo|^2 at one layer, `[N]`: of each picture."""
    a, b = features.float(), photo.float()
    return ((a - b) ** 2).mean((1, 2, 3)) / (b**2).mean((1, 2, 3))

"""Photos and paintings as tensors: RGB in 0..1."""
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def _open(path):
    try:
        return Image.open(path).convert("RGB")
    except OSError as error:
        raise SystemExit(f"{path}: not a readable picture ({error})") from error


def load_painting(path, height):
    """The painting with its short side at `height` pixels (never enlarged): `[1, 3, H, W]`."""
    image = _open(path)
    if min(image.size) < 256:
        raise SystemExit(f"{path}: a painting needs at least 256 px on its short side, this one has {min(image.size)}")
    scale = min(1.0, height / min(image.size))
    image = image.resize([round(v * scale) for v in image.size], Image.LANCZOS)
    return to_tensor(image)[None]


def to_tensor(image):
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 255.0)


class Photos:
    """Random square crops at random scales and sides. Pictures are held in memory, at most `largest` pixels high."""

    def __init__(self, folder, largest=900):
        paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise SystemExit(f"{folder}: no photos found (looked for {', '.join(sorted(SUFFIXES))})")
        self.images = []
        for path in paths:
            image = _open(path)
            image.thumbnail((largest * 16 // 9, largest), Image.LANCZOS)
            self.images.append(image)

    def batch(self, rng: random.Random, count, size):
        """`[count, 3, size, size]`"""
        return torch.stack([self._crop(rng, size) for _ in range(count)])

    def _crop(self, rng, size):
        image = rng.choice(self.images)
        short = min(image.size)
        side = rng.randint(min(size, short), short)
        x = rng.randint(0, image.width - side)
        y = rng.randint(0, image.height - side)
        image = image.resize((size, size), Image.LANCZOS, box=(x, y, x + side, y + side))
        if rng.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        return to_tensor(image)

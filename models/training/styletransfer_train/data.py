"""Photos and paintings as tensors: RGB in 0..1."""
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
MIN_PAINTING = 256
"""Pixels on the short side of a painting."""
LONGEST = 8
"""Times that a painting's long side may be its short one."""
LARGEST = 4096
"""Pixels on a side that no use of a picture needs more of."""


def open_picture(path):
    """The picture in RGB: turned upright as its EXIF says, the first one of several, what is transparent on white."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * LARGEST, 2 * LARGEST))  # a huge JPEG is decoded smaller at once
            image = ImageOps.exif_transpose(image)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            return image.convert("RGB")
    except Image.DecompressionBombError as error:
        raise SystemExit(f"{path}: too large a picture ({error}); scale it to {LARGEST} px first") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's readers raise
        raise SystemExit(f"{path}: not a readable picture ({error})") from error


def pictures_in(folder):
    """The picture files of a folder, sorted. Refuses a folder without any."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SystemExit(f"{folder}: not a folder; expected one with pictures ({', '.join(sorted(SUFFIXES))})")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder}: no pictures found (looked for {', '.join(sorted(SUFFIXES))})")
    return paths


def load_painting(path, height):
    """The painting with its short side at `height` pixels (never enlarged)."""
    image = open_picture(path)
    if min(image.size) < MIN_PAINTING:
        raise SystemExit(f"{path}: a painting needs at least {MIN_PAINTING} px on its short side, this one has {min(image.size)}")
    if max(image.size) > LONGEST * min(image.size):
        raise SystemExit(f"{path}: {image.width}x{image.height} is more than {LONGEST} times as long as it is wide; cut a part out of it")
    scale = min(1.0, height / min(image.size))
    return image.resize([round(v * scale) for v in image.size], Image.LANCZOS)


def load_picture(path, width=None):
    """`[1, 3, H, W]`, sides cut to multiples of 4, scaled to `width` if given."""
    image = open_picture(path)
    if width:
        image = image.resize((width, round(image.height * width / image.width)), Image.LANCZOS)
    return to_tensor(image.crop((0, 0, image.width // 4 * 4, image.height // 4 * 4)))[None]


def to_tensor(image):
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 255.0)


def to_image(tensor):
    """`[3, H, W]` in 0..1 (clamped) to a picture."""
    pixels = (tensor.clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels)


class Batches:
    """Batches of crops by the number of the step, made ahead by threads."""

    AHEAD = 6

    def __init__(self, crops, seed, count, size):
        self.make = lambda step: crops.batch(random.Random(f"{seed} {step}"), count, size)
        self.pool = ThreadPoolExecutor(max(1, min(8, (os.cpu_count() or 1) // 2)))
        self.coming = {}

    def of_step(self, step):
        """`[count, 3, size, size]`"""
        for ahead in range(step, step + self.AHEAD):
            if ahead not in self.coming:
                self.coming[ahead] = self.pool.submit(self.make, ahead)
        return self.coming.pop(step).result()


class Crops:
    """Random square crops of pictures at random scales and sides. Pictures are held in memory, at most `largest` pixels high."""

    def __init__(self, images, largest=900):
        self.images = []
        for image in images:
            image = image.copy()
            image.thumbnail((largest * 16 // 9, largest), Image.LANCZOS)
            self.images.append(image)

    @classmethod
    def photos(cls, folder, held_out=()):
        """All pictures of `folder` but those named in `held_out`."""
        paths = pictures_in(folder)
        missing = sorted(set(held_out) - {p.name for p in paths})
        if missing:
            raise SystemExit(f"{folder}: held-out picture '{missing[0]}' is not there")
        return cls(open_picture(p) for p in paths if p.name not in held_out)

    def batch(self, rng, count, size):
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

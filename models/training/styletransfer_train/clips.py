"""Reads frames of films: videos through ffmpeg, and raw RGB as `temporal_report --dump` writes it."""
import subprocess
from pathlib import Path

import numpy as np
import torch


def read_clip(path, frames=None, width=None):
    """The first frames of a video, scaled to `width`: list of `[1, 3, H, W]` in 0..1."""
    limits = [*(("-frames:v", str(frames)) if frames else ()), *(("-vf", f"scale={width}:-4") if width else ())]
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), *limits, "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    try:
        data = subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise SystemExit("ffmpeg is not installed: it reads the clips") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{path}: ffmpeg cannot read it ({error.stderr.decode().strip()})") from None
    pictures, start = [], 0
    while start < len(data):
        _, size, _, _ = data[start : start + 64].split(b"\n", 3)
        w, h = (int(v) for v in size.split())
        start = data.index(b"255\n", start) + 4
        pictures.append(_picture(np.frombuffer(data, np.uint8, w * h * 3, start).reshape(h, w, 3)))
        start += w * h * 3
    return pictures


def read_raw(path, size, frames=None):
    """The first frames (default: all) of a file of raw RGB bytes, `size` = (width, height): list of `[1, 3, H, W]` in 0..1."""
    width, height = size
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    if not len(data) or len(data) % (width * height * 3):
        raise SystemExit(f"{path}: {len(data)} bytes are no whole number of {width}x{height} RGB frames; see --size")
    return [_picture(frame) for frame in data.reshape(-1, height, width, 3)[:frames]]


def _picture(pixels):
    return torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))[None]

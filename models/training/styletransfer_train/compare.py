"""`compare`: films of one size against a reference, e.g. smoothed against raw paintings: one table, also as JSON.

`gain` is what a film takes off the reference's warping error (Lai et al. 2018; motion of OpenCV's DIS on the film that
was painted), `sharpness` its detail (mean absolute Laplacian) over the reference's, PSNR in dB and LPIPS (Zhang et al.
2018) are to the reference.
"""
import json
import math
from pathlib import Path

import numpy as np
import torch

from . import measures
from .clips import read_clip, read_raw
from .perceptual import Vgg16


def add_arguments(parser):
    parser.add_argument("films", nargs="+", help="the reference, then those to compare: videos, or raw RGB (.rgb) as temporal_report --dump writes it")
    parser.add_argument("--of", help="the film that was painted, for gain; needs OpenCV")
    parser.add_argument("--size", help="WIDTHxHEIGHT of raw RGB")
    parser.add_argument("--frames", type=int, default=60, help="frames from the beginning")
    parser.add_argument("--every", type=int, default=4, help="LPIPS of every so many frames")
    parser.add_argument("--vgg", help="VGG16 features, for LPIPS: .npz, or torchvision's .pth")
    parser.add_argument("--lpips", help="LPIPS' linear layers (.npz)")
    parser.add_argument("--json", help="file to write the numbers to")


@torch.no_grad()
def run(args):
    if (args.vgg is None) != (args.lpips is None):
        raise SystemExit("--lpips and --vgg: LPIPS needs both")
    reference, *others = films = [_read(path, args) for path in args.films]
    of = _read(args.of, args) if args.of else None
    for path, film in [*zip(args.films[1:], others), *([(args.of, of)] if of else [])]:
        _check(path, film, args.films[0], reference)
    motion = measures.motion(of) if of else None
    lpips = measures.Lpips(args.lpips, Vgg16(args.vgg, "relu5_3")) if args.lpips else None
    base = _alone(reference, motion)
    rows = [{"film": Path(path).stem, **_row(film, reference, base, motion, lpips, args.every)} for path, film in zip(args.films, films)]
    print(table(rows))
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _read(path, args):
    if not str(path).endswith(".rgb"):
        return read_clip(path, args.frames)
    try:
        width, height = (int(v) for v in (args.size or "").split("x"))
    except ValueError:
        raise SystemExit(f"--size: raw RGB needs WIDTHxHEIGHT, found '{args.size or ''}'") from None
    return read_raw(path, (width, height), args.frames)


def _check(path, film, first, reference):
    if len(film) != len(reference) or film[0].shape != reference[0].shape:
        shape = lambda film: f"{len(film)} frames of {film[0].shape[3]}x{film[0].shape[2]}"
        raise SystemExit(f"{path}: {shape(film)}, but {first} has {shape(reference)}")


def _alone(film, motion):
    error = measures.warping_error(motion, film) if motion else None
    return error, float(np.mean([measures.detail(frame) for frame in film]))


def _row(film, reference, base, motion, lpips, every):
    error, detail = _alone(film, motion)
    square = float(np.mean([float(((a - b) ** 2).mean()) for a, b in zip(film, reference)]))
    return {
        "warping_error": error,
        "gain": 1 - error / base[0] if motion else None,
        "sharpness": detail / base[1],
        "psnr": 10 * math.log10(1 / square) if square else None,
        "lpips": float(np.mean([lpips(a, b) for a, b in list(zip(film, reference))[::every]])) if lpips else None,
    }


def table(rows):
    """Markdown."""
    show = lambda value, form: "" if value is None else format(value, form)
    lines = ["| film | E_warp | gain | sharpness | PSNR | LPIPS |", "|---|---|---|---|---|---|"]
    for r in rows:
        cells = [show(r["warping_error"], ".5f"), show(r["gain"], ".3f"), show(r["sharpness"], ".3f"), show(r["psnr"], ".1f"), show(r["lpips"], ".3f")]
        lines.append(f"| {r['film']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

"""`quantize`: static int8 (QDQ, weights per channel) of one style of a model: calibrated on photos and clip frames, then
trained to paint what the fp32 model paints.

The result is checked against the fp32 model on pictures that were not used for either and refused if it strays.
"""
import copy
import random
from pathlib import Path

import numpy as np
import torch

from .data import Batches, Crops, load_picture, pictures_in, to_image
from .equalize import equalize
from .evaluate import read_clip
from .export import Folded, write
from .imported import generator_of
from .progress import Progress
from .quantized import quantize_in_place, store_int8
from .runner import Model, style_weights

WIDTH = 640
"""Of clip frames and of the pictures that the result is checked on."""


def add_arguments(parser):
    parser.add_argument("model", help="fp32 ONNX file written by export")
    parser.add_argument("onnx", help="file to write")
    parser.add_argument("--style", default="", help="style of a model of several (default: the first)")
    parser.add_argument("--photos", required=True, help="folder of photos")
    parser.add_argument("--held-out", nargs="*", default=[], help="file names in it that are kept for the check")
    parser.add_argument("--clips", nargs="*", default=[], help="videos: frames of them count too (needs ffmpeg)")
    parser.add_argument("--pictures", type=int, default=32, help="crops to calibrate on")
    parser.add_argument("--steps", type=int, default=400, help="of training; 0: calibration alone")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=160)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--keep-float", nargs="*", default=[], help="layers that stay float, such as up2, the last: nearer to fp32, slower")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=2.0, help="largest mean difference from fp32 that passes, in 1/255")


def run(args):
    torch.manual_seed(args.seed)
    crops = Crops.photos(args.photos, args.held_out)
    crops.images += [to_image(frame[0]) for clip in args.clips for frame in read_clip(clip, 40, WIDTH)[::10]]
    rng = random.Random(args.seed)
    pictures = [crops.batch(rng, 8, 256) for _ in range(args.pictures // 8)]
    teacher, metadata = one_style(args.model, args.style)
    student = copy.deepcopy(teacher)
    equalize(student, pictures)
    quantize_in_place(student, pictures, args.keep_float)
    _train(student, teacher, Batches(crops, args.seed, args.batch, args.crop), args)
    write(student, args.onnx, {**metadata, "styletransfer.precision": "int8"}, store_int8)
    held_out = args.held_out or [p.name for p in pictures_in(args.photos)[:4]]
    check = [load_picture(Path(args.photos) / name, WIDTH) for name in held_out]
    difference, worst = _difference(f"{args.model}?style={args.style}", args.onnx, check)
    print(f"{args.onnx}: mean difference from fp32 {difference:.2f}/255, 99.9 % below {worst:.1f}/255")
    if not difference <= args.limit:
        raise SystemExit(f"{args.onnx}: strays {difference:.2f}/255 from fp32, allowed {args.limit}; try more --steps or --pictures")


def one_style(path, mix):
    """The exported model as a `Folded` of one style, and its metadata."""
    generator, metadata = generator_of(path)
    names = metadata.get("styletransfer.styles", "").split(",")
    folded = Folded(generator.eval()).eval()
    folded.fix(torch.from_numpy(style_weights(mix, names)))
    return folded, {**metadata, "styletransfer.styles": mix or names[0]}


def _train(student, teacher, batches, args):
    """Mean absolute difference from what the teacher paints; the rate falls to nothing along a cosine."""
    scales = [p for name, p in student.named_parameters() if name.endswith("log_scale")]
    weights = [p for name, p in student.named_parameters() if not name.endswith("log_scale")]
    for parameter in student.parameters():
        parameter.requires_grad_(True)
    groups = [{"params": weights, "lr": args.learning_rate}, {"params": scales, "lr": 10 * args.learning_rate}]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, args.steps))
    with Progress(args.steps, 0) as progress:
        for step in range(args.steps):
            x = batches.of_step(step)
            with torch.no_grad():
                wanted = teacher(x)
            loss = (student(x) - wanted).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.show(step + 1, {"difference": float(loss) * 255})


def _difference(full, quantized, pictures):
    """Mean and 99.9th percentile of the difference, in 1/255."""
    a, b = Model(full), Model(quantized)
    all_differences = np.concatenate([(a(p) - b(p)).abs().numpy().ravel() for p in pictures]) * 255
    return float(all_differences.mean()), float(np.percentile(all_differences, 99.9))

"""`learn`: one picture -> a style of your own, in minutes: a style file for the embedded model, or a model of that style.

Trains what each style has of its own and nothing else, from the style of the base model that is nearest to the picture. Goes
on after an interruption.
"""
import argparse
import time
from pathlib import Path

import torch
from PIL import Image

from . import train
from .checkpoints import checkpoint_of
from .data import MIN_PAINTING, load_painting, load_picture, open_picture, pictures_in, to_image, to_tensor
from .export import LICENSE, save, save_style
from .generator import Generator
from .imported import generator_of
from .wasserstein import compared

PHOTOS = Path(__file__).parent / "photos"
BASE = Path(__file__).parents[2] / "live.onnx"
SMALLEST = 48
"""Pixels on the short side of a picture."""
COMPARED = 4
"""Photos on which the base model's styles are compared with the picture."""
PREVIEW = 360
"""Pixels on the height of the preview."""
PREVIEW_EVERY = 20.0
"""Seconds between two previews."""


def add_arguments(parser):
    parser.add_argument("picture", help="painting, drawing, photo or texture, in any format that Pillow reads, at least 48 px on its short side; 400 and more are better")
    parser.add_argument("out", help="file to write: NAME.style for property style-file, or NAME.onnx for property model-file")
    parser.add_argument("--vgg", required=True, help="VGG16 features: .npz, or torchvision's vgg16-*.pth")
    parser.add_argument("--name", help="name of the style (default: from the file to write)")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to learn; longer looks better")
    parser.add_argument("--photos", default=PHOTOS, help="folder of photos to stylize while learning (default: 16 of the package)")
    parser.add_argument("--base", default=BASE, help="model of several styles that export wrote (default: live.onnx beside the package)")
    parser.add_argument("--start", help="style of the base model to start from (default: the nearest one)")
    parser.add_argument("--content-weight", type=float, default=0.3, help="the larger, the nearer to the photo")
    parser.add_argument("--crop", type=int, default=128, help="pixels on the side of what is stylized at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(args):
    out = Path(args.out)
    if out.suffix not in (".style", ".onnx"):
        raise SystemExit(f"{out}: expected a file NAME.style (for property style-file) or NAME.onnx (for property model-file)")
    if args.minutes <= 0:
        raise SystemExit(f"--minutes: {args.minutes:g} is not more than 0")
    begun, painting = time.time(), f"after {Path(args.picture).name}"
    work = out.with_name(out.name + ".learning")
    base, metadata = generator_of(args.base)
    names = metadata["styletransfer.styles"].split(",")
    if out.suffix == ".style" and "styletransfer.base" not in metadata:
        raise SystemExit(f"--base: {args.base} takes no style files (no metadata 'styletransfer.base'): export it anew, or write a .onnx")
    if args.start and args.start not in names:
        raise SystemExit(f"--start: {args.base} has no style '{args.start}'; it has {', '.join(names)}")
    args.picture = _large_enough(args.picture, work)
    job = Learning(_settings(args, out, work), base, 60 * args.minutes)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = checkpoint_of(checkpoint, args.device)
        (before,), (now,) = state["arguments"]["painting"], job.args.painting
        for before, now, what in ((before, now, "picture"), (state["arguments"]["start"], job.args.start, "base model")):
            if before != now:
                raise SystemExit(f"{work}: learns with {before} as the {what}, not {now}; remove that folder, or write to another name")
        job.load(state)
        print(f"goes on from {checkpoint} after {job.seconds:.0f} s")
    else:
        work.mkdir(parents=True, exist_ok=True)
        start = args.start or names[_nearest(job, base, args)]
        print(f"starts from '{start}'")
        job.generator.start_from(base.state_dict(), [names.index(start)])
        job.seconds = time.time() - begun
    _learn(job, checkpoint, work / "preview.jpg")
    if out.suffix == ".style":
        save_style(job.result(), out, args.base, {"styletransfer.styles": job.args.name[0], "styletransfer.paintings": painting})
    else:
        own = {"styletransfer.styles": job.args.name[0], "styletransfer.paintings": painting, "styletransfer.steps": str(job.step), "styletransfer.license": LICENSE}
        save(job.result(), out, {**{k: v for k, v in metadata.items() if k != "styletransfer.base"}, **own}, "resize")
    print(f"{out}: style '{job.args.name[0]}' after {job.step} steps in {job.seconds:.0f} s; {work}/preview.jpg shows it")


class Learning(train.Job):
    """Steps until a time has passed, however many they are."""

    def __init__(self, args, base, limit):
        super().__init__(args)
        self.generator = Generator(**{**base.config, "styles": 1}).to(args.device)
        self._optimize()
        self.limit = limit

    def share(self):
        return min(1.0, self.seconds / self.limit)

    @torch.no_grad()
    def result(self):
        """The generator with the averaged weights."""
        generator = Generator(**self.generator.config).eval()
        generator.load_state_dict(self.average)
        return generator


def _settings(args, out, work):
    """What `train` would be called with."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    name = args.name or out.stem
    if "," in name or ":" in name:
        raise SystemExit(f"--name: '{name}' holds ',' or ':', which separate styles in property style")
    known = [Path(args.picture).resolve(), "--photos", args.photos, "--vgg", args.vgg, "--out", work, "--name", name, "--start", Path(args.base).resolve(), "--freeze-shared"]
    rest = ["--content-weight", args.content_weight, "--crop", args.crop, "--seed", args.seed, "--device", args.device, "--average-over", 60]
    settings = parser.parse_args(["--painting", *map(str, known + rest)])
    train.check(settings)
    return settings


def _large_enough(path, work):
    """The picture's path, or that of an enlarged copy where it is small: a texture of 64 px is a style, too."""
    image = open_picture(path)
    if min(image.size) >= MIN_PAINTING:
        return path
    if min(image.size) < SMALLEST:
        raise SystemExit(f"{path}: {image.width}x{image.height} is too small for a style; expected at least {SMALLEST} px on the short side")
    scale = MIN_PAINTING / min(image.size)
    print(f"{path}: {image.width}x{image.height} is enlarged {scale:.1f} times; a larger picture looks better")
    work.mkdir(parents=True, exist_ok=True)
    larger = work / "enlarged.png"
    image.resize([max(MIN_PAINTING, round(side * scale)) for side in image.size], Image.LANCZOS).save(larger)
    return larger


@torch.no_grad()
def _nearest(job, base, args):
    """Index of the base's style that paints what is nearest to the picture."""
    rng = torch.Generator().manual_seed(args.seed)
    photos = job.photos.of_step(0).to(args.device)
    more = [job.photos.of_step(step).to(args.device) for step in range(1, COMPARED // len(photos))]
    photos = torch.cat([photos, *more])
    base = base.to(args.device).eval()
    mixes = torch.eye(base.config["styles"], device=args.device)
    target, vgg = job.recipe.targets[0], job.recipe.vgg
    far = [float(target.distance(compared(vgg(base(photos, mix.expand(len(photos), -1)).clamp(0, 1)), rng))) for mix in mixes]
    return min(range(len(far)), key=far.__getitem__)


def _learn(job, checkpoint, preview):
    photo = load_picture(pictures_in(job.args.photos)[0], width=480).to(job.args.device)
    shown = 0.0
    while job.average is None or job.share() < 1:
        begun = time.time()
        losses = job.one_step()
        if begun - shown >= PREVIEW_EVERY:
            _save_preview(job, photo, preview)
            train.save(job, checkpoint)
            print(f"{job.seconds:4.0f} of {job.limit:.0f} s, {job.step} steps: style {losses['style']:.2f}, content {losses['content']:.2f}", flush=True)
            shown = begun
        job.seconds += time.time() - begun
    _save_preview(job, photo, preview)
    train.save(job, checkpoint)


@torch.no_grad()
def _save_preview(job, photo, path):
    """The picture, a photo, and the photo stylized, side by side."""
    painted = job.result().to(photo.device)(photo, torch.ones(1, 1, device=photo.device))[0].clamp(0, 1).cpu()
    parts = [to_tensor(load_painting(job.args.painting[0], PREVIEW)), photo[0].cpu(), painted]
    parts = [torch.nn.functional.interpolate(p[None], size=(PREVIEW, round(p.shape[2] * PREVIEW / p.shape[1])), mode="area")[0] for p in parts]
    partial = path.with_suffix(".part.jpg")
    to_image(torch.cat(parts, 2)).save(partial, quality=90)
    partial.replace(path)

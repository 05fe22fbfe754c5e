"""`everything`: trains all that ships, one after the other: live and fine model of the styles of one painting each, and the
GAN style.

A model of several styles is trained twice: as a whole, then the styles' own weights alone, so that each style sees more
pictures. Meant for one GPU. Needs a folder with `photos/` and `styles/`. Each run goes on from its checkpoint; `export`
turns the last checkpoints (`live-styles`, `fine-styles`, `van-gogh`) into ONNX files anywhere.
"""
import argparse
import time
from pathlib import Path

from . import train

STYLES = {
    "great-wave": "hokusai_great_wave.jpg",
    "starry-night": "vangogh_starry_night_google.jpg",
    "the-scream": "munch_the_scream.jpg",
    "composition-vii": "kandinsky_composition_vii.jpg",
    "udnie": "picabia_udnie.jpg",
    "the-kiss": "klimt_the_kiss.jpg",
    "grande-jatte": "seurat_grande_jatte.jpg",
    "water-lilies": "monet_water_lilies_1919.jpg",
    "contrast-of-forms": "leger_contrast_of_forms.jpg",
    "metzinger": "delaunay_1906_portrait.jpg",
    "mondrian": "mondrian_composition.jpg",
    "woman-with-hat": "matisse_woman_with_hat.jpg",
    "red-chalk": "chalk_woman_in_peasant_dress.jpg",
}
GAN_STYLE, GAN_PAINTINGS = "van-gogh", "vangogh_*.jpg"
SMALLEST_PAINTING = 400
"""Van Goghs of fewer pixels on their short side show no brush strokes and are left out."""

BALANCE = ("--group", 4)
"""Weights of the losses of the perceptual styles that are not the defaults of `train`."""
GAN_BALANCE = ("--content-weight", 0.6, "--style-weight", 1, "--stability-weight", 24, "--grid-weight", 4000)
"""The same of the GAN style."""

FULL = {"live": 16000, "live-styles": 16000, "fine": 12000, "fine-styles": 12000, "van-gogh": 6000}
"""Steps of the runs; `-styles`: the styles' own weights alone, on top of the run before."""
SMOKE = {"live": 3, "live-styles": 2, "fine": 2, "fine-styles": 1, "van-gogh": 2}


def add_arguments(parser):
    parser.add_argument("--data", required=True, help="folder with photos/ and styles/")
    parser.add_argument("--vgg", required=True, help="VGG16 features: .npz, or torchvision's .pth")
    parser.add_argument("--out", required=True, help="folder for the runs' folders")
    parser.add_argument("--held-out", nargs="*", default=[], help="photos kept from training")
    parser.add_argument("--only", choices=sorted(FULL), nargs="*", help="these runs alone")
    parser.add_argument("--smoke", action="store_true", help="a few small steps of each, to see that all is there")


def run(args):
    for name in args.only or FULL:
        started = time.time()
        train.run(_run_arguments(args, name))
        print(f"{name}: {time.time() - started:.0f} s")


def _run_arguments(args, name):
    styles, out = Path(args.data) / "styles", Path(args.out) / name
    size, _, refined = name.partition("-")
    given = ["--photos", Path(args.data) / "photos", "--vgg", args.vgg, "--out", out, "--warmup", 300]
    if args.held_out:
        given += ["--held-out", *args.held_out]
    if name == GAN_STYLE:
        given += [*GAN_BALANCE, "--recipe", "gan", "--name", GAN_STYLE, "--painting", *_van_goghs(styles)]
    else:
        given += [*BALANCE, "--size", size, "--name", *STYLES, "--painting", *(styles / file for file in STYLES.values())]
        if refined:
            given += ["--freeze-shared", "--start", out.with_name(size) / "checkpoint.pt"]
    if args.smoke:
        given += ["--steps", SMOKE[name], "--crop", 96, "--batch", 4, "--painting-size", 128, "--warmup", 1, "--sheet-every", 0]
    else:
        given += ["--steps", FULL[name], "--crop", 288, "--batch", 16]
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args([str(v) for v in given])


def _van_goghs(folder):
    from .data import open_picture

    found = [p for p in sorted(folder.glob(GAN_PAINTINGS)) if min(open_picture(p).size) >= SMALLEST_PAINTING]
    if not found:
        raise SystemExit(f"{folder}: no paintings '{GAN_PAINTINGS}' of at least {SMALLEST_PAINTING} px")
    return found

"""`everything`: trains all that ships, one after the other: live and fine model of the eight styles, and the GAN style.

Meant for one GPU: under 25 minutes there. Needs a folder with `vgg16_features_fp16.npz` (or another name, see --vgg),
`photos/` and `styles/`. Each run goes on from its checkpoint; `export` turns the checkpoints into ONNX files anywhere.
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
}
GAN_STYLE, GAN_PAINTINGS = "van-gogh", "vangogh_*.jpg"
SMALLEST_PAINTING = 400
"""Van Goghs of fewer pixels on their short side show no brush strokes and are left out."""

BALANCE = ("--content-weight", 0.6, 0.6, 0.6, 0.55, 1.0, 0.6, 0.75, 0.6, "--flat-style", 0.25, 0.7, 0.6, 0.35, 0.5, 0.5, 0.3, 0.8, "--palette-weight", 2.4, "--tone-weight", 1.5, "--flat-weight", 25, "--variation-weight", 0.7, "--stability-weight", 150, "--grid-weight", 6000)
"""Of the losses of the eight styles (content, flat: one for each), as the live model had it last."""
GAN_BALANCE = ("--content-weight", 0.6, "--palette-weight", 0.5, "--tone-weight", 0.8, "--flat-weight", 25, "--variation-weight", 1, "--stability-weight", 110, "--grid-weight", 4000)
"""The same of the GAN style."""

FULL = {"live": 12000, "fine": 10000, "van-gogh": 6000}
SMOKE = {"live": 3, "fine": 2, "van-gogh": 2}


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
    given = ["--photos", Path(args.data) / "photos", "--vgg", args.vgg, "--out", out, "--warmup", 300]
    if args.held_out:
        given += ["--held-out", *args.held_out]
    if name == GAN_STYLE:
        given += [*GAN_BALANCE, "--recipe", "gan", "--name", GAN_STYLE, "--painting", *_van_goghs(styles)]
    else:
        given += [*BALANCE, "--size", name, "--name", *STYLES, "--painting", *(styles / file for file in STYLES.values())]
    if args.smoke:
        given += ["--steps", SMOKE[name], "--crop", 96, "--batch", 2, "--painting-size", 128, "--warmup", 1, "--sheet-every", 0]
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

"""`evaluate`: compares any number of ONNX style models on pictures and clips: one table, also as JSON.

`gain` says how much nearer to its painting stylizing brings a photo (1: not to be told from it, 0: no nearer, by layer in the
JSON; see `measures.Gain`), `least` is the gain of the worst layer of VGG16, `rank` the place of its own painting among those
of `--paintings` by nearness to the stylized photo, the median of the photos. The content loss is relative, as in training.
`grid` and `border` are the picture's score over the input's own: 1 is as clean. For `border` the picture is stylized in
overlapping parts, since a whole picture has flat surroundings around its subject as a rule, which a style may texture. `cut`
compares with the same part of a larger painting: 1 means that the border does not show.
"""
import json
import time
from pathlib import Path

import numpy as np
import torch

from . import measures
from .clips import read_clip
from .data import load_painting, load_picture, pictures_in, to_tensor
from .perceptual import Vgg16
from .runner import Model

COLUMNS = ("model", "gain", "least", "rank", "content", "LPIPS", "E_warp", "of input", "grid", "border", "cut", "GMAC", "weights", "ms", "of first")


def add_arguments(parser):
    parser.add_argument("models", nargs="+", help="FILE or FILE?key=value&...: contract keys, style, painting, label")
    parser.add_argument("--photos", required=True, nargs="+", help="pictures, 640 px wide in the test")
    parser.add_argument("--clips", nargs="*", default=[], help="videos; needs ffmpeg and OpenCV")
    parser.add_argument("--frames", type=int, default=24, help="frames of each clip")
    parser.add_argument("--vgg", required=True, help="VGG16 features: .npz, or torchvision's .pth")
    parser.add_argument("--lpips", help="LPIPS' linear layers (.npz); without it that column stays empty")
    parser.add_argument("--paintings", nargs="*", default=[], help="folders of paintings that the rank is taken among")
    parser.add_argument("--painting-size", type=int, default=432, help="pixels on the paintings' short side")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20, help="timed runs of each model, in turns")
    parser.add_argument("--json", help="file to write the numbers to")


@torch.no_grad()
def run(args):
    models = [Model(named, args.threads) for named in args.models]
    depth = "relu5_3" if args.lpips else "relu4_3"
    vgg = Vgg16(args.vgg, depth)
    lpips = measures.Lpips(args.lpips, vgg) if args.lpips else None
    photos = [load_picture(p, width=640) for p in args.photos]
    clips = [read_clip(p, args.frames, width=640) for p in args.clips]
    motions = [measures.motion(clip) for clip in clips]
    paintings = Paintings(args, vgg)
    rows = [_row(model, vgg, lpips, paintings, photos, clips, motions) for model in models]
    for row, milliseconds in zip(rows, _times(models, args.rounds)):
        row["milliseconds"] = milliseconds
        row["share_of_first"] = milliseconds / rows[0].get("milliseconds", milliseconds)
    print(table(rows))
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


class Paintings:
    """Profiles of the models' paintings and of those that the rank is taken among, each made once."""

    def __init__(self, args, vgg):
        self.gain, self.size, self.known = measures.Gain(vgg), args.painting_size, {}
        self.others = {path.resolve() for folder in args.paintings for path in pictures_in(folder)}

    def judge(self, painting, photos, stylized):
        """Gain by layer, its mean and least over VGG16's layers, and the rank, of pictures `[1, 3, H, W]`."""
        photos, stylized = ([self.gain.profile(x) for x in pictures] for pictures in (photos, stylized))
        by_layer = self.gain(photos, stylized, self._of(painting))
        layers = [g for name, g in by_layer.items() if name != "rgb"]
        others = [self._of(path) for path in self.others - {Path(painting).resolve()}]
        ranks = [self.gain.rank(y, self._of(painting), others) for y in stylized] if others else []
        return {"gain_by_layer": by_layer, "gain": float(np.mean(layers)), "least_gain": min(layers), "rank": float(np.median(ranks)) if ranks else None}

    def _of(self, path):
        path = Path(path).resolve()
        if path not in self.known:
            self.known[path] = self.gain.profile(to_tensor(load_painting(path, self.size))[None])
        return self.known[path]


def _row(model, vgg, lpips, paintings, photos, clips, motions):
    stylized = [model(photo) for photo in photos]
    frame = model.blank()
    macs, weights = measures.cost(model.path, {model.input.name: frame, **model.weights})
    row = {
        "model": model.label,
        **(paintings.judge(model.painting, photos, stylized) if model.painting else {}),
        "content_loss": float(np.mean([measures.relative_content(vgg, y, x) for x, y in zip(photos, stylized)])),
        "lpips": float(np.mean([lpips(x, y) for x, y in zip(photos, stylized)])) if lpips else None,
        "gmac": macs / 1e9 * model.scale,
        "weights": weights,
    }
    if clips:
        shown = [[model(frame) for frame in clip] for clip in clips]
        row["warping_error"] = float(np.mean([measures.warping_error(m, s) for m, s in zip(motions, shown)]))
        row["input_warping_error"] = float(np.mean([measures.warping_error(m, c) for m, c in zip(motions, clips)]))
        photos, stylized = photos + [c[0] for c in clips], stylized + [s[0] for s in shown]
    patches = [measures.flat_patches(x) for x in photos]
    row["grid"] = _ratio([measures.grid_energy(y, p) for y, p in zip(stylized, patches)], [measures.grid_energy(x, p) for x, p in zip(photos, patches)])
    parts = [measures.windows(x) for x in photos]
    row["border"] = _ratio([measures.border_energy([model(p) for p in of]) for of in parts], [measures.border_energy(of) for of in parts])
    inside = [model(_inside(x, BEYOND)) for x in photos]
    row["cut"] = _ratio([measures.border_energy([y]) for y in inside], [measures.border_energy([_inside(y, BEYOND)]) for y in stylized])
    return row


BEYOND = 48
"""Pixels cut off on every side, a multiple of 4: what the larger painting knows beyond the border."""


def _inside(picture, cut):
    return picture[:, :, cut : picture.shape[2] - cut, cut : picture.shape[3] - cut]


def _ratio(of, to):
    """Geometric mean of the pictures' ratios."""
    return float(np.exp(np.mean(np.log(np.maximum(of, 1e-9)) - np.log(np.maximum(to, 1e-9)))))


def _times(models, rounds):
    """Best milliseconds at 640x360 (models of fixed size: at theirs, by the pixel), measured in turns."""
    fed, best = [model.blank() for model in models], [float("inf")] * len(models)
    for _ in range(rounds):
        for i, (model, tensor) in enumerate(zip(models, fed)):
            started = time.perf_counter()
            model.session.run(None, {model.input.name: tensor, **model.weights})
            best[i] = min(best[i], (time.perf_counter() - started) * 1e3 * model.scale)
    return best


def table(rows):
    """Markdown."""
    show = lambda value, form: "" if value is None else format(value, form)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for r in rows:
        cells = [
            r["model"], show(r.get("gain"), ".2f"), show(r.get("least_gain"), ".2f"), show(r.get("rank"), ".0f"), show(r["content_loss"], ".2f"), show(r["lpips"], ".2f"),
            show(r.get("warping_error"), ".4f"), show(r.get("input_warping_error"), ".4f"),
            show(r["grid"], ".2f"), show(r["border"], ".2f"), show(r["cut"], ".2f"), show(r["gmac"], ".2f"), show(r["weights"], ",d"),
            show(r["milliseconds"], ".1f"), show(r["share_of_first"], ".3f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)

"""`train`: one painting -> one generator, by perceptual loss with stability terms.

Stability: the output of a shifted, noisy, slightly brighter frame must be the shifted output (exactly known motion).
"""
import json
import random
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from .data import Photos, load_painting
from .generator import Generator
from .perceptual import CONTENT_LAYER, STYLE_LAYERS, Vgg16, content_loss, gram, style_loss

MAX_SHIFT = 24
"""Pixels that the second view is moved by at most: far enough that what lies at a border in one is inside the other."""


def add_arguments(parser):
    parser.add_argument("--painting", required=True, help="picture file of the style")
    parser.add_argument("--photos", required=True, help="folder of content photos")
    parser.add_argument("--vgg", required=True, help="VGG16 features (.npz)")
    parser.add_argument("--out", required=True, help="folder for checkpoint and log")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--warmup", type=int, default=200, help="first steps that only learn to copy the input")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--painting-size", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--content-weight", type=float, default=0.7)
    parser.add_argument("--variation-weight", type=float, default=2.0)
    parser.add_argument("--stability-weight", type=float, default=150.0)
    parser.add_argument("--frozen-share", type=float, default=0.5, help="last share of the steps with frozen norm statistics")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(args):
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    job = _Job(args)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        job.load(torch.load(checkpoint, map_location=args.device))
        print(f"resumed from {checkpoint} at step {job.step}")
    with open(out / "log.jsonl", "a", encoding="utf-8") as log:
        started = time.time()
        while job.step < args.steps:
            losses = job.one_step()
            if job.step % 20 == 0:
                losses.update(step=job.step, seconds=round(time.time() - started, 1))
                log.write(json.dumps(losses) + "\n")
                log.flush()
                print(losses, flush=True)
            if job.step % 200 == 0 or job.step == args.steps:
                partial = checkpoint.with_suffix(".part")
                torch.save(job.state(), partial)
                partial.replace(checkpoint)


class _Job:
    def __init__(self, args):
        self.args = args
        self.step = 0
        self.photos = Photos(args.photos)
        self.vgg = Vgg16(args.vgg).to(args.device)
        self.generator = Generator().to(args.device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=args.learning_rate)
        painting = load_painting(args.painting, args.painting_size).to(args.device)
        with torch.no_grad():
            features = self.vgg(painting)
        self.targets = {k: gram(features[k])[0] for k in STYLE_LAYERS}

    def state(self):
        return {
            "step": self.step,
            "generator": self.generator.state_dict(),
            "config": self.generator.config,
            "optimizer": self.optimizer.state_dict(),
            "arguments": {k: v for k, v in vars(self.args).items() if k != "run"},
        }

    def load(self, state):
        self.step = state["step"]
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])

    def one_step(self):
        self._schedule()
        args = self.args
        rng = random.Random(args.seed * 1_000_003 + self.step)
        torch.manual_seed(rng.getrandbits(40))
        wide = self.photos.batch(rng, args.batch, args.crop + 2 * MAX_SHIFT).to(args.device)
        with torch.autocast(torch.device(args.device).type, torch.bfloat16):
            losses = self._warmup(wide) if self.step < args.warmup else self._losses(wide, rng)
        total = sum(losses.values())
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {k: round(float(v.detach()), 4) for k, v in losses.items()}

    def _schedule(self):
        share = self.step / self.args.steps
        cosine = 0.5 * (1 + torch.cos(torch.tensor(share * torch.pi))).item()
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.learning_rate * (0.02 + 0.98 * cosine)
        self.generator.train(share < 1 - self.args.frozen_share)

    def _warmup(self, wide):
        x = wide[:, :, MAX_SHIFT:-MAX_SHIFT, MAX_SHIFT:-MAX_SHIFT]
        return {"copy": (self.generator(x).float() - x).abs().mean()}

    def _losses(self, wide, rng):
        args, size = self.args, self.args.crop
        x = _crop(wide, 0, 0, size)
        dx, dy = (rng.randint(-MAX_SHIFT, MAX_SHIFT) for _ in range(2))
        moved = _crop(wide, dx, dy, size)
        noise = torch.randn_like(moved) * rng.uniform(0, 0.03) + rng.uniform(-0.02, 0.02)
        both = self.generator(torch.cat([x, (moved + noise).clamp(0, 1)])).float()
        y, y_moved = both.chunk(2)
        # VGG pads with zeros and so rewards a bright line along the border: it sees the interior only.
        features = self.vgg(_interior(y))
        with torch.no_grad():
            photo = self.vgg(_interior(x), until=CONTENT_LAYER)
        outside = (F.relu(y - 1) ** 2 + F.relu(-y) ** 2).mean()
        return {
            "style": style_loss(features, self.targets),
            "content": args.content_weight * content_loss(features[CONTENT_LAYER], photo[CONTENT_LAYER]),
            "variation": args.variation_weight * _variation(y),
            "stability": args.stability_weight * _moved_error(y, y_moved, dx, dy),
            "range": 10 * outside,
        }


def _crop(wide, dx, dy, size):
    top, left = MAX_SHIFT + dy, MAX_SHIFT + dx
    return wide[:, :, top : top + size, left : left + size]


def _interior(x, border=8):
    return x[:, :, border:-border, border:-border]


def _variation(y):
    return ((y[:, :, 1:] - y[:, :, :-1]) ** 2).mean() + ((y[:, :, :, 1:] - y[:, :, :, :-1]) ** 2).mean()


def _moved_error(y, moved, dx, dy):
    """Mean squared difference where both see the same part of the scene; `moved[p] == y[p + (dx, dy)]` is wanted."""
    height, width = y.shape[2:]
    a = y[:, :, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    b = moved[:, :, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    return ((a - b) ** 2).mean()

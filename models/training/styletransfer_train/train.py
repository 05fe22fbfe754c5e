"""`train`: paintings -> one generator with a style for each (perceptual), or one style from a set of them (gan).

Goes on from its checkpoint after an interruption, with the same losses as without one.
"""
import copy
import json
import math
import random
import time
from pathlib import Path

import torch

from .checkpoints import checkpoint_of, save_checkpoint
from .data import Batches, Crops, load_picture, to_image
from .generator import SIZES, Generator, check_margin, without
from .imported import weights_of
from .motion import MAX_SHIFT, Pair
from .perceptual import Vgg16
from .progress import Progress
from .recipes import RECIPES, lattice, out_of_range
from .style_adam import StyleAdam


def add_arguments(parser):
    parser.add_argument("--painting", required=True, nargs="+", help="picture files; perceptual: one style each, in this order; gan: all of them one style")
    parser.add_argument("--name", nargs="+", help="names of the styles, as many as there are (default: from the file names)")
    parser.add_argument("--photos", required=True, help="folder of content photos")
    parser.add_argument("--held-out", nargs="*", default=[], help="file names in it that are kept from training and shown on the contact sheet")
    parser.add_argument("--vgg", required=True, help="VGG16 features: .npz, or torchvision's .pth")
    parser.add_argument("--out", required=True, help="folder for checkpoint, log and contact sheets")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="perceptual")
    parser.add_argument("--size", choices=sorted(SIZES), default="live")
    parser.add_argument("--start", help="checkpoint.pt or exported .onnx whose weights to start from, instead of learning to copy first; styles start from those of the same name, others from the mean of all; a smaller size of generator grows into a larger one")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--warmup", type=int, default=200, help="first steps that only learn to copy the input")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--group", type=int, default=2, help="pictures of a batch that share a style; their features count as one distribution")
    parser.add_argument("--remembered", type=int, default=2, help="earlier groups of the style that count along")
    parser.add_argument("--painting-size", type=int, nargs="+", default=[360, 432, 540], help="pixels on the painting's short side; several: strokes of all these scales")
    parser.add_argument("--learning-rate", type=float, help="default: 1.5e-3; gan: 2e-4")
    parser.add_argument("--own-rate", type=float, help="learning rate of the styles' own weights, as a multiple of the other one (default: 1.3; gan: 1)")
    parser.add_argument("--rise", type=int, default=50, help="first steps in which the learning rate rises")
    parser.add_argument("--content-weight", type=float, nargs="+", default=[0.3], help="the larger, the nearer to the photo; perceptual: one for all styles, or one for each")
    parser.add_argument("--content-goal", type=float, default=2.2, help="perceptual: relative content loss that each style's weight is steered to; 0: the weights stay. Classic networks have 2.3 to 2.8")
    parser.add_argument("--adversarial-weight", type=float, default=1.0)
    parser.add_argument("--style-weight", type=float, default=4.0, help="of the distance to the painting's (gan: the set's) distribution of features")
    parser.add_argument("--tone-weight", type=float, default=2.5, help="perceptual: for what is dark in the photo to stay darker than what is light")
    parser.add_argument("--relief-weight", type=float, default=80.0, help="perceptual: against light and dark sides of every edge")
    parser.add_argument("--stability-weight", type=float, default=40.0, help="at the end; two fifths of it at the start")
    parser.add_argument("--grid-weight", type=float, default=5000.0, help="against patterns tied to the generator's stride")
    parser.add_argument("--margin", type=int, default=16, help="pixels around the crop that the generator adds by repeating the edge; a multiple of 4; export keeps it")
    parser.add_argument("--frozen-share", type=float, help="last share of the steps with frozen norm statistics (default: 0.5; with --start all)")
    parser.add_argument("--freeze-shared", action="store_true", help="trains the styles' own weights alone: with --start, to teach further styles or to refine each")
    parser.add_argument("--sheet-every", type=int, default=500, help="steps between contact sheets of the held-out pictures; 0: none")
    parser.add_argument("--log-every", type=int, default=20, help="steps between lines of the log")
    parser.add_argument("--average-over", type=int, default=500, help="steps that the exported weights are about the mean of")
    parser.add_argument("--save-every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def run(args):
    check(args)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    job = Job(args)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        job.load(checkpoint_of(checkpoint, args.device))
        print(f"resumed from {checkpoint} at step {job.step}")
    elif args.start:
        state, known = weights_of(args.start, args.device)
        rows = [known.index(name) if name in known else None for name in args.name]
        job.generator.start_from(state, rows if any(row is not None for row in rows) else None)
    _forget_after(out / "log.jsonl", job.step)
    with open(out / "log.jsonl", "a", encoding="utf-8") as log, Progress(args.steps, job.step) as progress:
        while job.step < args.steps:
            started = time.time()
            losses = job.one_step()
            job.seconds += time.time() - started
            progress.show(job.step, losses)
            if job.step % args.log_every == 0 or job.step == args.steps:
                log.write(json.dumps({"step": job.step, "seconds": round(job.seconds, 1), **losses}) + "\n")
                log.flush()
            if job.step % args.save_every == 0 or job.step == args.steps:
                save(job, checkpoint)
            if args.sheet_every and args.held_out and job.step % args.sheet_every == 0:
                job.contact_sheet().save(out / f"sheet-{job.step:06}.jpg", quality=88)


def check(args):
    """Refuses arguments that do not fit together, and fills in defaults that depend on others."""
    names = args.name or [Path(p).stem.replace("_", "-") for p in args.painting]
    wanted = len(args.painting) if args.recipe == "perceptual" else 1
    if args.recipe == "gan" and not args.name:
        raise SystemExit("--name: a style trained from a set of paintings needs a name")
    if len(names) != wanted:
        raise SystemExit(f"--name: {wanted} style(s), but {len(names)} name(s)")
    args.name = names
    if len(args.content_weight) not in (1, len(names)):
        raise SystemExit(f"--content-weight: one number or one for each of {len(names)} style(s), but {len(args.content_weight)} given")
    if args.batch % args.group and args.recipe == "perceptual":
        raise SystemExit(f"--group: {args.group} picture(s) of a style do not go into a batch of {args.batch} without rest")
    if args.frozen_share is None:
        args.frozen_share = 1.0 if args.start else 0.5
    args.own_rate = args.own_rate or (1.3 if args.recipe == "perceptual" else 1.0)
    args.learning_rate = args.learning_rate or (1.5e-3 if args.recipe == "perceptual" else 2e-4)
    check_margin(args.margin)
    if args.crop % 4 or args.crop < 96:
        raise SystemExit(f"--crop: {args.crop} is not a multiple of 4 of at least 96")


def _forget_after(log, step):
    """Lines that a killed run wrote after its last checkpoint would stand twice."""
    if log.exists():
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
        log.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _step_of(line):
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf


def _computes_bf16(device):
    """Whether bf16 is faster than fp32 there: on a CPU only with instructions for it."""
    if torch.device(device).type != "cpu":
        return True
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(name in flags.read_text(encoding="utf-8") for name in ("avx512_bf16", "amx_bf16"))


def save(job, path):
    """Writes a checkpoint, whole or not at all."""
    partial = path.with_suffix(".part")
    save_checkpoint(job.state(), partial)
    partial.replace(path)


class Job:
    """Generator, optimizer and data of a run; a step depends on the checkpoint and its own number alone."""

    def __init__(self, args):
        self.args = args
        self.step, self.seconds = 0, 0.0
        self.photos = Batches(Crops.photos(args.photos, args.held_out), args.seed, args.batch, args.crop + 2 * MAX_SHIFT)
        vgg = Vgg16(args.vgg).to(args.device)
        self.recipe = RECIPES[args.recipe](args, vgg)
        self.generator = Generator(self.recipe.styles, margin=args.margin, **SIZES[args.size]).to(args.device)
        self.bf16 = _computes_bf16(args.device)
        self._optimize()
        self.average = None

    def _optimize(self):
        """Makes the optimizers; `--freeze-shared` leaves only that of the weights that each style has of its own."""
        args = self.args
        shared, own = self.generator.shared_and_own()
        self.own = StyleAdam([{"params": own, "rate": args.learning_rate * args.own_rate}])
        self.shared = None
        if args.freeze_shared:
            for parameter in shared:
                parameter.requires_grad_(False)
        else:
            betas = (0.5, 0.999) if args.recipe == "gan" else (0.9, 0.99)
            self.shared = torch.optim.Adam([{"params": shared, "rate": args.learning_rate}], betas=betas)

    def state(self):
        return {
            "step": self.step,
            "seconds": self.seconds,
            "generator": self.average or self.generator.state_dict(),
            "last": self.generator.state_dict(),
            "config": self.generator.config,
            "own": self.own.state_dict(),
            "shared": self.shared and self.shared.state_dict(),
            "recipe": self.recipe.state(),
            "styles": self.args.name,
            "arguments": {k: v for k, v in vars(self.args).items() if k != "run"},
        }

    def load(self, state):
        if state["config"] != self.generator.config or state["styles"] != self.args.name:
            raise SystemExit(f"{self.args.out}: its checkpoint has the styles {state['styles']} and {state['config']}; take another --out")
        self.step, self.seconds = state["step"], state["seconds"]
        self.generator.load_state_dict(state["last"])
        self.average = state["generator"]
        self.own.load_state_dict(state["own"])
        if self.shared:
            self.shared.load_state_dict(state["shared"])
        self.recipe.load(state["recipe"])

    def one_step(self):
        self._schedule()
        args = self.args
        rng = random.Random(args.seed * 1_000_003 + self.step)
        torch.manual_seed(rng.getrandbits(40))
        wide = self.photos.of_step(self.step).to(args.device)
        style = self._turn()
        with torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=self.bf16):
            copying = self.step < args.warmup and not args.start
            losses = self._copy(wide, style) if copying else self._losses(wide, style, rng)
        total = sum(losses.values())
        self.generator.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.own.step(style)
        if self.shared:
            self.shared.step()
        self.step += 1
        self._follow()
        return {k: round(float(v.detach()), 4) for k, v in losses.items()}

    @torch.no_grad()
    def _follow(self):
        """The exported weights: a mean that forgets, of which the first steps take little part."""
        now = self.generator.state_dict()
        if self.average is None:
            self.average = {name: value.clone() for name, value in now.items()}
        kept = min(1 - 1 / self.args.average_over, self.step / (self.step + 9))
        for name, value in self.average.items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - kept)
            else:
                value.copy_(now[name])

    def _turn(self):
        """Styles of this batch, one for each group: every style has its turn once before any has its second."""
        styles = self.recipe.styles
        groups = max(1, self.args.batch // self.args.group)
        turns = range(self.step * groups, (self.step + 1) * groups)
        shuffled = {turn // styles: random.Random(turn // styles).sample(range(styles), styles) for turn in turns}
        chosen = [shuffled[turn // styles][turn % styles] for turn in turns]
        return [chosen[min(picture // self.args.group, groups - 1)] for picture in range(self.args.batch)]

    def _mix(self, style):
        return torch.eye(self.recipe.styles, device=self.args.device)[style]

    def share(self):
        """How much of the training is done, 0..1."""
        return self.step / self.args.steps

    def _schedule(self):
        share = self.share()
        rise = min(1.0, (self.step + 1) / self.args.rise)
        self.stability_weight = self.args.stability_weight * (0.4 + 0.6 * share)
        for group in [*self.own.param_groups, *(self.shared.param_groups if self.shared else [])]:
            group["lr"] = group["rate"] * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        self.generator.train(share < 1 - self.args.frozen_share and not self.args.freeze_shared)

    def _copy(self, wide, style):
        x = wide[:, :, MAX_SHIFT:-MAX_SHIFT, MAX_SHIFT:-MAX_SHIFT]
        return {"copy": (self.generator(x, self._mix(style)).float() - x).abs().mean()}

    def _losses(self, wide, style, rng):
        """The first view is painted within its surroundings, so that no line along its border can be learned from it; the
        second one has its edge repeated instead, as frames have, and is to look the same.
        """
        args = self.args
        pair = Pair(wide, args.crop, rng)
        mix = self._mix(style)
        first = without(self.generator(pair.around(wide), mix).float(), MAX_SHIFT)
        second = self.generator(pair.second, mix).float()
        return {
            **self.recipe.terms(pair.first, first, style, rng),
            "stability": self.stability_weight * pair.error(first, second),
            "grid": args.grid_weight * lattice(first),
            "range": 10 * out_of_range(first),
        }

    @torch.no_grad()
    def contact_sheet(self):
        """A row for every held-out picture: itself, then every style."""
        generator = copy.deepcopy(self.generator).eval()
        generator.load_state_dict(self.average)
        rows = []
        for name in self.args.held_out:
            x = load_picture(Path(self.args.photos) / name, width=480).to(self.args.device)
            painted = [generator(x, self._mix([s]))[0].clamp(0, 1) for s in range(self.recipe.styles)]
            rows.append(torch.cat([x[0], *painted], 2))
        return to_image(torch.cat(rows, 1))

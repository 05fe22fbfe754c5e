"""`trim`: teaches a model to do with a narrow margin, or a smaller generator, what it does with a wide one.

Zeros around the picture show in what is painted near its border, so a model paints with a margin of repeated edges around
the frame and cuts it off: a third of the work at 640x360. Trained on, with its own painting with a margin as wide as it
sees as the example (Hinton et al. 2015), it learns what the zeros are.
"""
import torch

from .data import Batches, Crops
from .export import TAILS, save
from .generator import SIZES, Generator, check_margin
from .imported import generator_of
from .progress import Progress

WIDE = 48
"""Pixels: as far as the generator sees."""
BAND = 24
"""Pixels along the border that count more."""
WEIGHT = 4.0


def add_arguments(parser):
    parser.add_argument("model", help="ONNX file written by export")
    parser.add_argument("onnx", help="file to write")
    parser.add_argument("--photos", required=True, help="folder of photos")
    parser.add_argument("--held-out", nargs="*", default=[], help="file names in it that are not used")
    parser.add_argument("--margin", type=int, default=16, help="pixels around the frame that are computed and cut off; a multiple of 4")
    parser.add_argument("--size", choices=sorted(SIZES), help="of the generator to teach (default: as the model has it); it starts from the model's weights")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--tail", choices=TAILS, default=TAILS[0], help="as with export")
    parser.add_argument("--seed", type=int, default=1)


def run(args):
    check_margin(args.margin)
    if args.batch < 4 or args.crop <= 3 * BAND:
        raise SystemExit(f"--batch and --crop: at least 4 pictures of more than {3 * BAND} px are needed, not {args.batch} of {args.crop}")
    teacher, metadata = generator_of(args.model)
    student = Generator(**{**teacher.config, **SIZES.get(args.size, {}), "margin": args.margin}).eval()
    student.start_from(teacher.state_dict(), option="--size")
    teacher.eval().margin = WIDE
    torch.manual_seed(args.seed)
    batches = Batches(Crops.photos(args.photos, args.held_out), args.seed, args.batch, args.crop)
    _train(student, teacher, batches, args)
    metadata.pop("styletransfer.base", None)  # what the styles share has changed
    save(student, args.onnx, metadata, args.tail)


def _train(student, teacher, batches, args):
    """Mean absolute difference from what the teacher paints, in every style; the rate falls along a cosine."""
    styles = teacher.config["styles"]
    weight = torch.full((1, 1, args.crop, args.crop), WEIGHT)
    weight[:, :, BAND:-BAND, BAND:-BAND] = 1
    optimizer = torch.optim.Adam(student.parameters(), lr=args.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, args.steps))
    with Progress(args.steps, 0) as progress:
        for step in range(args.steps):
            x = _with_even_ones(batches.of_step(step))
            mix = torch.eye(styles)[torch.randint(styles, (args.batch,))]
            with torch.no_grad():
                wanted = teacher(x, mix).clamp(0, 1)
            difference = (student(x, mix) - wanted).abs()
            optimizer.zero_grad(set_to_none=True)
            (weight * difference).mean().backward()
            optimizer.step()
            schedule.step()
            progress.show(step + 1, {"difference": float(difference.detach().mean()) * 255, "border": float(_border(difference)) * 255})


def _with_even_ones(x):
    """Three pictures of the batch become even ground, where a line along the border would be seen most: one colour, dark ones
    more often, a slope from one to another, and bars as of a letterbox."""
    size = x.shape[-1]
    first, second = torch.rand(2, 3, 1, 1) * torch.rand(2, 1, 1, 1).sqrt()
    slope = torch.linspace(0, 1, size)
    x[0] = first
    x[1] = first + (second - first) * slope
    bar = int(torch.randint(BAND, size // 3, (1,)))
    x[2, :, :bar], x[2, :, -bar:] = first * 0.1, first * 0.1
    return x if torch.rand(1) < 0.5 else x.transpose(2, 3)


def _border(difference):
    """Mean over the outermost eight pixels."""
    inner = difference[:, :, 8:-8, 8:-8]
    return ((difference.sum() - inner.sum()) / (difference.numel() - inner.numel())).detach()

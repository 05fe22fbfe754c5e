"""`export`: checkpoint -> ONNX file with the contract in its metadata, checked against PyTorch on three sizes."""
import copy

import torch

from .generator import Generator

SIZES = ((64, 64), (180, 320), (360, 640))
TOLERANCE = 2e-3


def add_arguments(parser):
    parser.add_argument("checkpoint", help="checkpoint.pt written by train")
    parser.add_argument("onnx", help="file to write")
    parser.add_argument("--name", required=True, help="style name, e.g. great-wave")
    parser.add_argument("--painting", required=True, help="title, artist and year of the painting")
    parser.add_argument("--margin", type=int, default=20, help="pixels around the frame that are computed and cut off; a multiple of 4")
    parser.add_argument("--license", default="CC0-1.0", help="licence of the weights")


def run(args):
    import onnx

    state = torch.load(args.checkpoint, map_location="cpu")
    generator = Generator(**{**state["config"], "margin": args.margin}).eval()
    generator.load_state_dict(state["generator"])
    trained = copy.deepcopy(generator)
    generator.fold()
    example = torch.zeros(1, 3, 64, 64)
    dynamic = {"image": {2: "height", 3: "width"}, "stylized": {2: "height", 3: "width"}}
    torch.onnx.export(
        generator, example, args.onnx, dynamo=False, opset_version=17,
        input_names=["image"], output_names=["stylized"], dynamic_axes=dynamic,
    )
    model = onnx.load(args.onnx)
    onnx.helper.set_model_props(model, _metadata(args, state))
    onnx.save(model, args.onnx)
    _check(trained, args.onnx)


def _metadata(args, state):
    return {
        "styletransfer.input-layout": "nchw",
        "styletransfer.output-layout": "nchw",
        "styletransfer.input-channels": "rgb",
        "styletransfer.output-channels": "rgb",
        "styletransfer.input-range": "0,1",
        "styletransfer.output-range": "0,1",
        "styletransfer.size-multiple": "4",
        "styletransfer.name": args.name,
        "styletransfer.painting": args.painting,
        "styletransfer.license": args.license,
        "styletransfer.steps": str(state["step"]),
    }


def _check(generator, path):
    """Fails the export if ONNX Runtime and PyTorch disagree."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in SIZES:
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            wanted = generator(x).numpy()
        worst = abs(session.run(None, {"image": x.numpy()})[0] - wanted).max()
        print(f"{width}x{height}: largest difference to PyTorch {worst:.2e}")
        if not worst <= TOLERANCE:
            raise SystemExit(f"{path}: differs from PyTorch by {worst:.2e} at {width}x{height}, allowed {TOLERANCE}")

"""`quantize`: static int8 (QDQ, weights per channel) of one style of a model, calibrated on photos and clip frames.

The result is checked against the fp32 model on pictures that were not used for calibration and refused if it strays.
"""
import tempfile
from pathlib import Path

import numpy as np

from .data import load_picture, pictures_in
from .evaluate import read_clip
from .runner import Model, style_weights

CALIBRATION_WIDTH = 640


def add_arguments(parser):
    parser.add_argument("model", help="fp32 ONNX file written by export")
    parser.add_argument("onnx", help="file to write")
    parser.add_argument("--style", default="", help="style of a model of several (default: the first)")
    parser.add_argument("--photos", required=True, help="folder of photos")
    parser.add_argument("--held-out", nargs="*", default=[], help="file names in it that are kept for the check")
    parser.add_argument("--clips", nargs="*", default=[], help="videos: frames of them calibrate too (needs ffmpeg)")
    parser.add_argument("--pictures", type=int, default=32, help="photos to calibrate on")
    parser.add_argument("--method", choices=("minmax", "percentile", "entropy"), default="minmax")
    parser.add_argument("--limit", type=float, default=2.0, help="largest mean difference from fp32 that passes, in 1/255")


def run(args):
    pictures = [p for p in pictures_in(args.photos) if p.name not in args.held_out]
    calibration = [load_picture(p, CALIBRATION_WIDTH) for p in pictures[:: max(1, len(pictures) // args.pictures)]]
    for clip in args.clips:
        calibration += read_clip(clip, 40, CALIBRATION_WIDTH)[::10]
    with tempfile.TemporaryDirectory() as folder:
        one_style = Path(folder) / "one-style.onnx"
        fix_style(args.model, args.style, one_style)
        _quantize(one_style, args.onnx, calibration, args.method)
    check = [load_picture(Path(args.photos) / name, CALIBRATION_WIDTH) for name in args.held_out] or calibration[:4]
    difference, worst = _difference(f"{args.model}?style={args.style}", args.onnx, check)
    print(f"{args.onnx}: mean difference from fp32 {difference:.2f}/255, 99.9 % below {worst:.1f}/255")
    if not difference <= args.limit:
        raise SystemExit(f"{args.onnx}: strays {difference:.2f}/255 from fp32, allowed {args.limit}; try another --method or more --pictures")


def fix_style(path, mix, to):
    """The model with its style weights made constants and folded into the convolutions."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    inputs = [i for i in model.graph.input if len(i.type.tensor_type.shape.dim) == 2]
    metadata = {p.key: p.value for p in model.metadata_props}
    if inputs:
        names = metadata["styletransfer.styles"].split(",")
        weights = style_weights(mix, names)
        model.graph.input.remove(inputs[0])
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights[None], inputs[0].name))
        metadata["styletransfer.styles"] = mix or names[0]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(to)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    folded = onnx.load(to)
    onnx.helper.set_model_props(folded, metadata)
    onnx.save(folded, to)


def _quantize(source, target, pictures, method):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(pictures)

        def get_next(self):
            picture = next(self.left, None)
            return None if picture is None else {"image": picture.numpy()}

    methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}
    quantize_static(
        str(source), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=methods[method],
        op_types_to_quantize=["Conv", "Add", "Relu"],
    )
    written = onnx.load(target)
    kept = {p.key: p.value for p in onnx.load(source).metadata_props}
    onnx.helper.set_model_props(written, {**kept, "styletransfer.precision": "int8"})
    onnx.save(written, target)


def _difference(full, quantized, pictures):
    """Mean and 99.9th percentile of the difference, in 1/255."""
    a, b = Model(full), Model(quantized)
    all_differences = np.concatenate([(a(p) - b(p)).abs().numpy().ravel() for p in pictures]) * 255
    return float(all_differences.mean()), float(np.percentile(all_differences, 99.9))

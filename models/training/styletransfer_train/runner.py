"""Runs any style model in ONNX Runtime on pictures in 0..1, whatever its layout, range, channel order or size.

A model is named as `FILE` or `FILE?key=value&key=value` with the contract keys of models/README.md, `style` (name or
`NAME:SHARE,...`), `label` and `painting` (picture file that its gain is measured against).
"""
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

KEYS = ("input-layout", "output-layout", "input-channels", "output-channels", "input-range", "output-range", "size-multiple", "styles")
OWN_KEYS = ("style", "label", "painting")


class Model:
    """One ONNX file, one style of it."""

    def __init__(self, named, threads=0):
        import onnxruntime

        path, _, query = str(named).partition("?")
        given = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        unknown = set(given) - set(KEYS) - set(OWN_KEYS)
        if unknown:
            raise SystemExit(f"{named}: unknown key '{sorted(unknown)[0]}'; known are {', '.join(KEYS + OWN_KEYS)}")
        if not Path(path).is_file():
            raise SystemExit(f"{path}: there is no such model file")
        self.path, self.painting = path, given.get("painting")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.facts = {k: given.get(k, told.get(f"styletransfer.{k}", "")) for k in KEYS}
        self.style = given.get("style", "")
        self.label = given.get("label") or Path(path).stem + (f" {self.style}" if self.style else "")
        self._inputs()

    def _inputs(self):
        inputs = self.session.get_inputs()
        self.input = inputs[0]
        self.half = self.input.type == "tensor(float16)"
        shape = self.input.shape
        self.last = self.facts["input-layout"] == "nhwc" or (not self.facts["input-layout"] and shape[-1] == 3)
        height, width = shape[1:3] if self.last else shape[2:4]
        self.fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        self.weights = {}
        for extra in inputs[1:]:
            names = [n for n in self.facts["styles"].split(",") if n] or [str(i) for i in range(extra.shape[-1])]
            self.weights[extra.name] = style_weights(self.style, names)[None]
        self.low, self.high = _range(self.facts["input-range"], self.last)
        self.out_low, self.out_high = _range(self.facts["output-range"] or self.facts["input-range"], self.last)

    def __call__(self, x):
        """`[1, 3, H, W]` torch, RGB 0..1 -> the same, clamped; scaled into a model of fixed size and back."""
        size = x.shape[2:]
        multiple = int(self.facts["size-multiple"] or 4)
        wanted = self.fixed or tuple(-(-s // multiple) * multiple for s in size)
        fed = x if tuple(size) == tuple(wanted) else F.interpolate(x, size=wanted, mode="bilinear", antialias=True, align_corners=False)
        y = self.run(self.feed(fed.numpy()))
        y = torch.from_numpy(y).clamp(0, 1)
        return y if y.shape[2:] == size else F.interpolate(y, size=size, mode="bilinear", antialias=True, align_corners=False)

    def feed(self, x):
        """NCHW RGB 0..1 -> what the model is fed."""
        x = x[:, ::-1] if self.facts["input-channels"] == "bgr" else x
        x = (x * (self.high - self.low) + self.low).astype(np.float16 if self.half else np.float32)
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if self.last else x)

    @property
    def scale(self):
        """640x360 over the pixels of `blank()`."""
        height, width = self.fixed or (360, 640)
        return 640 * 360 / (height * width)

    def blank(self):
        """A grey frame of 640x360, or of the model's own size, as it is fed."""
        return self.feed(np.full((1, 3, *(self.fixed or (360, 640))), 0.5, np.float32))

    def run(self, fed):
        y = self.session.run(None, {self.input.name: fed, **self.weights})[0].astype(np.float32)
        y = y.transpose(0, 3, 1, 2) if self.last else y
        y = y[:, ::-1] if (self.facts["output-channels"] or self.facts["input-channels"]) == "bgr" else y
        return np.ascontiguousarray((y - self.out_low) / (self.out_high - self.out_low))


def style_weights(mix, names):
    """`name:share,name:share` (or one name, or nothing for the first) -> float32 `[len(names)]`, 1 together."""
    weights = np.zeros(len(names), np.float32)
    for part in (mix or names[0]).split(","):
        name, _, share = part.partition(":")
        if name not in names:
            raise SystemExit(f"no style is named '{name}'; there are: {', '.join(names)}")
        weights[names.index(name)] = float(share or 1)
    return weights / weights.sum()


def _range(text, channels_last):
    if not text:
        return (-1.0, 1.0) if channels_last else (0.0, 255.0)
    try:
        low, high = (float(v) for v in text.split(","))
    except ValueError:
        raise SystemExit(f"range '{text}': expected LOW,HIGH") from None
    return low, high

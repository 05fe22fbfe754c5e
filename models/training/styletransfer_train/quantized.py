"""A generator of one style in int8: what is trained, and what becomes QuantizeLinear and DequantizeLinear nodes on export.

What every convolution reads has one scale, every channel of its weights another; sums and biases stay float. The
scales of what is read are learned with the weights (learned step size, Esser et al. 2020).
"""
import torch
from torch import nn
from torch.nn import functional as F


class QuantizedConv(nn.Module):
    """A convolution in int8, made from a float one. `signed`: whether what it reads may be negative."""

    def __init__(self, conv, largest, signed):
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight.detach().clone()), conv.bias
        if self.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach().clone())
        self.how = {"stride": getattr(conv, "stride", 1), "padding": conv.padding, "groups": getattr(conv, "groups", 1)}
        self.zero = 128 if signed else 0
        self.log_scale = nn.Parameter(torch.log(largest.clamp(min=1e-6) / (127 if signed else 255)))

    def forward(self, x, _mix=None):
        return F.conv2d(self._read(x), self._weights(), self.bias, **self.how)

    def _read(self, x):
        scale = self.log_scale.exp()
        if torch.onnx.is_in_onnx_export():
            return torch.fake_quantize_per_tensor_affine(x, float(scale), self.zero, 0, 255)
        return (torch.clamp(_round(x / scale) + self.zero, 0, 255) - self.zero) * scale

    def _weights(self):
        scale = (self.weight.detach().abs().amax((1, 2, 3)) / 127).clamp(min=1e-9)
        if torch.onnx.is_in_onnx_export():
            scale = torch.tensor(scale.tolist())
            zeros = torch.zeros(len(scale), dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(self.weight, scale, zeros, 0, -128, 127)
        scale = scale[:, None, None, None]
        return _round(self.weight / scale) * scale


def _round(x):
    """Rounds; gradients pass as if it did not."""
    return x + (torch.round(x) - x).detach()


class _Range:
    """Remembers what a convolution reads."""

    def __init__(self):
        self.largest, self.signed = torch.zeros(()), False

    def __call__(self, _layer, inputs):
        x = inputs[0].detach()
        flat = x.abs().flatten()
        flat = flat[:: max(1, flat.numel() // SAMPLES)]
        largest = flat.kthvalue(max(1, round(flat.numel() * QUANTILE))).values
        self.largest = torch.maximum(self.largest, largest)
        self.signed = self.signed or bool((x < 0).any())


SAMPLES = 50_000
QUANTILE = 0.9998
"""Of what a convolution reads: where its scale begins to be learned from."""


@torch.no_grad()
def quantize_in_place(folded, pictures, kept=()):
    """Makes every convolution of a `Folded` generator of one style one in int8, calibrated on `pictures`; those whose
    names are `kept` stay float."""
    children = ((parent, name, layer) for parent in folded.modules() for name, layer in parent.named_children())
    places = [place for place in children if hasattr(place[2], "weight") and place[1] not in kept]
    ranges = [_Range() for _ in places]
    hooks = [layer.register_forward_pre_hook(seen) for (_, _, layer), seen in zip(places, ranges)]
    for picture in pictures:
        folded(picture)
    for hook in hooks:
        hook.remove()
    for (parent, name, layer), seen in zip(places, ranges):
        setattr(parent, name, QuantizedConv(layer, seen.largest, seen.signed))


def store_int8(model):
    """Weights of an ONNX model that are quantised float constants become int8 constants."""
    import numpy as np
    from onnx import numpy_helper

    constants = {i.name: i for i in model.graph.initializer}
    constants.update({n.output[0]: n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"})
    identities = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity" and n.input[0] in constants}
    constants.update({to: constants[of] for to, of in identities.items()})
    kept, done = [], set()
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or any(name not in constants for name in node.input):
            kept.append(node)
            continue
        value, scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input)
        shape = [-1] + [1] * (value.ndim - 1)
        whole = np.clip(np.round(value / scale.reshape(shape)) + zero.reshape(shape), -128, 127).astype(np.int8)
        model.graph.initializer.append(numpy_helper.from_array(whole, node.output[0]))
        done.add(node.input[0])
    del model.graph.node[:]
    model.graph.node.extend(kept)
    left = [i for i in model.graph.initializer if i.name not in done]
    del model.graph.initializer[:]
    model.graph.initializer.extend(left)

"""Cross-layer equalisation (Nagel et al. 2019): the channels of every activation get the same range, so that one int8
scale serves them all. The picture stays the same: what one convolution makes larger the next makes smaller.
"""
import torch

SHARE = 0.5
"""0: the ranges stay as they are. 1: all channels of an activation have the same one, which costs the weights more."""
LEAST = 0.1
"""Of the largest range: channels that hardly ever speak up are not made louder than this."""


@torch.no_grad()
def equalize(folded, pictures):
    """Rescales the channels of a [`Folded`] generator of one style, in place, by the ranges on `pictures`, `[1, 3, H, W]`."""
    for producers, consumers in _groups(folded):
        scale = _scale(folded, consumers, pictures)
        for layer in producers:
            _scale_outputs(layer, 1 / scale)
        for layer in consumers:
            _scale_inputs(layer, scale)


def _groups(folded):
    """(layers that write, layers that read) for every activation, in the order of the way through the network."""
    blocks = list(folded.blocks)
    if folded.skip:
        yield [folded.down1, folded.up1], [folded.down2, folded.up2]
    else:
        yield [folded.down1], [folded.down2]
        yield [folded.up1], [folded.up2]
    stream = [folded.down2, *(second.pointwise for _, second in blocks)]
    yield stream, [*(first.depthwise for first, _ in blocks), folded.narrow.depthwise]
    for first, second in blocks:
        yield [first.depthwise], [first.pointwise]
        yield [first.pointwise], [second.depthwise]
        yield [second.depthwise], [second.pointwise]
    yield [folded.narrow.depthwise], [folded.narrow.pointwise]
    yield [folded.narrow.pointwise], [folded.up1]


def _scale(folded, readers, pictures):
    """`[channels]`: range of what the readers see, over its geometric mean."""
    seen = []
    hooks = [reader.register_forward_pre_hook(lambda _, inputs: seen.append(_range(inputs[0]))) for reader in readers]
    for picture in pictures:
        folded(picture)
    for hook in hooks:
        hook.remove()
    ranges = torch.stack(seen).amax(0)
    ranges = torch.maximum(ranges, LEAST * ranges.max())
    return (ranges / ranges.log().mean().exp()) ** SHARE


def _range(x):
    return x.detach().abs().amax((0, 2, 3))


def _scale_outputs(layer, scale):
    # A sub-pixel convolution has several outputs for each channel that is read.
    scale = scale.repeat_interleave(layer.weight.shape[0] // len(scale))
    layer.weight.mul_(scale[:, None, None, None])
    if layer.bias is not None:
        layer.bias.mul_(scale)


def _scale_inputs(layer, scale):
    if layer.weight.shape[1] == 1 and len(scale) > 1:
        layer.weight.mul_(scale[:, None, None, None])
    else:
        layer.weight.mul_(scale[None, :, None, None])

"""Checkpoint files, written so that they are read without running code that they may hold.

In: a state of tensors, numbers, texts and collections of them. Out: a file of torch.save with the tensors in a list and
everything else as JSON: torch.load(weights_only=True) of PyTorch 1.13 reads tensors, but no floats.
"""
import json
import pickle

import torch


def save_checkpoint(state, path):
    """Writes a state of tensors, numbers, texts, None, dicts, lists and tuples."""
    tensors = []
    torch.save({"plain": json.dumps(_packed(state, tensors)), "tensors": tensors}, path)


def checkpoint_of(path, device="cpu"):
    """The state in a file of save_checkpoint, on a device. Ends the program where the file is none: another file may hold
    objects whose loading runs code of its choice."""
    try:
        file = torch.load(path, map_location=device, weights_only=True)
        return _unpacked(json.loads(file["plain"]), file["tensors"])
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError, KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{path}: not a checkpoint of this trainer ({str(error)[:120]})") from error


def _packed(value, tensors):
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if isinstance(value, dict):
        return {"dict": [[key, _packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_packed(item, tensors) for item in value]}
    return value


def _unpacked(value, tensors):
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpacked(item, tensors) for key, item in content}
    items = [_unpacked(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items

"""Keep what was learnt: tensors in a safetensors file whose header is the model card.

A safetensors file is a list of numbers and a text header, so reading one never runs code. The header holds the
sizes of the network, how it was trained, what it scored, and a hash that shows damage.
Numbers are stored as float16 (half the bytes) and used as float32.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from .data import InputError

WEIGHTS = Path(__file__).parent / "weights"


def find(file: str, folder: str | Path = WEIGHTS) -> Path:
    """Where a weights file is: in `folder`, or else among the shipped ones."""
    mine = Path(folder) / file
    return mine if mine.is_file() else WEIGHTS / file


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and numbers, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


def save(path: str | Path, model: nn.Module, card: dict) -> None:
    """Write `model` (which has a dataclass `config`) with its model card, whole or not at all."""
    from safetensors.torch import save as to_bytes

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    header = {
        "config": json.dumps(dataclasses.asdict(model.config)),
        "card": json.dumps(card),
        "sha256": digest(tensors),
    }
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(to_bytes(tensors, metadata=header))
    os.replace(beside, path)


def read_card(path: str | Path) -> dict:
    """The model card in a weights file's header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["card"])


def load(path: str | Path, model_class: type, config_class: type) -> nn.Module:
    """Build the network that a weights file describes and fill it. Returns it in eval mode, float32.

    Raises InputError if the file is missing, is no weights file, is damaged, or does not fit the classes.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights at {path}; train them with: minit2i train {path.stem}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        config = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in json.loads(header["config"]).items()
        }
        if digest(tensors) != header["sha256"]:
            raise InputError(f"{path} is damaged: its numbers do not match the hash in its header")
        model = model_class(config_class(**config))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except InputError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} does not hold weights for {model_class.__name__}: {reason}") from error
    return model.eval()

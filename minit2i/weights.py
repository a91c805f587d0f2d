"""Keep what was learnt: tensors in a safetensors file whose header is the model card.

A safetensors file is a list of numbers and a text header, so reading one never runs code. The header holds
the sizes of the network, how it was trained, a hash that shows damage, and the hashes of the weights that it
was trained with: a denoiser knows the words as one certain CLIP encodes them, and would draw nonsense with
another. Numbers are stored as float16 (half the bytes) and used as float32.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .autoencoder import Autoencoder, AutoencoderConfig
from .caption import Captioner, CaptionerConfig
from .clip import CLIP, CLIPConfig
from .control import Branch
from .device import device
from .errors import InputError
from .files import WEIGHTS, write_file
from .judge import Judge, JudgeConfig
from .planner import Planner, PlannerConfig
from .reader import Reader, ReaderConfig
from .temporal import TemporalConfig, TemporalLayers
from .tokenizer import Tokenizer
from .unet import UNet, UNetConfig
from .upscaler import Upscaler, UpscalerConfig

NETWORKS = {  # name of a weights file -> the network and its sizes
    "clip": (CLIP, CLIPConfig),
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "denoiser": (UNet, UNetConfig),
    "denoiser-pixels": (UNet, UNetConfig),
    "denoiser-fashion": (UNet, UNetConfig),
    "upscaler": (Upscaler, UpscalerConfig),
    "inpaint": (UNet, UNetConfig),
    "reader": (Reader, ReaderConfig),
    "sketch": (Branch, UNetConfig),
    "planner": (Planner, PlannerConfig),
    "video": (TemporalLayers, TemporalConfig),
    "caption": (Captioner, CaptionerConfig),
    "caption-blind": (Captioner, CaptionerConfig),
    "judge": (Judge, JudgeConfig),
    "judge-fashion": (Judge, JudgeConfig),
}


def find(name: str, folder: str | Path = WEIGHTS) -> Path:
    """Where the weights of a network or of the tokenizer are: in `folder`, or else among the shipped ones."""
    file = "tokenizer.json" if name == "tokenizer" else f"{name}.safetensors"
    mine = Path(folder) / file
    return mine if mine.is_file() else WEIGHTS / file


def fingerprint(name: str, folder: str | Path = WEIGHTS) -> str:
    """The hash by which other weights know the weights of this name."""
    path = find(name, folder)
    if name == "tokenizer":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _read_header(path)["sha256"]


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and numbers, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


def save_model(path: str | Path, model: nn.Module, card: dict) -> None:
    """Write a network (which has a dataclass `config`) with its model card, whole or not at all."""
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    config = json.dumps(dataclasses.asdict(model.config))
    header = {"config": config, "card": json.dumps(card), "sha256": digest(tensors)}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save(tensors, metadata=header))


def read_card(path: str | Path) -> dict:
    """The model card in a weights file's header. Raises InputError if it is not there."""
    return json.loads(_read_header(Path(path))["card"])


def load_model(name: str, folder: str | Path = WEIGHTS, beside: str | Path | None = None) -> nn.Module:
    """Build the network of this name, one of NETWORKS, and fill it from `folder` or from the shipped weights.

    beside: where the others are that it is to work with, if that is not its own folder.
    Returns it in eval mode, float32, on `device()`. Raises InputError if the file is missing, is no weights
    file, is damaged, does not fit the network, or was trained with other weights than the ones beside it.
    """
    path = find(name, folder)
    network, config = NETWORKS[name]
    header = _read_header(path)
    try:
        tensors = load_file(path)
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(header["config"]).items()}
        needs = json.loads(header["card"]).get("needs", {})
        if digest(tensors) != header["sha256"]:
            raise InputError(f"{path} is damaged: its numbers do not match the hash in its header")
        model = network(config(**sizes))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except InputError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} does not hold weights for {network.__name__}: {reason}") from error
    home = path.parent if beside is None else beside
    for other, wanted in needs.items():
        if fingerprint(other, home) != wanted:
            raise InputError(
                f"{path} was trained with another {other} than {find(other, home)}: use the two that "
                f"belong together, or train it anew with: minit2i train {name} --weights {home}"
            )
    return model.eval().to(device())


def load_tokenizer(folder: str | Path = WEIGHTS) -> Tokenizer:
    """The tokenizer from `folder`, or the shipped one. Raises InputError if it cannot be read."""
    return Tokenizer.load(find("tokenizer", folder))


def _read_header(path: Path) -> dict[str, str]:
    """The texts in the header of a weights file: config, card and sha256."""
    if not path.is_file():
        raise InputError(f"there are no weights at {path}; train them with: minit2i train {path.stem}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} holds no weights: {str(error).splitlines()[0]}") from error
    if not {"config", "card", "sha256"} <= header.keys():
        raise InputError(f"{path} holds no weights of minit2i: its header lacks the model card")
    return header

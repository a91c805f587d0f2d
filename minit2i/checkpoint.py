"""Keep what was learnt, in safetensors files whose header is the model card; and list every network there is.

A safetensors file is a list of numbers and a text header, so reading one never runs code. The header holds
the sizes of the network, how it was trained, hashes that show damage, and the hashes of the weights that it
was trained with: a denoiser knows the words as one certain CLIP encodes them, and would draw nonsense with
another. Numbers are stored as float16 (half the bytes) and used as float32.

PyTorch is imported late here too: what there is can be listed without it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from safetensors import SafetensorError, safe_open

from .utils import WEIGHTS, InputError, device, resolve, write_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Entry:
    """What belongs to a name of weights, as "module:name", imported only when it is needed.

    network: its class, whose `config` is annotated with a dataclass of sizes. recipe: how to train it, with
    `options`. about: one line of help. use: the command to go on with. measure: what evaluates it.
    """

    network: str
    recipe: str
    about: str
    use: str = "evaluate"
    measure: str = ""
    options: dict = field(default_factory=dict)

    def next_command(self, folder: str | Path) -> str:
        """What to do with the weights, once they are in this folder."""
        return f"minit2i {self.use} --weights {folder}"


CROWN = '"a cat wearing a red crown"'
SPIN = 'video "a cat wearing a red crown, spinning"'
CAPTION = "describe.captioner:Captioner", "describe.train:CaptionRecipe"

NETWORKS = {
    "tokenizer": Entry("tokenizer:Tokenizer", "train.tokenizer:train_tokenizer", "words to ids",
                       "train clip"),
    "clip": Entry("clip:CLIP", "train.clip:ClipRecipe", "does this text match this picture?",
                  'search "something sad"', "evaluate.clip:measure"),
    "autoencoder": Entry("autoencoder:Autoencoder", "train.autoencoder:AutoencoderRecipe",
                         "a picture to latents, and back", "train denoiser",
                         "evaluate.fidelity:measure_autoencoder"),
    "denoiser": Entry("unet:UNet", "train.denoiser:DenoiserRecipe", "noise and words to latents",
                      f"generate {CROWN}", "evaluate.scenes:measure"),
    "denoiser-pixels": Entry("unet:UNet", "train.denoiser:PixelRecipe", "noise and words to pixels"),
    "denoiser-fashion": Entry("unet:UNet", "train.denoiser:ClothesRecipe", "noise and a class to clothing",
                              measure="evaluate.scenes:measure_clothes"),
    "upscaler": Entry("upscaler:Upscaler", "train.upscaler:UpscalerRecipe", "a picture four times as large",
                      "upscale small.png", "evaluate.fidelity:measure_upscaler"),
    "inpaint": Entry("unet:UNet", "edit.train:InpaintRecipe", "the denoiser, which sees what is known",
                     f"edit picture.png {CROWN} --mask mask.png", "edit.evaluate:measure"),
    "reader": Entry("edit.scene_reader:SceneReader", "edit.train:ReaderRecipe",
                    "what does this picture show, and where?", f"edit picture.png {CROWN}",
                    measure="edit.evaluate:measure_reader"),
    "sketch": Entry("sketch.controlnet:ControlNet", "sketch.train:SketchRecipe", "a drawing says where",
                    f"sketch drawing.png {CROWN}", "sketch.evaluate:measure"),
    "planner": Entry("video.planner:Planner", "video.train:PlannerRecipe", "words to a motion", SPIN),
    "video": Entry("video.temporal:TemporalLayers", "video.train:VideoRecipe", "layers along time", SPIN,
                   "video.evaluate:measure"),
    "caption": Entry(*CAPTION, "a picture to words", "describe picture.png", "describe.evaluate:measure"),
    "caption-blind": Entry(*CAPTION, "the same without pictures, to measure", options={"blind": True}),
    "judge": Entry("evaluate.judge:Judge", "evaluate.train_judge:JudgeRecipe", "names scenes, to measure"),
    "judge-fashion": Entry("evaluate.judge:Judge", "evaluate.train_judge:ClothesJudgeRecipe",
                           "names clothing, to measure"),
}  # fmt: skip


def find(name: str, folder: str | Path = WEIGHTS) -> Path:
    """Where the weights of a network or of the tokenizer are: in `folder`, or else among the pretrained."""
    file = "tokenizer.json" if name == "tokenizer" else f"{name}.safetensors"
    mine = Path(folder) / file
    return mine if mine.is_file() else WEIGHTS / file


def fingerprint(name: str, folder: str | Path = WEIGHTS) -> str:
    """The hash by which other weights know the weights of this name."""
    path = find(name, folder)
    return sha256(path.read_text()) if name == "tokenizer" else _read_header(path)["sha256"]


def sha256(text: str) -> str:
    """A hash of a text: of config and card, for numbers alone do not say how many heads read them."""
    return hashlib.sha256(text.encode()).hexdigest()


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
    import torch
    from safetensors.torch import save

    tensors = {
        name: tensor.detach().to("cpu", torch.float16 if tensor.is_floating_point() else None).contiguous()
        for name, tensor in model.state_dict().items()
    }
    header = {"config": json.dumps(dataclasses.asdict(model.config)), "card": json.dumps(card)}
    header |= {"sha256": digest(tensors), "sha256_texts": sha256(header["config"] + header["card"])}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save(tensors, metadata=header))


def read_card(path: str | Path) -> dict:
    """The model card in a weights file's header. Raises InputError if it is not there."""
    return json.loads(_read_header(Path(path))["card"])


def load_model(name: str, folder: str | Path = WEIGHTS, beside: str | Path | None = None) -> nn.Module:
    """Build the network of this name, one of NETWORKS, and fill it from `folder` or from the pretrained ones.

    beside: where the others are that it is to work with, if that is not its own folder.
    Returns it in eval mode, float32, on `device()`. Raises InputError if the file is missing, is no weights
    file, is damaged, does not fit the network, or was trained with other weights than the ones beside it.
    """
    import torch
    from safetensors.torch import load_file

    path = find(name, folder)
    network = resolve(NETWORKS[name].network)
    config = get_type_hints(network.__init__)["config"]
    header, tensors = _read_header(path), load_file(path)
    if (
        digest(tensors) != header["sha256"]
        or sha256(header["config"] + header["card"]) != header["sha256_texts"]
    ):
        raise InputError(f"{path} is damaged: it does not match the hashes in its header")
    try:
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(header["config"]).items()}
        needs = json.loads(header["card"]).get("needs", {})
        with torch.device("cpu"):
            model = network(config(**sizes)).float()
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
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


def load_beside_denoiser(folder: str | Path, *names: str) -> list[nn.Module]:
    """Networks that work with the denoiser of `folder`, and with CLIP and the autoencoder beside it."""
    home = find("denoiser", folder).parent
    return [load_model(name, folder, beside=home) for name in names]


def load_tokenizer(folder: str | Path = WEIGHTS) -> Tokenizer:
    """The tokenizer from `folder`, or the pretrained one. Raises InputError if it cannot be read."""
    return resolve(NETWORKS["tokenizer"].network).load(find("tokenizer", folder))


def _read_header(path: Path) -> dict[str, str]:
    """The texts in the header of a weights file: config, card and their hashes."""
    if not path.is_file():
        raise InputError(f"there are no weights at {path}; train them with: minit2i train {path.stem}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} holds no weights: {str(error).splitlines()[0]}") from error
    if not {"config", "card", "sha256", "sha256_texts"} <= header.keys():
        raise InputError(f"{path} holds no weights of minit2i: its header lacks the model card")
    return header

"""What `run` keeps, and what it refuses: it overwrites nothing, and goes on only with what it began with."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from minit2i.checkpoint import load_model, read_card
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import PixelRecipe
from minit2i.train.recipe import Recipe, RunSettings, run
from minit2i.trainer import Training, about_checkpoint
from minit2i.upscaler import Upscaler, UpscalerConfig
from minit2i.utils import InputError
from minit2i.world.noise_words import known_words


@dataclass(frozen=True)
class TinyRecipe(Recipe):
    """A network that takes no time to train, and says that it needs the tokenizer."""

    batch: int = 2
    minutes: float = 1
    lr: float = 1e-3
    width: int = 8
    needs = ("tokenizer",)

    def build(self, data: None) -> Upscaler:
        return Upscaler(UpscalerConfig(width=self.width, blocks=1))

    def loss(self, model, data, generator):
        return model(torch.randn(1, 3, 4, 4, generator=generator)).square().mean()

    def preview(self, model, data):
        return Image.new("RGB", (8, 8))


class Blank(PixelRecipe):
    """The denoiser of pixels without a preview, which takes long to draw."""

    def preview(self, model, data):
        return Image.new("RGB", (8, 8))


def train(folder, out, recipe=TinyRecipe(), name="upscaler", **settings) -> Path:
    return run(name, recipe, folder, out, RunSettings(**{"steps": 3, **settings}))


@pytest.fixture
def begun(tiny_weights, tmp_path):
    """A folder in which three steps were made."""
    train(tiny_weights, tmp_path / "out")
    return tmp_path / "out"


def refused(match: str, *args, **settings) -> None:
    with pytest.raises(InputError, match=match) as error:
        train(*args, **settings)
    assert "\n" not in str(error.value)


def test_a_run_that_goes_on_ends_as_one_that_was_never_interrupted(begun, tiny_weights, tmp_path):
    resumed = train(tiny_weights, begun, steps=6, resume=True)
    whole = train(tiny_weights, tmp_path / "whole", steps=6)
    rows = [(path.parent / "loss.csv").read_text().splitlines() for path in (resumed, whole)]
    assert [[line.split(",")[::2] for line in lines] for lines in rows][0] == [
        line.split(",")[::2] for line in rows[1]
    ]
    assert [line.split(",")[0] for line in rows[0]] == ["step", *"123456"]
    assert read_card(resumed)["steps"] == 6
    assert (begun / "preview.png").is_file()


def test_a_run_into_a_folder_with_a_checkpoint_overwrites_nothing(begun, tiny_weights):
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    refused("of step 3: --resume goes on from it, --out takes another", tiny_weights, begun)
    refused("--out takes another", tiny_weights, begun, seed=1, name="clip")
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


def test_only_what_was_begun_goes_on(begun, tiny_weights, tmp_path):
    refused("--weights with tokenizer", "the pretrained ones", begun, resume=True)
    refused("seed 0, not 5", tiny_weights, begun, resume=True, seed=5)
    refused("batch 2, not 3", tiny_weights, begun, TinyRecipe(batch=3), resume=True)
    refused("width 8, not 16", tiny_weights, begun, TinyRecipe(width=16), resume=True)
    refused("name upscaler, not clip", tiny_weights, begun, resume=True, name="clip")
    refused("nothing to resume", tiny_weights, tmp_path / "new", resume=True)
    train(tiny_weights, begun, TinyRecipe(minutes=2), resume=True)  # how long may change


def test_a_checkpoint_says_what_it_was_made_from_and_one_that_does_not_goes_on(tmp_path):
    Training(nn.Linear(3, 3)).save(tmp_path / "old.pt")
    assert about_checkpoint(tmp_path / "old.pt") == {"step": 0}
    Training(nn.Linear(3, 3)).save(tmp_path / "new.pt", {"seed": 3})
    assert about_checkpoint(tmp_path / "new.pt") == {"step": 0, "seed": 3}
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(InputError, match=r"text\.pt is no checkpoint"):
        about_checkpoint(tmp_path / "text.pt")


def test_a_network_trained_with_ones_own_clip_is_used_from_its_folder_alone(tiny_weights, tmp_path):
    recipe = Blank(batch=2, config=load_model("denoiser", tiny_weights).config)
    path = train(tiny_weights, tmp_path, recipe, "denoiser", steps=1)
    assert {file.name for file in tmp_path.iterdir()} >= {"clip.safetensors", "tokenizer.json"}
    t2i = TextToImage.load(tmp_path)  # was refused: "trained with another clip"
    assert t2i.draw(["a cat"], steps=1).shape == (1, 3, 64, 64)
    assert set(read_card(path)["words"]) > known_words()


def test_needs_do_not_replace_other_weights(tiny_weights, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    refused("holds another tokenizer than --weights", tiny_weights, tmp_path)
    assert (tmp_path / "tokenizer.json").read_text() == "{}"


def test_the_pretrained_weights_that_it_needs_are_not_copied(tmp_path):
    train("the pretrained ones", tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()

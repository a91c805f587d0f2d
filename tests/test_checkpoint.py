"""Weights: they come back with their card, show damage, and know which other weights they belong to."""

import json
import shutil
from typing import get_type_hints

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch.testing import assert_close

from minit2i import checkpoint
from minit2i.checkpoint import fingerprint, load_model, read_card, save_model
from minit2i.text2image import TextToImage
from minit2i.unet import UNet, UNetConfig
from minit2i.utils import WEIGHTS, InputError, resolve

TINY = UNetConfig(picture_size=16, patch=2, widths=(16, 32), blocks=1, text_width=0, text_pooled=0)


def test_weights_come_back_with_their_card(tmp_path):
    model = UNet(TINY)
    save_model(tmp_path / "denoiser.safetensors", model, {"name": "tiny"})
    again = load_model("denoiser", tmp_path)
    assert again.config == TINY
    assert read_card(tmp_path / "denoiser.safetensors") == {"name": "tiny"}
    for name, tensor in model.state_dict().items():
        assert_close(again.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)  # stored as float16
    assert [path.name for path in tmp_path.iterdir()] == ["denoiser.safetensors"]


def test_damaged_foreign_and_missing_weights_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("minit2i.checkpoint.WEIGHTS", tmp_path)
    path = tmp_path / "denoiser.safetensors"
    with pytest.raises(InputError, match="no weights"):
        load_model("denoiser", tmp_path)
    save_model(path, UNet(TINY), {})
    whole = path.read_bytes()
    for content, said in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "hash"),
        (whole[:1000], "no weights"),
        (b"not weights at all", "no weights"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            load_model("denoiser", tmp_path)
    (tmp_path / "judge.safetensors").write_bytes(whole)
    with pytest.raises(InputError, match="does not hold weights for Judge"):
        load_model("judge", tmp_path)


def test_a_denoiser_is_not_paired_with_a_clip_that_it_was_not_trained_with(tmp_path, tiny_weights):
    folder = tmp_path / "mine"
    shutil.copytree(tiny_weights, folder)
    denoiser = load_model("denoiser", folder)
    card = {"needs": {name: fingerprint(name, folder) for name in ("tokenizer", "clip")}}
    save_model(folder / "denoiser.safetensors", denoiser, card)
    TextToImage.load(folder)
    clip = load_model("clip", folder)
    with torch.no_grad():
        clip.log_scale.add_(1)
    save_model(folder / "clip.safetensors", clip, {})
    with pytest.raises(InputError, match="another clip.*minit2i train denoiser"):
        TextToImage.load(folder)


def test_a_shipped_denoiser_goes_with_the_shipped_clip_whatever_the_folder_holds(tiny_weights, tmp_path):
    shutil.copy(tiny_weights / "clip.safetensors", tmp_path)
    shutil.copy(tiny_weights / "tokenizer.json", tmp_path)
    for denoiser in ("denoiser", "denoiser-fashion"):
        t2i = TextToImage.load(tmp_path, denoiser)
        assert_close(t2i.clip.state_dict(), load_model("clip").state_dict())
        assert t2i.tokenizer.vocabulary == t2i.clip.config.vocabulary


def test_every_shipped_card_says_what_its_weights_belong_to():
    for path in WEIGHTS.glob("*.safetensors"):
        needs = read_card(path).get("needs", {})
        assert needs == {name: fingerprint(name) for name in needs}
        if path.stem.startswith("denoiser"):
            of_latents = {"autoencoder"} if path.stem == "denoiser" else set()
            assert needs.keys() == {"tokenizer", "clip"} | of_latents
    assert json.loads((WEIGHTS / "tokenizer.json").read_text())


class Counting(torch.nn.Module):
    """A network with a counter, as batch norm has one."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("count", torch.tensor(70_001))


def test_whole_numbers_are_kept_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setitem(checkpoint.NETWORKS, "counting", checkpoint.Entry("judge:Counting", "", ""))
    monkeypatch.setattr(checkpoint, "resolve", lambda name: Counting)
    save_model(tmp_path / "counting.safetensors", Counting(TINY), {})
    assert load_model("counting", tmp_path).count == 70_001


@pytest.mark.parametrize(
    ("text", "old", "new"), [("config", '"heads": 4', '"heads": 2'), ("card", "tiny", "huge")]
)
def test_a_header_that_was_changed_is_refused(tmp_path, text, old, new):
    """The numbers are the same, but read with other heads they draw another picture."""
    path = tmp_path / "denoiser.safetensors"
    save_model(path, UNet(TINY), {"name": "tiny"})
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert old in header[text]
    header[text] = header[text].replace(old, new)
    path.write_bytes(save(load_file(path), metadata=header))
    with pytest.raises(InputError, match="does not match the hashes in its header"):
        load_model("denoiser", tmp_path)


def test_the_registry_names_what_there_is():
    for name, entry in checkpoint.NETWORKS.items():
        network = resolve(entry.network)
        resolve(entry.recipe)
        if entry.measure:
            assert callable(resolve(entry.measure))
        assert (
            entry.about
            and name != "tokenizer"
            and "config" in get_type_hints(network.__init__)
            or not entry.options
        )
    assert checkpoint.NETWORKS["clip"].next_command("F") == 'minit2i search "something sad" --weights F'
    assert checkpoint.NETWORKS["tokenizer"].next_command("F") == "minit2i train clip --weights F"


def test_a_card_cannot_have_just_any_function_called(tiny_weights):
    t2i = TextToImage.load(tiny_weights)
    for named in (
        "utils:write_file",
        "world.scenes:held_out",
        "os:system",
        7,
        "world.scenes:random_layouts;x",
    ):
        t2i.card = {**t2i.card, "random_layouts": named}
        with pytest.raises(InputError, match="names no random_layouts"):
            t2i.layouts(["a cat"], seed=0)

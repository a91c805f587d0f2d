"""A drawing decides where: a ControlNet begins as nothing, learns alone, and follows what it is shown."""

import copy
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageDraw
from torch import Generator
from torch.testing import assert_close

from minit2i.autoencoder import Autoencoder, AutoencoderConfig
from minit2i.checkpoint import load_model
from minit2i.edit.editor import Editor
from minit2i.evaluate.judge import verdicts
from minit2i.images import as_rgb, to_float, to_pil, to_tensor
from minit2i.sketch.controlnet import ControlledDenoiser, ControlNet
from minit2i.sketch.drawings import boxes, crude_drawings, misheard
from minit2i.sketch.sketcher import Sketcher, box_of, on_paper, overlap
from minit2i.sketch.train import anywhere
from minit2i.text2image import TextToImage
from minit2i.trainer import Training
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import InputError
from minit2i.world import scenes
from minit2i.world.batches import python_rng, render_all
from minit2i.world.captions import full_caption
from minit2i.world.render import layout
from minit2i.world.scenes import draw_scene

PROMPTS = ["a cat wearing a blue baseball cap", "a dog"]
DRAWINGS = sorted((Path(__file__).parents[2] / "docs" / "drawings").glob("*.png"))


@pytest.fixture(scope="module")
def tiny(tiny_weights) -> Sketcher:
    """A sketcher of latents, tiny and untrained, whose denoiser has something in what is zero at first."""
    beside = TextToImage.load(tiny_weights)
    torch.manual_seed(0)
    config = UNetConfig(
        channels=8, picture_size=16, patch=1, widths=(16, 32), heads=2, embedding=32, text_width=32,
        text_pooled=32, prediction="v", layout=scenes.LAYOUT,
    )  # fmt: skip
    denoiser = UNet(config).eval().requires_grad_(False)
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    config = AutoencoderConfig(width=16, encoder_blocks=1, decoder_blocks=1, exit_channels=8)
    t2i = TextToImage(beside.clip, beside.tokenizer, denoiser, Autoencoder(config).eval(), beside.upscaler)
    return Sketcher(t2i, ControlNet.of(denoiser))


@pytest.fixture(scope="module")
def learnt(tiny) -> Sketcher:
    """The same, whose ControlNet adds something."""
    controlnet = copy.deepcopy(tiny.controlnet)
    for zero in controlnet.zero:
        torch.nn.init.normal_(zero.weight, std=0.3)
    return Sketcher(tiny.t2i, controlnet)


@pytest.fixture
def drawings() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 64, 64, generator=Generator().manual_seed(1)) - 1


@pytest.fixture
def given(tiny):
    x_t = torch.randn(2, 8, 16, 16, generator=Generator().manual_seed(2))
    layout = torch.rand(2, scenes.LAYOUT, generator=Generator().manual_seed(3))
    return x_t, torch.tensor([20, 700]), tiny.t2i.encode(PROMPTS), layout


def test_a_new_controlnet_changes_nothing(tiny, drawings, given):
    denoiser = tiny.t2i.denoiser
    both = ControlledDenoiser(denoiser, tiny.controlnet)(*given, drawing=drawings)
    assert torch.equal(denoiser(*given), both)


def test_the_controlnet_alone_learns_and_begins_to_follow_the_drawing(tiny, drawings, given):
    denoiser, t2i = tiny.t2i.denoiser, tiny.t2i
    before = {name: part.clone() for name, part in denoiser.state_dict().items()}
    training = Training(copy.deepcopy(tiny.controlnet), lr=0.1)
    x_0, text = torch.randn(2, 8, 16, 16), t2i.encode(PROMPTS)
    conditioning = {"layout": torch.zeros(2, scenes.LAYOUT), "drawing": drawings}
    losses = []
    for _ in range(20):
        model, generator = ControlledDenoiser(denoiser, training.model), Generator().manual_seed(0)
        loss = denoising_loss(model, t2i.schedule, x_0, text, generator, "none", **conditioning)
        training.update(loss, progress=0)
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]  # one batch, again and again
    assert all(torch.equal(before[name], part) for name, part in denoiser.state_dict().items())
    controlled = ControlledDenoiser(denoiser, training.model)
    one, other = (controlled(*given, drawing=some) for some in (drawings, -drawings))
    assert (one - other).abs().max() > 1e-4


def test_strength_runs_from_the_denoiser_alone_to_all_that_the_controlnet_adds(learnt, drawings):
    settings = {"steps": 2, "guidance_scale": 2.0}
    at = [learnt.draw(drawings, PROMPTS, strength, **settings) for strength in (0, 0.1, 1)]
    no_layout = torch.zeros(2, scenes.LAYOUT)
    assert torch.equal(at[0], learnt.t2i.draw(PROMPTS, layout=no_layout, **settings))
    far = [(other - at[0]).abs().mean() for other in at[1:]]
    assert 0 < far[0] < far[1]
    for strength in (-0.1, 1.1):
        with pytest.raises(InputError, match="strength"):
            learnt.draw(drawings, PROMPTS, strength)
    for wrong in (drawings[:1], drawings[:, :1], drawings[..., :32]):
        with pytest.raises(InputError, match="each prompt needs a drawing"):
            learnt.draw(wrong, PROMPTS)


def test_neither_other_threads_nor_the_callers_number_type_change_a_picture(learnt, drawings):
    def draw(seed: int) -> torch.Tensor:
        return learnt.draw(drawings, PROMPTS, seed=seed, steps=2)

    alone = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(*pair) for pair in zip(alone, pool.map(draw, range(4)), strict=True))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(draw(0), alone[0])
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_loaded_already_is_not_loaded_again(tiny_weights):
    t2i = TextToImage.load(tiny_weights)
    assert Sketcher.load(tiny_weights, t2i).t2i is t2i


# ---- On paper ----


@pytest.fixture(scope="module")
def strokes() -> Image.Image:
    """A head and a hat in smooth outlines, as a mask: 255 where there is ink."""
    large = Image.new("L", (512, 512))
    pen = ImageDraw.Draw(large)
    pen.ellipse((120, 200, 400, 480), outline=255, width=20)
    pen.line([(140, 220), (260, 40), (380, 220)], fill=255, width=14)
    return large.resize((128, 128), Image.Resampling.LANCZOS)


def inked(strokes: Image.Image, colour: str) -> Image.Image:
    """Strokes of a colour on a transparent ground."""
    picture = Image.new("RGBA", strokes.size, colour)
    picture.putalpha(strokes)
    return picture


def test_white_on_transparent_and_white_on_black_are_seen_as_black_on_white(strokes):
    wanted = ImageChops.invert(strokes).convert("RGB")
    assert np.asarray(wanted).min() < 10 and np.asarray(wanted).max() == 255
    light = inked(strokes, "white")
    deep = Image.fromarray(np.asarray(strokes).astype(np.uint16) * 257)
    some = [wanted, inked(strokes, "black"), light, strokes, strokes.convert("RGB"), deep]
    some += [light.convert("LA"), strokes.convert("RGBA"), strokes.convert("P")]
    wanted = to_tensor(wanted, size=64)
    for picture in some:
        seen = to_tensor(on_paper(picture), size=64)
        assert_close(seen, wanted, atol=0.03, rtol=0, msg=picture.mode)


def test_hues_stay_when_a_dark_ground_becomes_light():
    picture = Image.new("RGB", (64, 64), (10, 20, 15))
    picture.paste((230, 20, 20), (10, 10, 55, 55))
    paper = on_paper(picture)
    assert paper.getpixel((0, 0)) == (235, 245, 240)
    red, *others = paper.getpixel((32, 32))
    assert red > 200 and max(others) < 50


def test_drawings_on_light_paper_come_through_bit_for_bit(strokes):
    assert len(DRAWINGS) == 4
    papers = [Image.open(path) for path in DRAWINGS]
    rng = random.Random(1)
    crude = [anywhere(draw_scene(9, i, "all"), rng) for i in range(30)]
    assert "navy" in {scene.background for scene in crude}  # as dark as paper gets in training
    papers += to_pil(crude_drawings(crude, Generator().manual_seed(1)).pictures)
    # Transparent, but not for the sake of light strokes: on white, they are seen
    yellow, sticker = inked(strokes, "yellow"), Image.new("RGBA", (128, 128))
    sticker.paste("white", (16, 16, 112, 112))
    sticker.paste("black", (40, 40, 60, 50))
    outlined = inked(strokes, "white")
    outlined.paste("black", (0, 60, 128, 64))
    page = Image.new("RGBA", (128, 128), "white")  # nothing transparent but its corners
    page.paste((0, 0, 0, 0), (0, 0, 10, 10))
    page.paste("black", (60, 60, 62, 80))
    papers += [yellow, sticker, outlined, page, Image.new("RGBA", (9, 9)), Image.new("RGB", (1, 1), "white")]
    table = Image.new("RGB", (128, 128), (40, 30, 20))  # a photograph of a page on it
    table.paste((240, 240, 235), (10, 10, 118, 118))
    table.paste("black", (40, 40, 60, 50))
    for picture in [*papers, table]:
        assert on_paper(picture).tobytes() == as_rgb(picture).tobytes()


# ---- Boxes ----


def test_a_box_is_around_what_is_not_background():
    pictures = torch.full((3, 3, 64, 64), 0.5)
    pictures[0, :, 16:32, 8:40] = -1
    pictures[1, 0, 0, 5] = -1  # one odd pixel of the rim is no background
    boxes = box_of(pictures)
    assert_close(boxes[0], torch.tensor([8, 16, 40, 32]) / 64)
    assert_close(boxes[1], torch.tensor([5, 0, 6, 1]) / 64)
    assert (boxes[2] == 0).all()


def test_overlap_is_what_two_boxes_share():
    a = torch.tensor([[0.0, 0.0, 0.5, 0.5]] * 4)
    b = torch.tensor([[0.0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5], [0.6, 0.6, 1, 1], [0.0, 0, 0, 0]])
    assert_close(overlap(a, b), torch.tensor([1, 1 / 3, 0, 0]))


# ---- Crude drawings ----


@pytest.mark.parametrize("seed", range(3))
def test_a_drawing_is_crude_and_yet_where_its_scene_is(seed):
    rng = python_rng(Generator().manual_seed(seed))
    shown = [anywhere(draw_scene(seed, i), rng) for i in range(25)]
    drawn, around, *_ = crude_drawings(shown, Generator().manual_seed(seed))
    assert drawn.shape == (25, 3, 64, 64) and drawn.abs().max() <= 1
    assert torch.equal(drawn, crude_drawings(shown, Generator().manual_seed(seed)).pictures)
    pictures = to_float(render_all(shown))
    assert overlap(around, box_of(pictures)).median() > 0.75
    assert overlap(around, box_of(drawn)).median() > 0.75
    assert ((drawn - pictures).abs().mean(dim=(1, 2, 3)) > 0.01).all()


def test_drawings_say_where_and_not_what():
    rng = python_rng(Generator().manual_seed(0))
    scene = draw_scene(1, 2)
    heard = [misheard(scene, rng) for _ in range(500)]
    for name, low, high in (("colour", 0.25, 0.45), ("headwear", 0.1, 0.25), ("animal", 0.05, 0.15)):
        other = sum(getattr(s, name) != getattr(scene, name) for s in heard) / 500
        assert low < other < high, name
    bare = [s for s in heard if s.headwear == "none"]
    assert 0.05 < len(bare) / 500 < 0.15
    assert all(s.layout_vector() == scene.layout_vector() for s in heard if s not in bare)
    head = layout(scene)[0][2:]
    assert all(layout(s)[0][2:] == pytest.approx(head) for s in bare if s.animal == scene.animal)


def test_the_pieces_of_a_scene_are_where_they_are_drawn():
    scene = replace(draw_scene(1, 2), headwear="crown", colour="red", eyewear="glasses", background="white")
    found = boxes(scene)
    assert found.keys() == {"head", "eyes", "hat"}
    whole = box_of(to_float(render_all([scene])))[0]
    around = torch.tensor([*found["head"], *found["hat"]]).view(2, 4)
    reach = torch.cat([around[:, :2].amin(0), around[:, 2:].amax(0)]).float()
    assert_close(reach, whole, atol=0.04, rtol=0)


def test_scenes_stand_anywhere_and_stay_inside():
    rng = python_rng(Generator().manual_seed(0))
    for i in range(50):
        scene = anywhere(draw_scene(1, i), rng)
        assert abs(scene.x) + scene.size / 2 <= 0.5 and abs(scene.y) + scene.size / 2 <= 0.5


# ---- Measuring, and the pretrained weights ----


def test_what_is_measured_of_every_way_to_heed_a_drawing(tiny_weights, monkeypatch):
    from minit2i.sketch import evaluate  # here, for it takes long to import

    monkeypatch.setattr(Sketcher, "draw", lambda self, drawings, prompts, seed: drawings)
    monkeypatch.setattr(TextToImage, "draw", lambda self, prompts, **_: torch.zeros(len(prompts), 3, 64, 64))
    editor = SimpleNamespace(vary=lambda pictures, prompts, strength, seed: pictures.flip(3))
    monkeypatch.setattr(Editor, "load", lambda folder, t2i: editor)
    t2i = TextToImage.load(tiny_weights)
    bench = SimpleNamespace(folder=tiny_weights, n=8, seed=0, t2i=t2i, judge=load_model("judge"))
    report = evaluate.measure(bench)
    assert [*report] == [*evaluate.WAYS] and len(report) == 7
    assert all(leaf["n"] <= 50 and leaf["value"] >= 0 for marks in report.values() for leaf in marks.values())
    by_way = {way: [leaf["value"] for leaf in marks.values()] for way, marks in report.items()}
    drawn, words, _, varied, _, _, real = by_way.values()
    # The animal, the colour where the drawing has another, all of it, and how the boxes overlap
    assert real[0] > 0.9 and real[1] > 0.9 and words[0] < 0.3
    assert drawn[1] < 0.3  # the drawing itself shows its own colour
    assert drawn[3] > 0.75 > varied[3] > words[3] == 0  # how the boxes overlap


def test_pretrained_weights_follow_drawings():
    sketcher, judge = Sketcher.load(), load_model("judge")
    rng = random.Random(0)
    asked = [anywhere(draw_scene(33, i, "held_out"), rng) for i in range(10)]
    drawings, around, *_ = crude_drawings(asked, Generator().manual_seed(0))
    drawn = sketcher.draw(drawings, [full_caption(scene) for scene in asked], steps=6)
    assert overlap(box_of(drawn), around).mean() > 0.7
    assert verdicts(judge, drawn, asked)["animal"].float().mean() > 0.85

"""A drawing decides where: the branch begins as nothing, learns alone, and heeds what it is shown."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from minit2i.autoencoder import Autoencoder, AutoencoderConfig
from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import verdicts
from minit2i.images import to_float
from minit2i.sketch.controlnet import ControlledDenoiser, ControlNet
from minit2i.sketch.drawings import boxes, crude_drawings, misheard
from minit2i.sketch.sketcher import Sketcher, box_of, overlap
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

CAT = "a cat wearing a blue baseball cap"
SIZES = {"channels": 8, "picture_size": 16, "patch": 1, "widths": (16, 32), "heads": 2, "embedding": 32}
TOLD = {"text_width": 32, "text_pooled": 32, "prediction": "v", "layout": scenes.LAYOUT}


@pytest.fixture
def sketcher(tiny_weights):
    tiny = TextToImage.load(tiny_weights)
    torch.manual_seed(0)
    denoiser = UNet(UNetConfig(**SIZES, **TOLD))
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    config = AutoencoderConfig(width=16, encoder_blocks=1, decoder_blocks=1, exit_channels=8)
    t2i = TextToImage(
        tiny.clip, tiny.tokenizer, denoiser.eval(), tiny.upscaler, autoencoder=Autoencoder(config).eval()
    )
    return Sketcher(t2i, ControlNet.of(denoiser))


@pytest.fixture
def drawings() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 64, 64, generator=Generator().manual_seed(1)) - 1


def given(sketcher):
    x_t = torch.randn(2, 8, 16, 16, generator=Generator().manual_seed(2))
    layout = torch.rand(2, scenes.LAYOUT, generator=Generator().manual_seed(3))
    return x_t, torch.tensor([20, 700]), sketcher.t2i.encode([CAT, "a dog"]), layout


def test_a_new_branch_changes_nothing(sketcher, drawings):
    alone = sketcher.t2i.denoiser(*given(sketcher))
    both = ControlledDenoiser(sketcher.t2i.denoiser, sketcher.branch)(*given(sketcher), drawing=drawings)
    assert torch.equal(alone, both)


def test_the_branch_alone_learns_and_begins_to_heed_the_drawing(sketcher, drawings):
    denoiser, t2i = sketcher.t2i.denoiser.requires_grad_(False), sketcher.t2i
    before = {name: part.clone() for name, part in denoiser.state_dict().items()}
    training = Training(sketcher.branch, lr=2e-2)
    x_0, text = torch.randn(2, 8, 16, 16), t2i.encode([CAT, "a dog"])
    losses = []
    for _ in range(120):
        conditioning = {"layout": torch.zeros(2, scenes.LAYOUT), "drawing": drawings}
        model = ControlledDenoiser(denoiser, training.model)
        loss = denoising_loss(
            model, t2i.schedule, x_0, text, Generator().manual_seed(0), "none", **conditioning
        )
        training.update(loss, progress=0)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]  # one batch is learnt by heart
    assert all(torch.equal(before[name], part) for name, part in denoiser.state_dict().items())
    controlled = ControlledDenoiser(denoiser, training.model)
    one, other = (controlled(*given(sketcher), drawing=d) for d in (drawings, -drawings))
    assert (one - other).abs().max() > 1e-4


def test_strength_runs_from_the_denoiser_alone_to_all_that_the_branch_adds(sketcher, drawings):
    for zero in sketcher.branch.zero:
        torch.nn.init.normal_(zero.weight, std=0.3)
    conditioning = {"steps": 2, "guidance_scale": 2.0}
    at = [sketcher.draw(drawings, [CAT, "a dog"], strength, **conditioning) for strength in (0, 0.1, 1)]
    nowhere = torch.zeros(2, scenes.LAYOUT)
    assert torch.equal(at[0], sketcher.t2i.draw([CAT, "a dog"], layout=nowhere, **conditioning))
    far = [(other - at[0]).abs().mean() for other in at[1:]]
    assert 0 < far[0] < far[1]
    for strength in (-0.1, 1.1):
        with pytest.raises(InputError, match="strength"):
            sketcher.draw(drawings, [CAT, CAT], strength)
    for wrong in (drawings[:1], drawings[:, :1], drawings[..., :32]):
        with pytest.raises(InputError, match="each prompt needs a drawing"):
            sketcher.draw(wrong, [CAT, CAT])


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
    shown = [anywhere(draw_scene(seed, i), rng) for i in range(40)]
    drawn, around, *_ = crude_drawings(shown, Generator().manual_seed(seed))
    assert drawn.shape == (40, 3, 64, 64) and drawn.abs().max() <= 1
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


# ---- Shipped weights ----


def test_shipped_weights_follow_drawings():
    sketcher, judge = Sketcher.load(), load_model("judge")
    rng = random.Random(0)
    asked = [anywhere(draw_scene(33, i, "held_out"), rng) for i in range(24)]
    drawings, around, *_ = crude_drawings(asked, Generator().manual_seed(0))
    drawn = sketcher.draw(drawings, [full_caption(scene) for scene in asked])
    assert overlap(box_of(drawn), around).mean() > 0.7
    assert verdicts(judge, drawn, asked)["animal"].float().mean() > 0.85

"""Video: scenes that move as is said, layers along time that begin as nothing, a path from words."""

import copy
import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from minit2i.checkpoint import WEIGHTS, load_model, load_tokenizer
from minit2i.clip import Text
from minit2i.images import to_pil, to_tensor
from minit2i.layers import frame_waves
from minit2i.text2image import TextToImage
from minit2i.trainer import Training
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import InputError
from minit2i.video import animator as animator_module
from minit2i.video import evaluate
from minit2i.video.animator import Animator, layouts_on, path_pictures, plan
from minit2i.video.evaluate import motion_shown, score_videos, undo_motion
from minit2i.video.motion import (
    HELD_OUT_MOTIONS,
    MOTIONS,
    draw_moving_scene,
    full_motion_caption,
    held_out_motion,
    motion_caption,
    motion_like,
    new_moving_scenes,
    path_from,
    paths_and_styles,
    real_videos,
    render_video,
    turned,
    with_motion,
)
from minit2i.video.planner import Planner, PlannerConfig, from_unit, to_unit
from minit2i.video.temporal import TemporalConfig, TemporalLayers, VideoDenoiser
from minit2i.video.train import VideoRecipe
from minit2i.video.warp import moving_noise, warp, warp_along
from minit2i.world import scenes
from minit2i.world.render import render
from minit2i.world.scenes import FRAMES, POSE, draw_scene

CAT = "a cat wearing a blue baseball cap, sliding left"

# ---- Scenes that move ----


def test_the_same_number_is_the_same_moving_scene():
    assert full_motion_caption(draw_moving_scene(1, 2)) == full_motion_caption(draw_moving_scene(1, 2))
    assert (draw_moving_scene(1, 2).path == draw_moving_scene(1, 2).path).all()
    assert len({full_motion_caption(draw_moving_scene(1, i)) for i in range(50)}) > 40


def test_training_never_shows_a_held_out_pair_and_the_exam_shows_only_such():
    for i in range(300):
        moving = draw_moving_scene(1, i)
        assert not held_out_motion(moving.scene.animal, moving.motion)
    for i in range(100):
        moving = draw_moving_scene(1, i, "held_out")
        assert (moving.scene.animal, moving.motion) in HELD_OUT_MOTIONS
    assert 0.1 < len(HELD_OUT_MOTIONS) / (len(scenes.ANIMALS) * len(MOTIONS)) < 0.25


@pytest.mark.parametrize("motion", MOTIONS)
def test_paths_begin_where_the_scene_is_move_as_is_said_and_stay_within_the_frame(motion):
    rng = random.Random(0)
    for i in range(20):
        moving = with_motion(draw_scene(2, i), motion, rng)
        x, y, size, angle = moving.path.T
        start = moving.scene.x, moving.scene.y, moving.scene.size, 0
        assert (x[0], y[0], size[0], angle[0]) == pytest.approx(start)
        assert max((np.abs(x) + size / 2).max(), (np.abs(y) + size / 2).max()) < 0.5
        assert size.min() > 0.6 and size.max() < 0.99
        ways = {
            "hopping": y.min() < y[0] - 0.05 and y[0] == y.max(),
            "sliding left": (np.diff(x) < 0).all(),
            "sliding right": (np.diff(x) > 0).all(),
            "growing": (np.diff(size) > 0).all(),
            "shrinking": (np.diff(size) < 0).all(),
            "spinning": (np.diff(angle) > 0).all() and angle[-1] > 5,
            "nodding": 0.2 < angle.max() < 0.5 and angle.min() == pytest.approx(-angle.max()),
            "standing still": np.ptp(moving.path, axis=0).max() == 0,
        }
        assert ways[motion], i
        assert sum(ways.values()) == 1  # and in no other way: each of these can fail


def test_the_first_frame_is_the_scene_as_it_is_drawn():
    for i in range(10):
        moving = draw_moving_scene(3, i)
        frame = render_video(moving)[0].astype(float)
        off = np.abs(frame - np.asarray(render(moving.scene))).mean()
        assert off < (2 if moving.path[:, 3].any() else 1e-3)


def test_a_turned_scene_is_turned_clockwise_about_its_middle():
    scene = replace(draw_scene(3, 1), x=0.0, y=0.0, size=0.7)
    upright = np.asarray(render(scene)).astype(float)
    quarter = np.asarray(turned(scene, math.pi / 2, 64)).astype(float)
    assert np.abs(quarter - np.rot90(upright, -1)).mean() < 3
    layout = torch.tensor([[0.0, 0.0, 0.7]])
    waves = frame_waves(layout, 16, 16, torch.tensor([math.pi / 2]))
    assert_close(waves, torch.rot90(frame_waves(layout, 16, 16), -1, (2, 3)), atol=1e-5, rtol=0)


def test_captions_say_how_it_moves_or_nothing_of_it():
    rng, moving = random.Random(0), draw_moving_scene(1, 2)
    said = [motion_caption(moving, rng) for _ in range(300)]
    words = (moving.motion, *MOTIONS[moving.motion])
    assert 0.8 < np.mean([any(word in text for word in words) for text in said]) < 0.97
    assert len(set(said)) > 8


def test_what_training_draws_spins_often_and_shows_nothing_that_is_held_out():
    drawn = new_moving_scenes(200, Generator().manual_seed(3), spinning=100)
    assert [moving.motion for moving in drawn[:100]] == 100 * ["spinning"]
    shown = [moving.scene for moving in drawn]
    assert not any(held_out_motion(moving.scene.animal, moving.motion) for moving in drawn)
    assert not any(scenes.held_out(scene.animal, scene.headwear, scene.colour) for scene in shown)
    beyond = [(np.abs(moving.path[:, :2]) + moving.path[:, 2:3] / 2).max() > 0.5 for moving in drawn]
    assert 0.02 < np.mean(beyond) < 0.4  # those that begin as still pictures do
    again = new_moving_scenes(200, Generator().manual_seed(3), spinning=100)
    assert [moving.scene for moving in again] == shown


# ---- Which motion it is, without a network ----


def test_motions_of_real_videos_are_told_apart_by_their_outlines():
    rng = random.Random(1)
    some = [with_motion(draw_scene(101, i), motion, rng) for i in (0, 1) for motion in MOTIONS]
    assert [motion_shown(video) for video in real_videos(some)] == [moving.motion for moving in some]


def test_a_video_of_nothing_shows_no_motion():
    assert motion_shown(torch.zeros(FRAMES, 3, 64, 64)) not in MOTIONS


# ---- Warped ----


def test_a_picture_warped_to_another_pose_moves_turns_and_grows():
    picture, middle = torch.zeros(1, 1, 64, 64), torch.tensor([[0.0, 0, 1, 0]])
    picture[..., 16:32, 16:32] = 1
    there = warp(picture, middle, torch.tensor([[0.25, 0, 1, 0]]))
    assert_close(there[..., 16:32, 32:48], torch.ones(1, 1, 16, 16))
    assert there.sum() == 256
    turned = warp(picture, middle, torch.tensor([[0, 0, 1, torch.pi / 2]]))  # clockwise
    assert turned[..., 16:32, 32:48].mean() > 0.9
    where = torch.tensor([[-0.125, -0.125, 1, 0]])
    larger = warp(picture, where, where * torch.tensor([1, 1, 1.5, 1]))
    assert larger.sum().item() == pytest.approx(576, rel=0.05)


def test_there_and_back_again_is_where_it_was():
    noise = torch.randn(8, 3, 64, 64, generator=Generator().manual_seed(0))
    soft = torch.nn.functional.avg_pool2d(noise, 9, 1, 4)
    had, wanted = torch.tensor([0.1, 0, 0.6, 0]), torch.tensor([-0.1, 0.05, 0.7, 2])
    back = warp(warp(soft, had, wanted), wanted, had)
    middle = (..., slice(26, 38), slice(33, 45))
    assert (back - soft)[middle].abs().mean() < 0.25 * soft[middle].abs().mean()


def test_noise_moves_with_the_scene_and_stays_noise():
    poses = [[0, 0, 0.9, 0], [0.25, -0.5, 0.9, 0], [0, 0, 0.9, torch.pi / 2], [0.1, 0.1, 0.6, 0]]
    poses = torch.tensor(poses).expand(200, -1, -1)
    noise = moving_noise(poses, (3, 16, 16), Generator().manual_seed(0)).unflatten(0, (-1, 4))
    still, moved, turned, _ = noise.unbind(1)
    assert torch.equal(moved[..., :8, 4:], still[..., 8:, :-4])  # to the right and up
    assert_close(turned, torch.rot90(still, -1, (2, 3)))  # clockwise
    assert not torch.equal(noise[0], noise[1])  # each video has its own
    assert noise.mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    assert_close(noise.std(dim=(0, 2, 3, 4)), torch.ones(4), atol=0.02, rtol=0)
    alike = (noise[..., 1:] * noise[..., :-1]).mean(dim=(0, 2, 3, 4))
    assert alike.abs().max() < 0.02  # neighbours know nothing of each other


def test_what_moves_stands_still_once_its_motion_is_undone():
    some = [draw_moving_scene(4, i) for i in range(8)]
    for video, path in zip(real_videos(some), paths_and_styles(some)[0], strict=True):
        still = undo_motion(video, path)
        assert (still - still[:1]).abs().mean() < 0.06


# ---- Layers along time ----


@pytest.fixture(scope="module")
def tiny(tiny_weights) -> Animator:
    """Untrained and quick."""
    t2i = TextToImage.load(tiny_weights)
    tiny = Animator.load(tiny_weights, t2i)
    assert tiny.t2i.clip is t2i.clip  # what is loaded already is not loaded again
    return tiny


@pytest.fixture(scope="module")
def denoiser() -> UNet:
    torch.manual_seed(0)
    net = UNet(
        UNetConfig(
            channels=8, picture_size=16, patch=1, widths=(16, 32), heads=2, embedding=32, text_width=32,
            text_pooled=32, prediction="v", layout=scenes.LAYOUT,
        )
    )  # fmt: skip
    torch.nn.init.normal_(net.conv_out[-1].weight, std=0.1)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def layers() -> TemporalLayers:
    torch.manual_seed(1)
    return TemporalLayers(
        TemporalConfig((16, 32, 32, 32, 16), entry=16, cond_width=32, heads=2, embedding=16)
    )


@pytest.fixture(scope="module")
def learnt(layers) -> TemporalLayers:
    """The layers with something in what is zero at first."""
    layers = copy.deepcopy(layers)
    for parameter in layers.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return layers


@pytest.fixture
def given(tiny):
    x_t = torch.randn(2 * FRAMES, 8, 16, 16, generator=Generator().manual_seed(2))
    paths, _ = paths_and_styles([draw_moving_scene(1, i) for i in (0, 1)])
    layout, angle = layouts_on(paths, torch.eye(3)[:2])
    t = torch.tensor([20, 700]).repeat_interleave(FRAMES)
    return x_t, t, tiny.t2i.encode([CAT, "a dog"]).repeat_interleave(FRAMES), layout, angle


def test_new_layers_change_nothing(denoiser, layers, given):
    *upright, angle = given
    assert torch.equal(denoiser(*upright), VideoDenoiser(denoiser, layers)(*upright, 0 * angle))


def test_the_recipe_makes_layers_that_fit_the_denoiser_whatever_its_sizes(given):
    assert (
        TemporalConfig.of(load_model("denoiser").config) == TemporalConfig()
    )  # those of the pretrained layers
    sizes = {"picture_size": 16, "patch": 1, "widths": (16, 24, 32), "heads": 2, "embedding": 40}
    config = UNetConfig(channels=8, text_width=32, text_pooled=32, layout=scenes.LAYOUT, **sizes)
    other = UNet(config)
    torch.nn.init.normal_(other.conv_out[-1].weight, std=0.1)
    *upright, angle = given
    made = VideoRecipe().build(SimpleNamespace(denoiser=other))
    assert torch.equal(other(*upright), VideoDenoiser(other, made)(*upright, 0 * angle))


def test_videos_do_not_see_each_other_but_frames_do(denoiser, learnt, given):
    net = VideoDenoiser(denoiser, learnt)
    before = net(*given)
    given[0][3] += 1  # a frame of the first video
    after = net(*given)
    assert (after[0] - before[0]).abs().max() > 1e-4
    assert torch.equal(after[FRAMES:], before[FRAMES:])


def test_the_order_of_frames_matters(denoiser, learnt, given):
    x_t, t, text, layout, angle = given
    net, order = VideoDenoiser(denoiser, learnt), torch.arange(2 * FRAMES)
    order[:FRAMES] = order[:FRAMES].flip(0)
    straight = net(x_t, t, text, layout, angle)
    shuffled = net(x_t[order], t, text, layout[order], angle[order])
    assert (shuffled[order] - straight).abs().max() > 1e-3


def test_the_denoiser_is_given_where_the_parts_of_a_turned_frame_are(denoiser, given):
    x_t, _, _, layout, _ = given
    upright = torch.tensor([[0.0, 0, 0.8]]).expand(len(x_t), -1)
    layout, quarter = torch.cat([layout[:, :-3], upright], dim=1), torch.full((len(x_t),), torch.pi / 2)
    nothing = denoiser.enter(x_t, torch.zeros_like(layout))
    straight, turned = denoiser.enter(x_t, layout), denoiser.enter(x_t, layout, angle=quarter)
    assert_close(turned - nothing, torch.rot90(straight - nothing, -1, (2, 3)), atol=1e-4, rtol=0)


def test_the_layers_alone_learn(denoiser, layers, given):
    x_0, t, _, layout, angle = (part[:4] for part in given)  # frames of one video
    text = Text(*(part[:4] for part in given[2]))
    training = Training(copy.deepcopy(layers), lr=0.2)
    net, schedule = VideoDenoiser(denoiser, training.model, range(4)), denoiser.config.schedule
    noise = t, torch.randn(x_0.shape, generator=Generator().manual_seed(0))
    losses = []
    for _ in range(15):
        given = {"noise": noise, "layout": layout, "angle": angle}
        loss = denoising_loss(net, schedule, x_0, text, None, "none", **given)
        training.update(loss, progress=0)
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]


# ---- Paths from words ----


def test_motions_to_unit_scale_and_back():
    motions = np.stack([motion_like(motion, far) for motion in MOTIONS for far in (0.0, 0.5, 1.0)])
    motions = torch.tensor(motions, dtype=torch.float32)
    x = to_unit(motions)
    assert x.shape == (24, POSE, 1, FRAMES)
    assert 0.3 < x.std() < 3
    assert_close(from_unit(x), motions)


def test_a_planned_motion_begins_where_the_scene_is_and_depends_on_the_seed(tiny_weights):
    tokenizer = load_tokenizer(tiny_weights)
    torch.manual_seed(0)
    planner = Planner(PlannerConfig(width=16, depth=1, heads=2, vocabulary=tokenizer.vocabulary)).eval()
    motion, again, other = (plan(planner, tokenizer, [CAT], seed=s) for s in (1, 1, 2))
    assert motion.shape == (1, FRAMES, POSE)
    assert_close(motion[0, 0], torch.tensor([0.0, 0, 1, 0]))
    assert torch.equal(motion, again) and not torch.equal(motion, other)
    path = path_from(0.1, -0.05, 0.7, motion[0].numpy())
    assert path[0] == pytest.approx([0.1, -0.05, 0.7, 0], abs=1e-6)
    with torch.no_grad():
        ids = tokenizer([CAT, "a dog"])
        tokens, mask = planner.read(ids)
    assert tokens.shape == (*ids.shape, 16) and torch.equal(mask, ids != planner.padding) and not mask.all()


def test_a_path_is_pictured_with_its_top_in_red():
    upright, turned = path_pictures(torch.tensor([[[0.0, 0, 0.5, 0]], [[0.0, 0, 0.5, torch.pi / 2]]]))
    red = (255, 220, 220)
    assert upright.getpixel((64, 32)) == turned.getpixel((96, 64)) == red  # clockwise
    assert red not in (upright.getpixel((96, 64)), turned.getpixel((64, 32)), turned.getpixel((32, 64)))


# ---- Drawing ----


def test_a_wrong_style_is_refused_before_anything_is_planned(tiny, monkeypatch):
    monkeypatch.setattr(animator_module, "plan", lambda *_: pytest.fail("it was planned already"))
    with pytest.raises(InputError, match="style must be one of noto"):
        tiny.draw([CAT], style="oil")


def test_neither_other_threads_nor_the_callers_number_type_change_a_video(tiny, monkeypatch):
    planned = plan(tiny.planner, tiny.t2i.tokenizer, [CAT])
    spinning = torch.from_numpy(motion_like("spinning", 0.5)).float()[None]  # who is untrained plans nonsense
    monkeypatch.setattr(animator_module, "plan", lambda *_: spinning)

    def draw(seed: int) -> torch.Tensor:
        return tiny.draw([CAT], seed=seed, steps=1, guidance_scale=1)

    alone = [draw(seed) for seed in range(2)]
    assert alone[0].shape == (1, FRAMES, 3, 64, 64) and not torch.equal(*alone)
    with ThreadPoolExecutor(2) as pool:
        assert all(torch.equal(*pair) for pair in zip(alone, pool.map(draw, range(2)), strict=True))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(draw(0), alone[0])
        assert torch.equal(plan(tiny.planner, tiny.t2i.tokenizer, [CAT]), planned)
    finally:
        torch.set_default_dtype(torch.float32)


# ---- The pretrained weights, and measuring ----


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator.load()


@pytest.fixture(scope="module")
def drawn(animator):
    """Two moving scenes, their paths, and videos of them, which are drawn in few steps."""
    some = [
        with_motion(draw_scene(7, i), name, random.Random(0)) for i, name in ((1, "spinning"), (0, "growing"))
    ]
    paths, styles = paths_and_styles(some)
    prompts = [full_motion_caption(moving) for moving in some]
    return some, paths, styles, animator.on_path(prompts, paths, styles, seed=1, steps=5)


def test_pretrained_weights_move_as_was_said(animator, drawn):
    some, paths, _, videos = drawn
    assert videos.shape == (2, FRAMES, 3, 64, 64)
    marks = score_videos(load_model("judge"), videos, paths, some)
    assert marks["the motion that was asked for"]["value"] == 1
    assert marks["the same, frame by frame"]["value"] > 85
    said = plan(animator.planner, animator.t2i.tokenizer, ["an owl, sliding left", "a pig that spins"], 1)
    assert said[0, -1, 0] < -0.15 and said[1, -1, 3] > 5


def test_what_is_redrawn_stays_near_to_the_picture_that_was_warped(animator, drawn):
    [moving, _], paths, styles, [redrawn, _] = drawn
    given = [full_motion_caption(moving)], paths[:1], styles[:1]
    [fresh] = animator.at_once(*given, seed=1, steps=3)
    near, far = ((video - warp_along(video[0], paths[0])).square().mean() for video in (redrawn, fresh))
    assert near < 0.7 * far


def test_a_video_can_begin_with_a_picture(animator):
    scene = draw_scene(7, 0)
    # Neither mirrored nor in such colours would a network of ours have drawn it
    first = to_tensor(render(scene, 128)).flip(3)[:, [1, 2, 0]]
    still, sliding = animator.draw_from(first.expand(2, -1, -1, -1), ["standing still", "sliding left"])
    assert to_pil(sliding[:1]) == to_pil(first)
    assert (still - first).abs().mean() < 0.02
    assert motion_shown(sliding) == "sliding left" and motion_shown(still) == "standing still"


def test_what_is_measured_of_every_way_to_make_a_video(animator, monkeypatch):
    some = [draw_moving_scene(101, i, "held_out") for i in range(4)]
    firsts = real_videos(some)[:, 0]
    true_paths, _ = paths_and_styles(some)
    seeds = []

    def on_path(self, texts, paths, styles, seed):
        """The true pictures, warped to where each path has them."""
        seeds.append(seed)
        ways = zip(firsts, true_paths, paths, strict=False)
        return torch.stack(
            [warp(first.expand(FRAMES, -1, -1, -1), true[0], path) for first, true, path in ways]
        )

    for name in ("on_path", "at_once", "apart"):
        monkeypatch.setattr(Animator, name, on_path)
    monkeypatch.setattr(
        evaluate, "plan", lambda *_: torch.from_numpy(np.stack([motion_like(m.motion, 0.5) for m in some]))
    )
    bench = SimpleNamespace(folder=WEIGHTS, n=8, seed=2, t2i=animator.t2i, judge=load_model("judge"))
    report = evaluate.measure(bench)
    assert len(report) == 7 and seeds == [2000, 2000, 2000]
    real, decoded, video, warped, repeated, *fewer = report.values()
    motion, worn, frames, flicker, crisp = video
    assert crisp not in real and crisp in decoded
    assert real[motion]["value"] == video[motion]["value"] == warped[motion]["value"] == 1
    assert repeated[motion]["value"] < 1 and repeated[flicker]["value"] == 0 < video[flicker]["value"]
    assert real[worn]["value"] >= 0.75 and real[frames]["value"] > 90 and decoded[frames]["value"] > 90
    assert 20 < decoded[crisp]["median"]["value"] < 45 and video[crisp]["median"]["value"] > 20
    assert all(marks[motion]["n"] == 1 for marks in fewer) and video[motion]["n"] == 4

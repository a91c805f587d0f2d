"""Clips: scenes that move as is said, layers along time that begin as nothing, a path from words."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.images import to_float, to_pil, to_tensor
from minit2i.layers import frame_waves
from minit2i.text2image import TextToImage
from minit2i.trainer import Training
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.video.animator import Animator, layouts_on, plan, starts
from minit2i.video.evaluate import exam, motion_shown, score_videos, undo_motion
from minit2i.video.motion import (
    HELD_OUT_MOTIONS,
    MOTIONS,
    draw_moving_scene,
    full_motion_caption,
    held_out_motion,
    motion_caption,
    motion_like,
    path_from,
    render_video,
    turned,
    with_motion,
)
from minit2i.video.planner import Planner, PlannerConfig, from_unit, to_unit
from minit2i.video.temporal import TemporalConfig, TemporalLayers, VideoDenoiser
from minit2i.video.train import new_moving_scenes
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
def test_paths_begin_where_the_scene_is_and_stay_within_the_frame(motion):
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
    assert ways[motion]


def test_the_first_frame_is_the_scene_as_it_is_drawn():
    for i in range(10):
        moving = draw_moving_scene(3, i)
        frame = render_video(moving)[0].astype(float)
        assert np.abs(frame - np.asarray(render(moving.scene))).mean() < (
            2 if moving.path[:, 3].any() else 1e-3
        )


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
    conditioning = [any(word in text for word in words) for text in said]
    assert 0.8 < np.mean(conditioning) < 0.97
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


def test_motions_of_real_clips_are_told_from_their_outlines():
    scenes, clips = exam("train", 24)
    assert [motion_shown(clip) for clip in clips] == [moving.motion for moving in scenes]


def test_a_clip_of_nothing_shows_no_motion():
    assert motion_shown(torch.zeros(FRAMES, 3, 64, 64)) not in MOTIONS


# ---- Carried along ----


def test_a_picture_carried_to_another_pose_moves_turns_and_grows():
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
    soft = torch.nn.functional.avg_pool2d(torch.randn(8, 3, 64, 64), 9, 1, 4)
    had, wanted = (
        torch.tensor([0.1, 0, 0.6, 0]).expand(8, -1),
        torch.tensor([-0.1, 0.05, 0.7, 2]).expand(8, -1),
    )
    back = warp(warp(soft, had, wanted), wanted, had)
    middle = (..., slice(26, 38), slice(33, 45))
    assert (back - soft)[middle].abs().mean() < 0.25 * soft[middle].abs().mean()


def test_noise_moves_with_the_scene_and_stays_noise():
    poses = torch.tensor(
        [[0, 0, 0.9, 0], [0.25, -0.5, 0.9, 0], [0, 0, 0.9, torch.pi / 2], [0.1, 0.1, 0.6, 0]]
    )
    noise = moving_noise(poses.expand(200, -1, -1), (3, 16, 16), Generator().manual_seed(0)).unflatten(
        0, (-1, 4)
    )
    still, moved, turned, _ = noise.unbind(1)
    assert torch.equal(moved[..., :8, 4:], still[..., 8:, :-4])  # to the right and up
    assert_close(turned, torch.rot90(still, -1, (2, 3)))  # clockwise
    assert not torch.equal(noise[0], noise[1])  # each clip has its own
    assert noise.mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    assert_close(noise.std(dim=(0, 2, 3, 4)), torch.ones(4), atol=0.02, rtol=0)
    alike = (noise[..., 1:] * noise[..., :-1]).mean(dim=(0, 2, 3, 4))
    assert alike.abs().max() < 0.02  # neighbours know nothing of each other


def test_what_moves_stands_still_once_its_motion_is_undone():
    for i in range(8):
        moving = draw_moving_scene(4, i)
        clip = to_float(torch.from_numpy(render_video(moving)).permute(0, 3, 1, 2))
        still = undo_motion(clip, torch.tensor(moving.path, dtype=torch.float32))
        assert (still - still[:1]).abs().mean() < 0.06


# ---- Layers along time ----


@pytest.fixture
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


@pytest.fixture
def layers() -> TemporalLayers:
    torch.manual_seed(1)
    return TemporalLayers(
        TemporalConfig(widths=(16, 32, 32, 32, 16), entry=16, conditioning=32, heads=2, embedding=16)
    )


@pytest.fixture
def given(tiny_weights):
    tiny = TextToImage.load(tiny_weights)
    generator = Generator().manual_seed(2)
    x_t = torch.randn(2 * FRAMES, 8, 16, 16, generator=generator)
    paths = torch.tensor(np.stack([draw_moving_scene(1, i).path for i in (0, 1)]), dtype=torch.float32)
    layout, angle = layouts_on(paths, torch.eye(3)[:2])
    t = torch.tensor([20, 700]).repeat_interleave(FRAMES)
    return x_t, t, tiny.encode([CAT, "a dog"]).repeat_interleave(FRAMES), layout, angle


def learnt(layers: TemporalLayers) -> TemporalLayers:
    """The layers with something in what is zero at first."""
    for parameter in layers.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return layers


def test_new_layers_change_nothing(denoiser, layers, given):
    *conditioning, angle = given
    assert torch.equal(denoiser(*conditioning), VideoDenoiser(denoiser, layers)(*conditioning, 0 * angle))


def test_clips_do_not_see_each_other_but_frames_do(denoiser, layers, given):
    net = VideoDenoiser(denoiser, learnt(layers))
    before = net(*given)
    given[0][3] += 1  # a frame of the first clip
    after = net(*given)
    assert (after[0] - before[0]).abs().max() > 1e-4
    assert torch.equal(after[FRAMES:], before[FRAMES:])


def test_the_order_of_frames_matters(denoiser, layers, given):
    x_t, t, text, layout, angle = given
    net, order = VideoDenoiser(denoiser, learnt(layers)), torch.arange(2 * FRAMES)
    order[:FRAMES] = order[:FRAMES].flip(0)
    straight = net(x_t, t, text, layout, angle)
    shuffled = net(x_t[order], t, text, layout[order], angle[order])
    assert (shuffled[order] - straight).abs().max() > 1e-3


def test_a_turned_frame_tells_the_denoiser_where_its_parts_are(denoiser, given):
    x_t, _, _, layout, _ = given
    upright = torch.tensor([[0.0, 0, 0.8]]).expand(len(x_t), -1)
    layout, quarter = torch.cat([layout[:, :-3], upright], dim=1), torch.full((len(x_t),), torch.pi / 2)
    nothing = denoiser.entered(x_t, torch.zeros_like(layout))
    straight, turned = denoiser.entered(x_t, layout), denoiser.entered(x_t, layout, angle=quarter)
    assert_close(turned - nothing, torch.rot90(straight - nothing, -1, (2, 3)), atol=1e-4, rtol=0)


def test_a_single_frame_is_what_the_picture_denoiser_draws(denoiser, layers, given):
    x_t, t, text, layout, angle = given
    assert torch.equal(VideoDenoiser(denoiser, learnt(layers), [0])(*given), denoiser(x_t, t, text, layout))


def test_the_layers_alone_learn(denoiser, layers, given):
    _, t, text, layout, angle = given
    training, x_0 = Training(layers, lr=2e-2), torch.randn(2 * FRAMES, 8, 16, 16)
    net, schedule = VideoDenoiser(denoiser, training.model), denoiser.config.schedule
    losses = []
    for _ in range(80):
        conditioning = {"t": t, "layout": layout, "angle": angle}
        loss = denoising_loss(net, schedule, x_0, text, Generator().manual_seed(0), "none", **conditioning)
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


# ---- Shipped weights ----


def test_shipped_weights_move_as_was_said():
    animator, judge = Animator.load(), load_model("judge")
    some = [draw_moving_scene(7, i) for i in range(6)]
    clips = animator.draw([full_motion_caption(moving) for moving in some], seed=1)
    assert clips.shape == (6, FRAMES, 3, 64, 64)
    prompts = [full_motion_caption(moving) for moving in some]
    t2i = animator.t2i
    paths = starts(plan(animator.planner, t2i.tokenizer, prompts, 1), 1)
    marks = score_videos(judge, clips, paths, some)
    assert marks["motion"]["value"] >= 5 / 6
    assert marks["frames"] > 0.85


def test_what_is_redrawn_stays_near_to_the_picture_that_was_carried_along():
    animator, moving = Animator.load(), with_motion(draw_scene(7, 1), "spinning", random.Random(0))
    path = torch.tensor(moving.path, dtype=torch.float32)
    conditioning = (
        [full_motion_caption(moving)],
        path[None],
        torch.tensor([moving.scene.layout_vector()])[:, :-3],
    )
    [redrawn], [fresh] = animator.on_path(*conditioning), animator.at_once(*conditioning)
    near, far = ((clip - warp_along(clip[0], path)).square().mean() for clip in (redrawn, fresh))
    assert near < 0.7 * far


def test_a_clip_can_begin_with_a_picture():
    animator, scene = Animator.load(), draw_scene(7, 0)
    # Neither mirrored nor in such colours would a network of ours have drawn it
    first = to_tensor(render(scene, 128)).flip(3)[:, [1, 2, 0]]
    still, sliding = animator.draw_from(first.expand(2, -1, -1, -1), ["standing still", "sliding left"])
    assert to_pil(sliding[:1]) == to_pil(first)
    assert (still - first).abs().mean() < 0.02
    assert motion_shown(sliding) == "sliding left" and motion_shown(still) == "standing still"

"""Start from a picture: what is known stays, bit for bit; what is asked for comes; the steps in between."""

import itertools
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from minit2i.checkpoint import load_model
from minit2i.edit.editor import WAYS, Editor, inpaint_conditioning, invert, keep_known, layout_vectors
from minit2i.evaluate.judge import verdicts
from minit2i.images import to_float
from minit2i.samplers import SAMPLERS, sample, trajectory
from minit2i.schedule import Schedule
from minit2i.text2image import TextToImage
from minit2i.unet import UNet
from minit2i.utils import InputError
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.scenes import LAYOUT, STYLES

CAT, DOG = "a cat wearing a blue baseball cap", "a cat in a red hat"


def others(editor, pictures) -> list[str]:
    """A prompt for each picture that asks for what is not there."""
    now, _ = editor.read(pictures, [""] * len(pictures))
    return [f"a {'red' if scene.colour != 'red' else 'blue'} crown" for scene in now]


# ---- Samplers ----


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("resample", [0, 3])
def test_going_back_repeats_all_steps_but_the_last(sampler, resample):
    asked = []

    def denoise(x_t, t):
        asked.append(int(t[0]))
        return 0.1 * x_t

    settings = {"sampler": sampler, "steps": 5, "resample": resample}
    steps = list(trajectory(denoise, (1, 3, 8, 8), Schedule.cosine(), **settings))
    assert [step.t for step in steps] == sorted({*asked}, reverse=True)
    assert len(steps) == 5 and len(asked) == 5 + 4 * resample
    assert_close(steps[-1].x_prev, steps[-1].x_0_hat)
    with pytest.raises(ValueError, match="resample"):
        trajectory(denoise, (1, 3, 8, 8), Schedule.cosine(), resample=-1)


def test_going_back_has_the_noise_of_its_time():
    # If all pictures are grey, the ideal prediction is grey, and x_t is noise alone, again and again.
    schedule = Schedule.cosine()
    grey = torch.zeros(4, 3, 32, 32)
    for step in trajectory(lambda x_t, t: grey, grey.shape, schedule, sampler="ddpm", steps=10, resample=2):
        expected = (1 - schedule.alpha_bar[step.t]).sqrt()
        assert abs(step.x_t.std() / expected - 1) < 0.03


def test_a_multistep_solver_forgets_its_last_prediction_when_it_goes_back(monkeypatch):
    befores = []

    def spy(x_t, x_0_hat, alpha_bar, alpha_bar_prev, before=None, **rest):
        befores.append(before is not None)
        return x_0_hat

    monkeypatch.setitem(SAMPLERS, "dpm_solver", spy)
    settings = {"sampler": "dpm_solver", "steps": 3, "resample": 1}
    list(trajectory(lambda x, t: x, (1, 1, 2, 2), Schedule.cosine(), **settings))
    assert befores == [False, False, True, False, True]  # only a first try knows the step before


def test_the_noise_that_is_found_draws_the_picture_again():
    schedule = Schedule.cosine()

    def ideal(x_t, t):  # for pictures whose pixels are normal numbers of variance 1/4
        alpha_bar = schedule.alpha_bar[t][:, None, None, None]
        return alpha_bar.sqrt() / 4 * x_t / (alpha_bar / 4 + 1 - alpha_bar)

    x_0 = 1.2 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.6
    off = []
    for steps in (10, 100, 1000):
        found = invert(ideal, x_0, schedule, steps)
        off.append((sample(ideal, x_0.shape, schedule, steps=steps, noise=found) - x_0).abs().max())
    assert off[2] < off[1] / 3 < off[0] / 9 and off[2] < 0.02, off


# ---- Variations ----


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_strength_and_number_of_steps_varies(editor, pictures, sampler):
    for strength, steps in itertools.product((0.001, 0.3, 0.999, 1), (1, 5)):
        drawn = editor.vary(pictures, [CAT, DOG], strength, steps=steps, sampler=sampler)
        assert drawn.shape == pictures.shape and drawn.isfinite().all()


def test_strength_0_is_the_picture_and_1_ignores_it(editor, pictures):
    def varied(x, strength):
        return editor.vary(x, [CAT, CAT], strength, steps=3)

    assert torch.equal(varied(pictures, 0), pictures)
    assert torch.equal(varied(pictures, 1), varied(-pictures, 1))
    assert not torch.equal(varied(pictures, 0.9), varied(-pictures, 0.9))
    for strength in (-0.1, 1.1):
        with pytest.raises(InputError, match="strength"):
            varied(pictures, strength)


def test_a_style_is_named_in_the_prompt_and_refused_beside_the_picture(editor, pictures, masks):
    for style in STYLES:
        _, wanted = editor.read(pictures, [f"{CAT} in {style} style"] * 2)
        assert [scene.style for scene in wanted] == [style] * 2
    with pytest.raises(InputError, match="prompt can name another"):
        editor.vary(pictures, [CAT, DOG], 0.5, style="noto")
    with pytest.raises(InputError, match="prompt can name another"):
        editor.inpaint(pictures, masks, [CAT, DOG], style="noto")
    afresh = editor.vary(pictures, [CAT, DOG], 1, style="noto", steps=1)  # nothing of the picture is left
    assert torch.equal(afresh, editor.t2i.draw([CAT, DOG], style="noto", steps=1))


# ---- A part drawn anew ----


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_covered_stays_and_what_is_covered_is_not_looked_at(editor, pictures, masks, way):
    drawn = editor.inpaint(pictures, masks, [CAT, DOG], way, steps=3)
    known = masks.expand_as(pictures) == 0
    assert torch.equal(drawn[known], pictures[known])
    assert not torch.equal(drawn, pictures)
    other = torch.where(masks == 1, -pictures, pictures)
    assert torch.equal(editor.inpaint(other, masks, [CAT, DOG], way, steps=3), drawn)


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_that_keeps_everything_and_one_that_keeps_nothing(editor, pictures, masks, way):
    nothing, everything = torch.zeros_like(masks), torch.ones_like(masks)
    kept = editor.inpaint(pictures, nothing, [CAT, DOG], way, layout=torch.zeros(2, LAYOUT), steps=1)
    assert torch.equal(kept, pictures)
    first, second = (editor.inpaint(x, everything, [CAT, DOG], way, steps=1) for x in (pictures, -pictures))
    assert torch.equal(first, second)


def test_an_unknown_way_is_named(editor, pictures, masks):
    with pytest.raises(InputError, match="way must be one of trained, replace, repaint, not 'magic'"):
        editor.inpaint(pictures, masks, [CAT, DOG], "magic")


def test_where_it_is_known_the_prediction_is_what_is_known():
    known, masks = torch.randn(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    masks[..., 2:] = 1
    denoise = keep_known(known, masks)(lambda x_t, t: 0.3 * x_t)
    steps = list(trajectory(denoise, known.shape, Schedule.cosine(), steps=4))
    noise = steps[0].x_t
    for step in steps[1:]:  # so x_t there is the known part with the noise that was there from the start
        expected = Schedule.cosine().add_noise(known, noise, torch.tensor([step.t]))
        assert_close(step.x_t[..., :2], expected[..., :2], atol=1e-4, rtol=1e-3)
    assert torch.equal(steps[-1].x_prev[..., :2], known[..., :2])


def test_a_denoiser_that_learns_to_inpaint_begins_as_it_was(editor):
    old = editor.t2i.denoiser
    new = UNet(replace(old.config, inpaint_cond=9)).eval()
    new.load_state_dict(new.state_dict() | old.state_dict())
    x_t, t, cond = torch.randn(2, 8, 16, 16), torch.tensor([3, 500]), torch.randn(2, 9, 16, 16)
    text, layout = editor.t2i.encode([CAT, DOG]), torch.rand(2, LAYOUT)
    assert torch.equal(new(x_t, t, text, layout, cond), old(x_t, t, text, layout))
    torch.nn.init.normal_(new.inpaint_cond.weight)
    assert not torch.equal(new(x_t, t, text, layout, cond), old(x_t, t, text, layout))


def test_it_is_given_what_is_known_and_how_much(editor, pictures, masks):
    given = inpaint_conditioning(editor.t2i, pictures, masks)
    assert given.shape == (2, 9, 16, 16)
    assert_close(given[:, -1].mean(dim=(1, 2)), 1 - masks.mean(dim=(1, 2, 3)))  # shares of 1 that are known
    hidden = inpaint_conditioning(editor.t2i, torch.where(masks == 1, -pictures, pictures), masks)
    assert torch.equal(hidden, given)


# ---- From words alone ----


def test_a_prompt_that_asks_for_what_is_there_changes_nothing(editor, pictures):
    now, wanted = editor.read(pictures, ["", ""])
    assert now == wanted
    edited = editor.edit(pictures, [full_caption(scene) for scene in now], steps=2)
    assert torch.equal(edited.pictures, pictures)
    assert not edited.masks.any() and not edited.attention_map.any()


def test_an_edit_changes_where_its_mask_says_and_nowhere_else(editor, pictures):
    edited = editor.edit(pictures, others(editor, pictures), steps=3, threshold=0.9)
    known = edited.masks.expand_as(pictures) == 0
    assert known.any() and edited.masks.any()
    assert torch.equal(edited.pictures[known], pictures[known])
    assert not torch.equal(edited.pictures, pictures)


def test_only_the_picture_whose_prompt_asks_for_something_new_is_changed(editor, pictures):
    same = full_caption(editor.read(pictures, ["", ""])[0][0])
    for prompts, changed in (([same, "a crown on a fox"], 1), (["a crown on a fox", same], 0)):
        edited = editor.edit(pictures if changed else pictures.flip(0), prompts, steps=2)
        assert edited.masks[changed].any() and not edited.masks[1 - changed].any()


def test_words_that_are_obeyed_are_not_warned_of(editor, pictures):
    prompts = ["take off the hat", "delete the crown", "get rid of its glasses", "remove the zeppelin"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        editor.edit(pictures[:1].expand(4, -1, -1, -1), prompts, steps=1)
    assert {str(warning.message).split("'")[1] for warning in caught} == {"zeppelin"}


# ---- Whatever surrounds it ----


def test_threads_get_the_pictures_that_they_get_one_after_the_other(editor, pictures, masks):
    # Attention's hook once was set on the network that all share.
    new, layout = others(editor, pictures), torch.zeros(2, LAYOUT)
    jobs = [
        lambda: editor.edit(pictures, new, steps=3).pictures,
        lambda: editor.t2i.draw([CAT, DOG], steps=8),
        lambda: editor.edit(pictures.flip(0), ["a fox in a crown", "an owl"], steps=3).pictures,
        lambda: editor.inpaint(pictures, masks, [CAT, DOG], "replace", layout=layout, steps=4),
    ]
    alone = [job() for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: job(), 2 * jobs))
    for one, other in zip(2 * alone, together, strict=True):
        assert torch.equal(one, other)


def test_a_callers_default_type_and_device_change_nothing(editor, pictures, masks):
    new = others(editor, pictures)

    def drawn():
        yield editor.vary(pictures, [CAT, DOG], 0.5, steps=2)
        yield editor.inpaint(pictures, masks, [CAT, DOG], steps=2)
        yield editor.edit(pictures, new, steps=2).pictures

    as_usual = list(drawn())
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")  # has no numbers: whatever is made there cannot be drawn with
    try:
        for one, other in zip(as_usual, drawn(), strict=True):
            assert one.dtype == other.dtype and torch.equal(one, other)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def test_an_editor_takes_what_is_loaded_already(tiny_weights):
    t2i = TextToImage.load(tiny_weights)
    editor = Editor.load(tiny_weights, t2i)
    assert editor.t2i is t2i and editor.inpainting.clip is t2i.clip
    assert Editor.load(tiny_weights).t2i.denoiser is not t2i.denoiser


def test_importing_the_chapter_reads_no_data():
    code = "import minit2i.utils as u; u.DATA = u.DATA / 'nowhere'; import importlib; " + "".join(
        f"importlib.import_module('minit2i.edit.{name}'); "
        for name in ("any_size", "attention", "compositing", "editor", "evaluate", "scene_reader", "train")
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- Pretrained weights ----


def test_a_layout_that_is_a_little_off_is_brought_back(pretrained):
    pixels, shown = scene_pictures("train", 4, 64, seed=33)
    true, captions = layout_vectors(shown), [full_caption(scene) for scene in shown]
    off = true.clone()
    off[:, -3:] += 0.03 * torch.tensor([1.0, -1.0, 1.0])
    z, known = pretrained.t2i.encode_pictures(to_float(pixels)), torch.ones(4, 1, 16, 16)
    known[:, :, :6] = 0  # the upper part is to be drawn anew
    back = pretrained.refine(off, z, known, captions, seed=1)
    assert (back - true).abs()[:, -3:].mean() < 0.01
    assert torch.equal(back[:, :-3], true[:, :-3])  # the style is left alone
    assert_close(pretrained.refine(off[:1], z[:1], 0 * known[:1], captions[:1], seed=1), off[:1])


def test_pretrained_weights_change_the_colour_of_a_hat_and_nothing_else(pretrained):
    pixels, shown = scene_pictures("held_out", 7, 64, seed=32)
    wanted = [replace(scene, colour="red" if scene.colour != "red" else "blue") for scene in shown]
    edited = pretrained.edit(to_float(pixels), [full_caption(scene) for scene in wanted], steps=10)
    assert verdicts(load_model("judge"), edited.pictures, wanted)["joint"].float().mean() > 0.85

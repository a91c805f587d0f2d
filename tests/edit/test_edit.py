"""Start from a picture: what is known stays, bit for bit; what is asked for comes; the steps in between."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from minit2i.autoencoder import Autoencoder, AutoencoderConfig
from minit2i.checkpoint import load_model
from minit2i.edit import any_size
from minit2i.edit.attention import (
    AttentionStore,
    PromptToPrompt,
    attention_map,
    controlled,
    pairs,
    text_layers,
    token_columns,
)
from minit2i.edit.compositing import SIDE, Letterbox, composite, feather, match_colours, to_mask
from minit2i.edit.editor import WAYS, Editor, inpaint_conditioning, keep_known, layouts, refine_layout
from minit2i.edit.scene_reader import SceneReader, SceneReaderConfig
from minit2i.evaluate.judge import verdicts
from minit2i.images import to_float
from minit2i.samplers import SAMPLERS, invert, sample, trajectory
from minit2i.schedule import Schedule
from minit2i.text2image import TextToImage
from minit2i.unet import UNet, UNetConfig
from minit2i.upscaler import bicubic
from minit2i.utils import InputError
from minit2i.world import scenes
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption

CAT, DOG = "a cat wearing a blue baseball cap", "a cat in a red hat"
SIZES = {"channels": 8, "picture_size": 16, "patch": 1, "widths": (16, 32), "heads": 2, "embedding": 32}
TOLD = {"text_width": 32, "text_pooled": 32, "prediction": "v", "layout": scenes.LAYOUT}


def untrained(**more) -> UNet:
    """A small denoiser of latents in which nothing is zero, for zeros hide what it is told."""
    denoiser = UNet(UNetConfig(**SIZES, **TOLD, **more))
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return denoiser.eval()


@pytest.fixture(scope="module")
def editor(tiny_weights):
    tiny = TextToImage.load(tiny_weights)
    torch.manual_seed(0)
    autoencoder = Autoencoder(
        AutoencoderConfig(width=16, encoder_blocks=1, decoder_blocks=1, exit_channels=8)
    )
    t2i = TextToImage(tiny.clip, tiny.tokenizer, untrained(), autoencoder.eval(), tiny.upscaler, tiny.card)
    return Editor(t2i, SceneReader(SceneReaderConfig(token_width=32, hidden=16)).eval(), untrained(seen=9))


@pytest.fixture
def pictures() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 1


@pytest.fixture
def masks() -> torch.Tensor:
    masks = torch.zeros(2, 1, 64, 64)
    masks[0, :, 5:30, 9:40] = 1
    masks[1, :, 33:34, 20:60] = 1
    return masks


# ---- Attention ----


def one_step(t2i, prompts, control=None, **settings):
    settings = {"steps": 2, "guidance_scale": 1, "sampler": "ddim", **settings}
    if control is None:
        return t2i.draw(prompts, **settings)
    with controlled(t2i.denoiser, control):
        return t2i.draw(prompts, **settings)


def test_attention_written_out_is_the_same_attention(editor):
    plain = one_step(editor.t2i, [CAT, "a dog"])
    assert_close(one_step(editor.t2i, [CAT, "a dog"], lambda weights: weights), plain, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(one_step(editor.t2i, [CAT, "a dog"], lambda weights: weights.flip(2)), plain)


def test_its_weights_are_shares_and_padding_gets_none(editor):
    seen = []
    one_step(editor.t2i, [CAT, "a dog"], lambda weights: seen.append(weights) or weights)
    assert len(seen) == 2 * len(text_layers(editor.t2i.denoiser))
    for weights in seen:
        assert weights.shape[:3] == (2, 2, 64)  # prompts, heads, places
        assert_close(weights.sum(-1), torch.ones(2, 2, 64))
        tokens = len(editor.t2i.tokenizer.encode("a dog"))
        assert (weights[1, :, :, 64 + tokens :] == 0).all()


def test_control_ends_with_its_block_even_after_an_error(editor):
    with pytest.raises(KeyError), controlled(editor.t2i.denoiser, lambda weights: weights):
        raise KeyError
    assert all(layer.control is None for layer in text_layers(editor.t2i.denoiser))


def test_a_watch_leaves_out_the_empty_prompts(editor):
    with_words, guided = AttentionStore(1), AttentionStore(1)
    one_step(editor.t2i, [CAT], with_words, steps=1)
    one_step(editor.t2i, [CAT], guided, steps=1, guidance_scale=3)
    assert_close(with_words.mean(), guided.mean(), atol=1e-5, rtol=1e-4)
    layers = len(text_layers(editor.t2i.denoiser))
    assert with_words.by_step(layers).shape == (1, *with_words.mean().shape)


def test_the_columns_of_a_word_spell_it(editor):
    tokenizer = editor.t2i.tokenizer
    ids = tokenizer.encode(CAT)
    for word, columns in token_columns(tokenizer, CAT):
        assert tokenizer.decode([ids[i] for i in columns]) == word


def test_heat_is_1_where_most_and_0_without_a_word():
    maps = torch.rand(3, 8, 8, 5)
    assert_close(attention_map(maps, [1, 2]).amax(dim=(1, 2)), torch.ones(3))
    assert (attention_map(maps, []) == 0).all()


def test_pairs_are_the_tokens_that_both_prompts_have(editor):
    tokenizer = editor.t2i.tokenizer
    old, new = pairs(tokenizer, CAT, DOG)
    first, second = tokenizer.encode(CAT), tokenizer.encode(DOG)
    assert [first[i] for i in old] == [second[j] for j in new]
    assert len(old) < len(second)
    assert pairs(tokenizer, CAT, CAT) == (list(range(len(first))),) * 2


@pytest.mark.parametrize("guidance_scale", [1, 2])
def test_the_same_prompt_with_kept_attention_is_the_same_picture(editor, guidance_scale):
    noise = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    conditioning = {"noise": noise, "guidance_scale": guidance_scale, "layout": torch.zeros(2, scenes.LAYOUT)}
    exchange = PromptToPrompt(editor.t2i.tokenizer, [CAT], [CAT], until=0)
    first, second = one_step(editor.t2i, [CAT, CAT], exchange, wrap_denoiser=exchange.around, **conditioning)
    assert_close(first, second, atol=1e-4, rtol=1e-4)

    off = PromptToPrompt(editor.t2i.tokenizer, [CAT], [DOG], until=editor.t2i.schedule.T)
    on = PromptToPrompt(editor.t2i.tokenizer, [CAT], [DOG], until=0)
    kept = one_step(editor.t2i, [CAT, DOG], on, wrap_denoiser=on.around, **conditioning)
    free = one_step(editor.t2i, [CAT, DOG], off, wrap_denoiser=off.around, **conditioning)
    assert_close(free, one_step(editor.t2i, [CAT, DOG], **conditioning), atol=1e-4, rtol=1e-4)
    assert_close(kept[0], free[0], atol=1e-4, rtol=1e-4)  # the first picture is its own
    assert (kept[1] - free[1]).abs().max() > 2e-4
    assert (kept[1] - kept[0]).abs().max() > 2e-4  # new words are still heard


def test_each_second_picture_gets_the_attention_of_its_own_first_one(editor):
    first, second = [CAT, "a dog"], [DOG, "a dog"]
    exchange = PromptToPrompt(editor.t2i.tokenizer, first, second, until=0)
    exchange.on = True
    tokens = editor.t2i.tokenizer(first + second).shape[1]
    weights = torch.rand(8, 2, 4, 4 + tokens, generator=torch.Generator().manual_seed(0)).softmax(-1)
    kept = exchange(weights)
    empty, empty_second, words, words_second = weights.chunk(4)  # two prompts each; empty ones come first
    assert_close(torch.cat([kept[:2], kept[4:6]]), torch.cat([empty, words]))  # the first keep their own
    assert_close(kept[2:4], empty)
    assert not torch.allclose(empty, empty_second)
    shared = len(editor.t2i.tokenizer.encode("a dog"))
    same = torch.cat([words[1, ..., : 4 + shared], words_second[1, ..., 4 + shared :]], dim=-1)
    assert_close(kept[7], same / same.sum(-1, keepdim=True))  # the same words: all is the first one's
    ratio = kept[6, ..., :4] / words[0, ..., :4]  # what places ask of places, but for one factor
    assert_close(ratio, ratio[..., :1].expand_as(ratio))
    exchange.on = False
    assert exchange(weights) is weights


def test_exchanged_weights_are_the_first_pictures_and_sum_to_1(editor):
    exchange = PromptToPrompt(editor.t2i.tokenizer, [CAT], [DOG], until=0)
    exchange.on = True
    tokens = len(editor.t2i.tokenizer([CAT, DOG])[0])
    weights = torch.rand(2, 2, 4, 4 + tokens).softmax(-1)
    kept = exchange(weights)
    assert_close(kept.sum(-1), torch.ones(2, 2, 4))
    assert_close(kept[0], weights[0])
    old, new = ([4 + i for i in part] for part in exchange.shared[0])
    ratio = kept[1][..., new] / weights[0][..., old]  # the same but for one factor a place
    assert_close(ratio, ratio[..., :1].expand_as(ratio))


# ---- Samplers ----


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("again", [0, 3])
def test_going_back_repeats_all_steps_but_the_last(sampler, again):
    asked = []

    def denoise(x_t, t):
        asked.append(int(t[0]))
        return 0.1 * x_t

    settings = {"sampler": sampler, "steps": 5, "again": again}
    steps = list(trajectory(denoise, (1, 3, 8, 8), Schedule.cosine(), **settings))
    assert [step.t for step in steps] == sorted({*asked}, reverse=True)
    assert len(steps) == 5 and len(asked) == 5 + 4 * again
    assert_close(steps[-1].x_prev, steps[-1].x_0_hat)
    with pytest.raises(ValueError, match="again"):
        next(trajectory(denoise, (1, 3, 8, 8), Schedule.cosine(), resample=-1))


def test_going_back_has_the_noise_of_its_time():
    # If all pictures are grey, the ideal guess is grey, and x_t is noise alone, however often one goes back.
    schedule = Schedule.cosine()
    grey = torch.zeros(4, 3, 32, 32)
    for step in trajectory(lambda x_t, t: grey, grey.shape, schedule, sampler="ddpm", steps=10, resample=2):
        expected = (1 - schedule.alpha_bar[step.t]).sqrt()
        assert abs(step.x_t.std() / expected - 1) < 0.03


def test_a_multistep_solver_forgets_its_last_guess_when_it_goes_back(monkeypatch):
    befores = []

    def spy(x_t, x_0_hat, alpha_bar, alpha_bar_prev, x_0_hat_before=None, **rest):
        befores.append(x_0_hat_before is not None)
        return x_0_hat

    monkeypatch.setitem(SAMPLERS, "dpm_solver", spy)
    list(
        trajectory(lambda x, t: x, (1, 1, 2, 2), Schedule.cosine(), sampler="dpm_solver", steps=3, resample=1)
    )
    assert befores == [False, False, True, False, True]  # only a first try knows the step before


def test_the_noise_that_is_found_draws_the_picture_again():
    schedule = Schedule.cosine()

    def smooth(x_t, t):  # any guess that changes little with x_t
        return 0.9 * schedule.alpha_bar[t][:, None, None, None].sqrt() * x_t.tanh()

    x_0 = 1.2 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.6
    noise = invert(smooth, x_0, schedule, steps=20, rounds=20)
    again = sample(smooth, x_0.shape, schedule, sampler="ddim", steps=20, noise=noise)
    assert_close(again, x_0, atol=1e-3, rtol=1e-3)
    rough = sample(
        smooth, x_0.shape, schedule, sampler="ddim", steps=20, noise=invert(smooth, x_0, schedule, 20, 1)
    )
    assert (rough - x_0).abs().max() > (again - x_0).abs().max()


# ---- Fitting ----


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (300, 200), (31, 500), (700, 700), (1, 100_000)])
def test_a_picture_is_fitted_and_comes_back_at_its_size(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(pixels)
    fitted = Letterbox(picture)
    assert fitted.square.size == (SIDE, SIDE)
    assert fitted.back(fitted.square).size == size
    if size == (SIDE, SIDE):
        assert np.array_equal(fitted.square, picture)
    flat = Image.new("RGB", size, (10, 200, 30))
    assert np.array_equal(Letterbox(flat).back(Letterbox(flat).square), flat)


def test_a_grey_mask_is_black_and_white():
    mask = to_mask(Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)))
    assert sorted({*mask.tobytes()}) == [0, 255]
    assert np.asarray(mask).mean() == 127.5


@pytest.mark.parametrize("rim", [0, 3])
def test_what_is_known_is_laid_around_bit_for_bit(pictures, masks, rim):
    mixed = composite(pictures, -pictures, masks, rim)
    known = masks.expand_as(pictures) == 0
    assert torch.equal(mixed[known], pictures[known])
    inner = feather(masks, rim).expand_as(pictures) == 1
    assert torch.equal(mixed[inner], -pictures[inner])
    assert torch.equal(composite(pictures, -pictures, torch.ones_like(masks), rim), -pictures)
    assert torch.equal(composite(pictures, -pictures, torch.zeros_like(masks), rim), pictures)


def test_a_thin_mask_is_drawn_in_full():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4] = 1
    assert torch.equal(feather(mask, 3), mask)


def test_a_rim_rises_within_the_mask_and_not_at_the_edge_of_the_picture():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3:] = 1
    assert_close(feather(mask, 2)[0, 0, 4], torch.tensor([0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1]))


def test_another_shade_of_the_same_is_brought_back_and_another_thing_is_not():
    known = torch.full((1, 3, 64, 64), 0.2)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:50, 20:50] = 1
    assert_close(match_colours(known, known - 0.05, mask), known, atol=0.005, rtol=0)
    other = match_colours(known, known - 0.9, mask)
    assert (other - (known - 0.9)).abs().max() < 0.05


# ---- The editor ----


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_strength_and_number_of_steps_varies(editor, pictures, sampler):
    for strength, steps in itertools.product((0.001, 0.3, 0.999, 1), (1, 2, 7)):
        drawn = editor.vary(pictures, [CAT, DOG], strength, steps=steps, sampler=sampler)
        assert drawn.shape == pictures.shape and drawn.isfinite().all()


def test_strength_0_is_the_picture_and_1_ignores_it(editor, pictures):
    assert torch.equal(editor.vary(pictures, [CAT, CAT], 0), pictures)
    assert torch.equal(
        editor.vary(pictures, [CAT, CAT], 1, steps=3), editor.vary(-pictures, [CAT, CAT], 1, steps=3)
    )
    assert not torch.equal(
        editor.vary(pictures, [CAT, CAT], 0.9, steps=3), editor.vary(-pictures, [CAT, CAT], 0.9, steps=3)
    )
    for strength in (-0.1, 1.1):
        with pytest.raises(InputError, match="strength"):
            editor.vary(pictures, [CAT, CAT], strength)


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
    kept = editor.inpaint(pictures, torch.zeros_like(masks), [CAT, DOG], way, steps=2)
    assert torch.equal(kept, pictures)
    everything = torch.ones_like(masks)
    drawn = editor.inpaint(pictures, everything, [CAT, DOG], way, steps=2)
    assert torch.equal(drawn, editor.inpaint(-pictures, everything, [CAT, DOG], way, steps=2))


def test_an_unknown_way_is_named(editor, pictures, masks):
    with pytest.raises(InputError, match="way must be one of trained, replace, repaint, not 'magic'"):
        editor.inpaint(pictures, masks, [CAT, DOG], "magic")


def test_where_it_is_known_the_guess_is_what_is_known():
    known, masks = torch.randn(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    masks[..., 2:] = 1
    steps = list(
        trajectory(
            keep_known(known, masks)(lambda x_t, t: 0.3 * x_t), known.shape, Schedule.cosine(), steps=4
        )
    )
    noise = steps[0].x_t
    for step in steps:  # so x_t there is the known part with the noise that was there from the start
        expected = Schedule.cosine().add_noise(known, noise, torch.tensor([step.t]))
        if step is not steps[0]:
            assert_close(step.x_t[..., :2], expected[..., :2], atol=1e-4, rtol=1e-3)
    assert torch.equal(steps[-1].x_prev[..., :2], known[..., :2])


def test_a_denoiser_that_learns_to_see_begins_as_it_was(editor):
    old = untrained()
    new = UNet(UNetConfig(**SIZES, **TOLD, seen=9)).eval()
    new.load_state_dict(new.state_dict() | old.state_dict())
    x_t, t, seen = torch.randn(2, 8, 16, 16), torch.tensor([3, 500]), torch.randn(2, 9, 16, 16)
    text, layout = editor.t2i.encode([CAT, DOG]), torch.rand(2, scenes.LAYOUT)
    assert torch.equal(new(x_t, t, text, layout, seen), old(x_t, t, text, layout))
    torch.nn.init.normal_(new.seen.weight)
    assert not torch.equal(new(x_t, t, text, layout, seen), old(x_t, t, text, layout))


def test_it_is_shown_what_is_known_and_how_much(editor, pictures, masks):
    seen = inpaint_conditioning(editor.t2i, pictures, masks)
    assert seen.shape == (2, 9, 16, 16)
    assert_close(seen[:, -1].mean(dim=(1, 2)), 1 - masks.mean(dim=(1, 2, 3)))  # shares of 1 that are known
    hidden = inpaint_conditioning(editor.t2i, torch.where(masks == 1, -pictures, pictures), masks)
    assert torch.equal(hidden, seen)


def test_a_prompt_that_asks_for_what_is_there_changes_nothing(editor, pictures):
    prompts = [full_caption(found.now) for found in editor.find(pictures, ["", ""])]
    edited = editor.edit(pictures, prompts, steps=2)
    assert torch.equal(edited.pictures, pictures)
    assert not edited.masks.any() and not edited.attention_map.any()


def test_an_edit_changes_where_its_mask_says_and_nowhere_else(editor, pictures):
    for found in editor.find(pictures, ["", ""]):
        assert found.now == found.wanted
    colours = ["red" if f.now.colour != "red" else "blue" for f in editor.find(pictures, ["", ""])]
    edited = editor.edit(pictures, [f"a {colour} crown" for colour in colours], steps=3, threshold=0.9)
    known = edited.masks.expand_as(pictures) == 0
    assert known.any() and edited.masks.any()
    assert torch.equal(edited.pictures[known], pictures[known])
    assert not torch.equal(edited.pictures, pictures)


def test_only_the_picture_whose_prompt_asks_for_something_new_is_changed(editor, pictures):
    same = full_caption(editor.find(pictures, ["", ""])[0].now)
    for prompts, changed in (([same, "a crown on a fox"], 1), (["a crown on a fox", same], 0)):
        edited = editor.edit(pictures if changed else pictures.flip(0), prompts, steps=2)
        assert edited.masks[changed].any() and not edited.masks[1 - changed].any()


# ---- Pictures of any size ----


def noise_picture(*size: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize("size", [(256, 256), (300, 200), (1, 1)])
def test_known_pixels_of_any_picture_are_the_callers_own(editor, size):
    picture = noise_picture(*size)
    mask = Image.new("L", (8, 8))
    mask.paste(255, (2, 2, 6, 5))
    drawn, mask = any_size.inpaint(editor, picture, mask, CAT, steps=2)
    assert drawn.size == size
    known = np.asarray(mask) == 0
    assert np.array_equal(np.asarray(drawn)[known], np.asarray(picture)[known])
    if size != (1, 1):
        assert known.any() and not np.array_equal(drawn, picture)
    empty = Image.new("L", size)
    assert np.array_equal(any_size.inpaint(editor, picture, empty, CAT, steps=2)[0], picture)
    full = any_size.inpaint(editor, picture, Image.new("L", size, 255), CAT, steps=2)[0]
    assert full.size == size
    varied = any_size.vary(editor, picture, CAT, 0.5, steps=2)
    assert varied.size == size
    assert np.array_equal(any_size.vary(editor, picture, CAT, 0), picture)
    edited, mask = any_size.edit(editor, picture, "a crown", steps=2, threshold=0.98)
    known = np.asarray(mask) == 0
    assert size == (1, 1) or (known.any() and not known.all())
    assert np.array_equal(np.asarray(edited)[known], np.asarray(picture)[known])


@pytest.mark.parametrize("side", any_size.TOWARDS)
@pytest.mark.parametrize(("size", "pixels"), [((256, 256), 64), ((90, 60), 100), ((256, 256), 400)])
def test_a_picture_grows_by_what_was_asked_for_and_keeps_what_it_was(editor, side, size, pixels):
    picture = noise_picture(*size)
    grown = any_size.extend(editor, picture, [CAT], side, pixels, steps=1)
    x, y = any_size.TOWARDS[side]
    assert grown.size == (size[0] + abs(x) * pixels, size[1] + abs(y) * pixels)
    left, top = pixels if x < 0 else 0, pixels if y < 0 else 0
    assert np.array_equal(grown.crop((left, top, left + size[0], top + size[1])), picture)


@pytest.mark.parametrize("side", any_size.TOWARDS)
def test_no_seam_is_drawn_where_none_has_to_be(editor, side, monkeypatch):
    flat = Image.new("RGB", (256, 256), (250, 240, 60))
    monkeypatch.setattr(editor, "inpaint", lambda pictures, *rest, **settings: pictures)
    monkeypatch.setattr(editor.t2i, "enlarge", lambda small, size: bicubic(small, size, size).clamp(-1, 1))
    grown = np.asarray(any_size.extend(editor, flat, ["a cat"], side, 200)).astype(int)
    assert np.abs(grown - (250, 240, 60)).max() <= 1


def test_each_window_shows_what_its_prompt_says(editor, monkeypatch):
    shown = []

    def inpaint(pictures, masks, prompts, **settings):
        shown.append((prompts[0], round(masks.mean().item(), 2), settings["layout"][0, -3:].tolist()))
        return pictures

    monkeypatch.setattr(editor, "inpaint", inpaint)
    any_size.extend(editor, noise_picture(256, 256), ["a", "b", "c"], "right", 576)
    assert [prompt for prompt, _, _ in shown] == ["a", "b", "c"]
    for _, share, (x, y, size) in shown:
        assert (share, y) == (0.75, 0)
        assert (x, size) == pytest.approx((0.125, 0.735))
    shown.clear()
    any_size.extend(editor, noise_picture(256, 256), ["a"], "up", 256)  # what has no room goes on
    assert [(prompt, share) for prompt, share, _ in shown] == [("a", 0.75), ("a", 0.25)]


@pytest.mark.parametrize(
    ("side", "pixels", "prompts"),
    [("north", 9, ["a"]), ("left", 0, ["a"]), ("left", 9, []), ("up", 999, ["a"]), ("up", 2, ["a"] * 99)],
)
def test_an_impossible_extension_is_refused(editor, side, pixels, prompts):
    with pytest.raises(InputError, match="say by how many pixels|too far|too many"):
        any_size.extend(editor, noise_picture(9, 9), prompts, side, pixels)


# ---- Shipped weights ----


@pytest.fixture(scope="module")
def shipped():
    return SimpleNamespace(editor=Editor.load(), judge=load_model("judge"))


def test_a_layout_that_is_a_little_off_is_brought_back(shipped):
    pixels, shown = scene_pictures("train", 12, 64, seed=33)
    t2i, true = shipped.editor.t2i, layouts(shown)
    off = true.clone()
    off[:, -3:] += 0.03 * torch.tensor([1.0, -1.0, 1.0])
    z, known = t2i.encode_pictures(to_float(pixels)), torch.ones(12, 1, 16, 16)
    known[:, :, :6] = 0  # the upper part is to be drawn anew
    back = refine_layout(t2i, off, z, known, [full_caption(scene) for scene in shown], seed=1)
    assert (back - true).abs()[:, -3:].mean() < 0.01
    assert torch.equal(back[:, :-3], true[:, :-3])  # the style is left alone
    nothing = refine_layout(t2i, off, z, 0 * known, [full_caption(scene) for scene in shown], seed=1)
    assert_close(nothing, off)


def test_shipped_weights_change_the_colour_of_a_hat_and_nothing_else(shipped):
    pixels, shown = scene_pictures("held_out", 24, 64, seed=32)
    wanted = [replace(scene, colour="red" if scene.colour != "red" else "blue") for scene in shown]
    before, prompts = to_float(pixels), [full_caption(scene) for scene in wanted]
    edited = shipped.editor.edit(before, prompts)
    assert verdicts(shipped.judge, edited.pictures, wanted)["joint"].float().mean() > 0.85

"""Attention written out is the same attention; it can be watched, and given to another picture."""

import pytest
import torch
from torch.testing import assert_close

from minit2i.edit.attention import (
    AttentionStore,
    PromptToPrompt,
    attention_map,
    map_of_changes,
    shared_tokens,
    token_columns,
)
from minit2i.layers import Attention
from minit2i.world.scenes import LAYOUT

CAT, DOG = "a cat wearing a blue baseball cap", "a cat in a red hat"


def drawn(t2i, prompts, hook=None, **settings):
    settings = {"steps": 2, "guidance_scale": 1, "sampler": "ddim", **settings}
    return t2i.draw(prompts, conditioning={"attention_hook": hook} if hook else None, **settings)


def layers(denoiser) -> int:
    return sum(isinstance(part, Attention) for part in denoiser.modules())


def test_attention_written_out_is_the_same_attention(editor):
    plain = drawn(editor.t2i, [CAT, "a dog"])
    assert_close(drawn(editor.t2i, [CAT, "a dog"], lambda weights: weights), plain, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(drawn(editor.t2i, [CAT, "a dog"], lambda weights: weights.flip(2)), plain)


def test_its_weights_are_shares_and_padding_gets_none(editor):
    seen = []
    drawn(editor.t2i, [CAT, "a dog"], lambda weights: seen.append(weights) or weights)
    assert len(seen) == 2 * layers(editor.t2i.denoiser)
    tokens = len(editor.t2i.tokenizer.encode("a dog"))
    for weights in seen:
        assert weights.shape[:3] == (2, 2, 64)  # prompts, heads, positions
        assert_close(weights.sum(-1), torch.ones(2, 2, 64))
        assert (weights[1, :, :, 64 + tokens :] == 0).all()


def test_a_store_leaves_out_the_empty_prompts(editor):
    with_words, guided = AttentionStore(1), AttentionStore(1)
    drawn(editor.t2i, [CAT], with_words, steps=1)
    drawn(editor.t2i, [CAT], guided, steps=1, guidance_scale=3)
    assert_close(with_words.mean(), guided.mean(), atol=1e-5, rtol=1e-4)


def test_a_store_tells_steps_apart():
    store = AttentionStore(1)
    for value in range(6):  # three steps of two layers
        store(torch.full((1, 2, 4, 4 + 3), float(value)))
    assert store.by_step(3).shape == (3, 1, 2, 2, 3)
    assert store.by_step(3)[:, 0, 0, 0, 0].tolist() == [0.5, 2.5, 4.5]
    assert_close(store.by_step(3).mean(dim=0), store.mean())


def test_the_columns_of_a_word_spell_it(editor):
    tokenizer = editor.t2i.tokenizer
    ids = tokenizer.encode(CAT)
    assert [word for word, _ in token_columns(tokenizer, CAT)] == CAT.split()
    for word, columns in token_columns(tokenizer, CAT):
        assert tokenizer.decode([ids[i] for i in columns]) == word


def test_words_that_have_no_room_have_no_columns(editor):
    tokenizer = editor.t2i.tokenizer
    columns = [column for _, some in token_columns(tokenizer, "cat " * 100) for column in some]
    assert columns == list(range(1, tokenizer.context - 1))  # all but the start and the end token


def test_a_map_is_1_where_most_and_0_without_a_word():
    maps = torch.rand(3, 8, 8, 5)
    assert_close(attention_map(maps, [1, 2]).amax(dim=(1, 2)), torch.ones(3))
    assert (attention_map(maps, []) == 0).all()


def test_the_map_of_changes_shows_the_words_that_only_one_prompt_has(editor):
    tokenizer = editor.t2i.tokenizer
    maps = torch.zeros(4, 2, 2, len(tokenizer.encode(CAT)))
    (_, new) = shared_tokens(tokenizer, "a dog", "a cat")
    [column] = [i for i in range(len(tokenizer.encode("a cat"))) if i not in new]
    maps[0, ..., 1], maps[2, 0, 1, column], maps[2, 1, 0, column] = 1, 4, 2  # "a" does not count
    changes = map_of_changes(maps, tokenizer, ["a dog", "a cat"], ["a cat", "a cat"])
    assert_close(changes, torch.tensor([[[0, 1], [0.5, 0]], [[0, 0], [0, 0]]]))


def test_pairs_are_the_tokens_that_both_prompts_have(editor):
    tokenizer = editor.t2i.tokenizer
    old, new = shared_tokens(tokenizer, CAT, DOG)
    first, second = tokenizer.encode(CAT), tokenizer.encode(DOG)
    assert [first[i] for i in old] == [second[j] for j in new]
    assert len(old) < len(second)
    assert shared_tokens(tokenizer, CAT, CAT) == (list(range(len(first))),) * 2


@pytest.mark.parametrize("guidance_scale", [1, 2])
def test_the_same_prompt_with_kept_attention_is_the_same_picture(editor, guidance_scale):
    t2i = editor.t2i
    noise = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    settings = {"noise": noise, "guidance_scale": guidance_scale, "layout": torch.zeros(2, LAYOUT)}

    def exchanged(second, until):
        exchange = PromptToPrompt(t2i.tokenizer, [CAT], [second], until)
        return drawn(t2i, [CAT, second], exchange, wrap_denoiser=exchange.wrap_denoiser, **settings)

    first, second = exchanged(CAT, until=0)
    assert_close(first, second, atol=1e-4, rtol=1e-4)
    kept, free = exchanged(DOG, until=0), exchanged(DOG, until=t2i.schedule.T)
    assert_close(free, drawn(t2i, [CAT, DOG], **settings), atol=1e-4, rtol=1e-4)
    assert_close(kept[0], free[0], atol=1e-4, rtol=1e-4)  # the first picture is its own
    assert (kept[1] - free[1]).abs().max() > 2e-4
    assert (kept[1] - kept[0]).abs().max() > 2e-4  # new words are still heeded


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
    assert_close(kept.sum(-1), torch.ones(8, 2, 4))
    old, new = ([4 + i for i in part] for part in exchange.shared[0])
    for columns in (slice(0, 4), (old, new)):  # positions, and shared words: the same but for one factor
        before, after = columns if isinstance(columns, tuple) else (columns, columns)
        ratio = kept[6][..., after] / words[0][..., before]
        assert_close(ratio, ratio[..., :1].expand_as(ratio))
    exchange.on = False
    assert exchange(weights) is weights

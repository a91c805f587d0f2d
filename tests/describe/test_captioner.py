"""A language model that is conditioned on a picture: what it may see, and how it writes."""

import random

import pytest
import torch
from on_page import on_page
from torch import Generator
from torch.testing import assert_close

from minit2i.describe.captioner import (
    DESCRIBE,
    LONGEST,
    Captioner,
    CaptionerConfig,
    attention_maps,
    caption_loss,
    write,
)
from minit2i.describe.train import question_batch
from minit2i.describe.vqa import ask
from minit2i.tokenizer import Tokenizer
from minit2i.trainer import Training
from minit2i.world.captions import full_caption
from minit2i.world.scenes import Scene, draw_scene

SMALL = {"width": 32, "depth": 2, "heads": 2, "picture_tokens": 4, "picture_width": 8}
CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([full_caption(draw_scene(1, i)) for i in range(50)] * 2, 600, context=64)


@pytest.fixture
def model(tokenizer) -> Captioner:
    torch.manual_seed(0)
    return Captioner(CaptionerConfig(vocabulary=tokenizer.vocabulary, **SMALL)).eval()


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randn(2, 4, 8, generator=Generator().manual_seed(1))


# ---- The network ----


def test_no_token_sees_what_comes_after_it(model, picture):
    ids = torch.randint(500, (2, 7), generator=Generator().manual_seed(2))
    before = model(picture, ids)
    ids[:, 4] += 1
    after = model(picture, ids)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=(0, 2)).min() > 1e-5


def test_every_token_sees_the_picture(model, picture):
    ids = torch.randint(500, (2, 5), generator=Generator().manual_seed(2))
    one, other = model(picture, ids), model(picture.flip(0), ids)
    assert (one - other).abs().amax(dim=(0, 2)).min() > 1e-5


def test_a_cache_changes_nothing(model, picture):
    ids = torch.randint(500, (2, 6), generator=Generator().manual_seed(2))
    caches = [[] for _ in model.blocks]
    first = model(picture, ids[:, :3], caches)
    second, third = model(None, ids[:, 3:5], caches), model(None, ids[:, 5:], caches)
    parts = torch.cat([first, second, third], dim=1)
    assert_close(parts, model(picture, ids), atol=1e-5, rtol=1e-4)


def test_the_loss_counts_answers_alone(model, picture, tokenizer):
    rng = random.Random(0)
    questions = [ask("hat", CAT, CAT, rng, ["train"]), ask("describe", CAT, CAT, rng, ["train"])]
    batch = question_batch(tokenizer, questions)
    for row, one in enumerate(questions):
        answer = batch.ids[row, batch.columns[batch.rows == row]].tolist()
        assert answer[-1] == tokenizer.end and tokenizer.decode(answer) == one.answer
    logits = model(picture, batch.ids)
    by_hand = [
        -logits[row, column - 1].log_softmax(-1)[batch.ids[row, column]]
        for row, column in zip(batch.rows, batch.columns, strict=True)
    ]
    assert_close(caption_loss(model, picture, batch), torch.stack(by_hand).mean())


def test_it_learns_to_tell_two_pictures_apart(model, picture, tokenizer):
    rng = random.Random(0)
    dog = Scene("dog", "crown", "red", "none", "navy", "noto")
    batch = question_batch(tokenizer, [ask("animal", scene, CAT, rng, ["x"]) for scene in (CAT, dog)])
    training = Training(model, lr=2e-2)
    for _ in range(60):
        training.update(caption_loss(training.model, picture, batch), progress=0)
    questions = [tokenizer.decode(row.tolist()).rsplit(" a ", 1)[0] for row in batch.ids]
    answers = [
        write(training.model.eval(), tokenizer, picture[i : i + 1], question)[0]
        for i, question in enumerate(questions)
    ]
    assert answers == ["a cat", "a dog"]


# ---- Writing ----


beam_search = on_page("11", "beam_search", torch=torch, DESCRIBE=DESCRIBE)


def greedily(model, tokenizer, picture, question=DESCRIBE) -> str:
    """Greedy writing without a cache and without a batch."""
    ids = tokenizer.encode(question)
    begin = len(ids)
    for _ in range(LONGEST):
        ids.append(int(model(picture, torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == tokenizer.end:
            break
    return tokenizer.decode([i for i in ids[begin:] if i != tokenizer.end])


def test_greedy_takes_the_likeliest_token_each_time(model, picture, tokenizer):
    with torch.no_grad():
        model.embed.weight[tokenizer.end] *= 4  # else it would never end
    texts = [greedily(model, tokenizer, picture[i : i + 1]) for i in (0, 1)]
    assert write(model, tokenizer, picture) == texts


def test_sampling_depends_on_the_seed(model, picture, tokenizer):
    bold = [write(model, tokenizer, picture, temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert bold[0] == bold[1] != bold[2]


def test_a_text_that_ends_early_stays_as_it_is_while_others_go_on(model, picture, tokenizer, monkeypatch):
    def rigged(picture, ids, caches):
        logits = Captioner.forward(model, picture, ids, caches)
        read = caches[0][0][0].shape[2]  # tokens so far, those of the picture included
        logits[0, :, tokenizer.end] += 1e4 * (read > 4 + len(tokenizer.encode(DESCRIBE)))
        logits[1, :, tokenizer.end] -= 1e4
        return logits

    monkeypatch.setattr(model, "forward", rigged)
    monkeypatch.setattr(tokenizer, "decode", len)
    assert write(model, tokenizer, picture) == [1, LONGEST]


def test_each_picture_of_a_batch_is_written_of_as_if_alone(model, picture, tokenizer):
    alone = [write(model, tokenizer, picture[i : i + 1])[0] for i in (0, 1)]
    assert write(model, tokenizer, picture) == alone


def test_beams_say_how_likely_their_texts_are(model, picture, tokenizer, monkeypatch):
    assert beam_search(model, tokenizer, picture[:1], width=1)[0][0] == greedily(
        model, tokenizer, picture[:1]
    )
    monkeypatch.setattr(tokenizer, "decode", lambda ids: ids)  # other tokens may spell the same text
    found = beam_search(model, tokenizer, picture[:1], width=4)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    before = tokenizer.encode(DESCRIBE)
    for ids, score in found:
        after = ids if len(ids) == LONGEST else [*ids, tokenizer.end]
        logits = model(picture[:1], torch.tensor([before + after[:-1]]))
        steps = logits[0, len(before) - 1 :].log_softmax(-1)
        assert score == pytest.approx(steps[range(len(after)), after].sum().item(), abs=1e-3)


@pytest.mark.parametrize("question", ["what " * 500, "ы" * 300, ""])
def test_any_question_fits(model, picture, tokenizer, question):
    assert len(write(model, tokenizer, picture, question)) == 2
    assert len(tokenizer.encode(question)) + LONGEST <= model.config.context


def test_looks_are_shares_of_the_picture(model, picture, tokenizer):
    look = attention_maps(model, tokenizer, picture[:1], DESCRIBE, "a cat")
    assert look.shape == (len(tokenizer.encode("a cat")) - 2, 2, 2)
    assert_close(look.sum(dim=(1, 2)), torch.ones(len(look)))
    before, answer = tokenizer.encode(DESCRIBE), tokenizer.encode("a cat")[1:-1]
    for i in range(len(answer)):  # where the token before looked, from which this one was predicted
        weights = []
        ids = torch.tensor([before + answer[:i]])
        model.read(picture[:1], ids, hook=lambda of_block, kept=weights: kept.append(of_block) or of_block)
        last = torch.cat(weights)[:, :, -1, :4].mean(dim=(0, 1))
        assert_close(look[i].flatten(), last / last.sum())


def test_defaults_that_a_caller_sets_change_no_word(model, picture, tokenizer):
    def texts():
        bold = write(model, tokenizer, picture, temperature=1.0)
        return write(model, tokenizer, picture), bold, beam_search(model, tokenizer, picture[:1], width=2)

    before = texts()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            assert texts() == before
    finally:
        torch.set_default_dtype(torch.float32)

"""The denoiser: shapes, hearing words, indifference to padding, and learning a batch by heart."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from minit2i.clip import Text
from minit2i.samplers import denoiser_of, sample
from minit2i.schedule import Schedule
from minit2i.trainer import Training, fit
from minit2i.unet import UNet, UNetConfig, denoising_loss, frame_waves

TINY = UNetConfig(
    picture_size=16,
    patch=2,
    widths=(16, 32),
    blocks=1,
    heads=2,
    embedding=32,
    exit_channels=8,
    text_width=12,
    text_pooled=10,
)


def some_text(n: int, tokens: int = 5) -> Text:
    return Text(torch.randn(n, tokens, 12), torch.ones(n, tokens, dtype=torch.bool), torch.randn(n, 10))


def awake(config: UNetConfig) -> UNet:
    """An untrained network answers 0 by design; random last layers make its parts audible."""
    torch.manual_seed(0)
    model = UNet(config).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        UNetConfig(
            channels=1, picture_size=32, patch=2, widths=(16, 32), blocks=2, text_width=0, text_pooled=0
        ),
        UNetConfig(patch=4, widths=(16, 32, 48), blocks=1, text_width=12, text_pooled=10),
    ],
)
def test_the_answer_has_the_shape_of_the_question(config):
    x_t = torch.randn(3, config.channels, config.picture_size, config.picture_size)
    text = some_text(3) if config.text_width else None
    assert awake(config)(x_t, torch.tensor([0, 500, 999]), text).shape == x_t.shape


def test_words_and_time_matter():
    model, x_t, t = awake(TINY), torch.randn(2, 3, 16, 16), torch.tensor([500, 500])
    text, other = some_text(2), some_text(2)
    with torch.no_grad():
        answer = model(x_t, t, text)
        by_tokens = model(x_t, t, Text(other.tokens, text.mask, text.pooled))
        by_pooled = model(x_t, t, Text(text.tokens, text.mask, other.pooled))
        by_time = model(x_t, t - 400, text)
    for changed in (by_tokens, by_pooled, by_time):
        assert (changed - answer).abs().amax() > 1e-3


def test_the_frame_matters():
    model, x_t, t = awake(replace(TINY, layout=4)), torch.randn(1, 3, 16, 16), torch.tensor([500])
    text, layout = some_text(1), torch.tensor([[1.0, 0.05, -0.02, 0.8]])
    model.layout.weight.data.zero_()  # so that it is heard by the waves alone
    with torch.no_grad():
        answer, mirrored = (
            model(x_t, t, text, conditioning)
            for conditioning in (layout, layout * torch.tensor([1, -1, 1, 1]))
        )
    assert (mirrored - answer).abs().amax() > 1e-3


def test_frame_waves_move_and_grow_with_the_frame_and_are_0_where_it_is_left_to_chance():
    still, moved, unknown = frame_waves(
        torch.tensor([[0.0, 0.0, 0.8], [1 / 16, -2 / 16, 0.8], [0.0, 0.0, 0.0]]), 16, 16
    )
    assert_close(moved[:, :14, 1:], still[:, 2:, :15])  # one place to the right, two up
    assert not unknown.any()
    # the first wave is sin(pi u), and u goes from -1/2 to 1/2 within the frame: here the middle half
    [half] = frame_waves(torch.tensor([[0.0, 0.0, 0.5]]), 32, 32)
    u = torch.linspace(-0.5, 0.5, 17)[:-1] + 1 / 32
    assert_close(half[0, 5, 8:24], (torch.pi * u).sin())


def test_masked_tokens_are_not_heard():
    model, x_t, t = awake(TINY), torch.randn(2, 3, 16, 16), torch.tensor([10, 900])
    text = some_text(2)
    longer = Text(
        torch.cat([text.tokens, 100 * torch.randn(2, 4, 12)], dim=1),
        torch.cat([text.mask, torch.zeros(2, 4, dtype=torch.bool)], dim=1),
        text.pooled,
    )
    with torch.no_grad():
        assert_close(model(x_t, t, longer), model(x_t, t, text))


def test_a_picture_does_not_see_its_neighbours_in_the_batch():
    model, x_t, t, text = awake(TINY), torch.randn(3, 3, 16, 16), torch.tensor([1, 400, 800]), some_text(3)
    with torch.no_grad():
        together = model(x_t, t, text)
        alone = model(x_t[1:2], t[1:2], Text(*(part[1:2] for part in text)))
    assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["x_0", "v"])  # those that are shipped
def test_two_pictures_are_learnt_by_heart_and_drawn_from_their_words(prediction):
    # Two flat pictures with two texts: each text must draw its own.
    config = UNetConfig(**{**vars(TINY), "picture_size": 8, "prediction": prediction})
    torch.manual_seed(0)
    model, text, schedule = UNet(config), some_text(2), Schedule.cosine()
    x_0 = torch.tensor([0.8, -0.8])[:, None, None, None].expand(2, 3, 8, 8)

    def loss(model, generator):
        many = torch.arange(16) % 2
        return denoising_loss(
            model, schedule, x_0[many], Text(*(part[many] for part in text)), generator, "v"
        )

    training = Training(model, lr=6e-3, decay=0.9)
    losses = [loss for _, loss in fit(training, loss, steps=150)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    drawn = sample(denoiser_of(training.average, schedule, text), (2, 3, 8, 8), schedule, steps=10).mean(
        dim=(1, 2, 3)
    )
    assert_close(drawn, torch.tensor([0.8, -0.8]), atol=0.2, rtol=0)

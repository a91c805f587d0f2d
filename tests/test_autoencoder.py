import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from minit2i.autoencoder import Autoencoder, AutoencoderConfig, false_colours, noised, reconstruction_loss
from minit2i.images import to_float
from minit2i.train.autoencoder import AutoencoderRecipe
from minit2i.trainer import Training, fit
from minit2i.world.batches import new_scenes, scene_pictures
from minit2i.world.scenes import held_out

TINY = AutoencoderConfig(width=16, encoder_blocks=1, decoder_blocks=1, exit_channels=8)


def scenes_as_pictures(n: int) -> torch.Tensor:
    return to_float(scene_pictures("train", n, 64, seed=2)[0])


def test_latents_are_a_sixth_of_the_numbers_and_pictures_come_back_in_shape():
    model = Autoencoder(AutoencoderConfig()).eval()
    x = scenes_as_pictures(2)
    with torch.no_grad():
        z = model.encode(x)
        assert z.shape == (2, 8, 16, 16) and x.numel() == 6 * z.numel()
        assert model(x).shape == x.shape
        assert model(torch.zeros(1, 3, 32, 96)).shape == (1, 3, 32, 96)
    assert sum(p.numel() for p in model.parameters()) <= 1_000_000


def test_while_it_trains_each_channel_has_unit_scale():
    torch.manual_seed(0)
    with torch.no_grad():
        z = Autoencoder(TINY).train().encode(scenes_as_pictures(8))
    assert_close(z.mean((0, 2, 3)), torch.zeros(8), atol=1e-4, rtol=0)
    assert_close(z.std((0, 2, 3)), torch.ones(8), atol=1e-2, rtol=0)


def test_the_loss_is_the_distance_its_square_and_half_that_of_the_slopes():
    x, x_hat = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # Distance and square 1/4; of two slopes in each direction one is off by 1: 1/2 + 1/2
    assert reconstruction_loss(x_hat, x).item() == pytest.approx(1 / 4 + 4 / 4 + 0.5 * (1 / 2 + 1 / 2))
    assert reconstruction_loss(x, x).item() == 0
    # Both are as far from a hard edge pixel by pixel, but one is soft
    edge = torch.tensor([-1.0, -1, -1, 1, 1, 1]).expand(1, 1, 6, 6)
    soft = torch.tensor([-1.0, -1, -0.5, 0.5, 1, 1]).expand(1, 1, 6, 6)
    pale = edge - edge.sign() / 6
    assert_close((soft - edge).abs().mean(), (pale - edge).abs().mean())
    assert reconstruction_loss(soft, edge) > 2 * reconstruction_loss(pale, edge)


def test_it_learns_to_give_back_what_it_sees():
    torch.manual_seed(0)
    training, x = Training(Autoencoder(TINY), lr=3e-3), scenes_as_pictures(8)

    def batch_loss(model, generator):
        return reconstruction_loss(model.decode(noised(model.encode(x), 0.1, generator)), x)

    losses = [loss for _, loss in fit(training, batch_loss, steps=100)]
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    with torch.no_grad():
        model = training.average.eval()
        z = model.encode(x)
        back = (model.decode(z) - x).square().mean()
        # Each channel is of use: without it the picture is further off
        for channel in range(8):
            without = z.clone()
            without[:, channel] = 0
            assert (model.decode(without) - x).square().mean() > 1.01 * back


def test_the_noise_has_the_strength_that_was_asked_for():
    z = torch.zeros(4, 8, 16, 16)
    assert noised(z, 0.1, Generator().manual_seed(0)).std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(noised(z, 0.0, Generator()), z)


def test_false_colours_are_three_channels():
    z = torch.randn(2, 8, 4, 4)
    z[0, 0, 0, 0] = 100
    assert false_colours(z).shape == (2, 3, 4, 4)
    assert false_colours(z).max() == 1 and false_colours(z)[0, 0, 0, 0] == 1


def test_scenes_for_training_are_new_each_time_and_none_is_held_out():
    generator = Generator().manual_seed(0)
    one, other = new_scenes(50, generator), new_scenes(50, generator)
    assert not set(one) & set(other)
    assert not any(held_out(s.animal, s.headwear, s.colour) for s in new_scenes(500, generator))
    assert one == new_scenes(50, Generator().manual_seed(0))


def test_its_sheet_shows_pictures_above_what_comes_back():
    assert AutoencoderRecipe().preview(Autoencoder(TINY).eval(), None).width > 1000

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from minit2i.evaluate.metrics import psnr
from minit2i.images import to_float
from minit2i.text2image import TextToImage
from minit2i.train import upscaler
from minit2i.train.upscaler import UpscalerData, UpscalerRecipe, degrade, random_crops, redraw
from minit2i.upscaler import Upscaler, UpscalerConfig, bicubic, upscale
from minit2i.world.batches import scene_pictures


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator()) * 2 - 1


def drawings(n: int, size: int) -> torch.Tensor:
    """Pictures with sharp edges: three coloured discs on a coloured ground; (n, 3, size, size) in [-1, 1]."""
    rng = generator()
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pictures = (torch.rand(n, 3, 1, 1, generator=rng) * 2 - 1).expand(n, 3, size, size).clone()
    for picture in pictures:
        for _ in range(3):
            centre_y, centre_x, radius = (torch.rand(3, generator=rng) * size).tolist()
            distance = ((y - centre_y) ** 2 + (x - centre_x) ** 2).sqrt()
            disc = (0.5 * radius - distance + 0.5).clamp(0, 1)  # the share of each pixel that it covers
            colour = torch.rand(3, 1, 1, generator=rng) * 2 - 1
            picture.lerp_(colour, disc)
    return pictures


def small_random_upscaler() -> Upscaler:
    """A small network whose correction is large, as if it had been trained."""
    torch.manual_seed(0)
    model = Upscaler(UpscalerConfig(width=8, blocks=2))
    torch.nn.init.normal_(model.tail.weight, std=0.1)
    return model


@pytest.mark.parametrize("size", [(16, 12), (128, 96)])
def test_bicubic_is_what_pil_computes(size):
    height, width = size
    # Middle greys only, because PIL also clips between its two passes, and bicubic overshoots.
    pixels = torch.randint(64, 192, (64, 48, 3), generator=generator(), dtype=torch.uint8).numpy()
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(resized)).float()
    ours = bicubic(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1, height, width)
    ours = ((ours[0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0)
    assert_close(ours, expected, atol=2, rtol=0)  # PIL rounds to whole grey levels after each pass


def test_eight_bits_are_the_same_picture_in_a_quarter_of_the_memory():
    model, x = small_random_upscaler(), random_pictures(1, 3, 40, 530)
    large, small = upscale(model, x), upscale(model, x, tile=64, eight_bits=True)
    assert small.dtype == torch.uint8 and small.shape == large.shape
    assert (to_float(small) - large).abs().max() <= 1 / 127.5


def test_the_default_is_small():
    assert sum(p.numel() for p in Upscaler().parameters()) <= 400_000


def test_untrained_it_is_bicubic():
    x = random_pictures(2, 3, 10, 14)
    assert_close(Upscaler()(x), bicubic(x, 40, 56))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (64, 64)])
def test_any_size(size):
    height, width = size
    large = upscale(small_random_upscaler(), random_pictures(2, 3, height, width))
    assert large.shape == (2, 3, 4 * height, 4 * width)
    assert large.abs().max() <= 1 and not large.requires_grad


def test_it_looks_exactly_as_far_as_it_says():
    model = small_random_upscaler()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01)  # with no minus sign anywhere nothing cancels
    size = 2 * model.reach + 7
    x = torch.ones(1, 3, size, size, requires_grad=True)
    centre = size // 2
    model(x)[0, 0, 4 * centre, 4 * centre].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (centre - model.reach, centre + model.reach)


@pytest.mark.parametrize("size", [(150, 530), (513, 64)])
def test_tiles_leave_no_seams(size):
    model, x = small_random_upscaler(), random_pictures(1, 3, *size)
    with torch.no_grad():
        whole = model(x).clamp(-1, 1)
    assert_close(upscale(model, x), whole, atol=1e-5, rtol=0)
    assert_close(upscale(model, x, tile=50), whole, atol=1e-5, rtol=0)


def test_one_batch_can_be_overfitted():
    torch.manual_seed(0)
    high = drawings(2, size=32)
    low = degrade(high, generator(), p_clean=1)
    model = Upscaler(UpscalerConfig(width=32, blocks=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = (model(low) - high).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    gain = psnr(upscale(model, low), high) - psnr(bicubic(low, 32, 32), high)
    assert gain.min() > 5  # decibels


def test_random_crops_are_parts_of_their_pictures():
    # Each pixel holds its own picture, row and column.
    picture, row, column = torch.meshgrid(*(torch.arange(n).float() for n in (40, 7, 6)), indexing="ij")
    crops = random_crops(torch.stack([picture, row, column], dim=1), size=4, generator=generator())
    assert crops.shape == (40, 3, 4, 4)
    top, left = crops[:, 1, :1, :1], crops[:, 2, :1, :1]
    assert_close(crops[:, 0], torch.arange(40.0)[:, None, None].expand(40, 4, 4))
    assert_close(crops[:, 1], (top + torch.arange(4.0)[:, None]).expand(40, 4, 4))
    assert_close(crops[:, 2], (left + torch.arange(4.0)).expand(40, 4, 4))
    assert set(top.flatten().tolist()) == {0, 1, 2, 3} and set(left.flatten().tolist()) == {0, 1, 2}
    with pytest.raises(ValueError, match="cannot cut"):
        random_crops(torch.zeros(1, 3, 8, 3), size=4, generator=generator())


def test_crops_may_begin_at_multiples_only():
    places = torch.arange(24.0).expand(200, 1, 28, 24)  # each pixel says which column it is in
    assert random_crops(places, 16, generator(), step=4)[..., 0, 0].unique().tolist() == [0, 4, 8]


def test_a_redrawn_scene_is_cut_where_its_aim_is(monkeypatch):
    low = torch.rand(8, 3, 64, 64, generator=generator()).mul(255).round()
    scenes = low.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3).byte()
    emoji = torch.zeros(2, 4, 128, 128, dtype=torch.uint8)
    data = UpscalerData(scenes, to_float(low), emoji, [torch.zeros(1, 3, 200, 200)])
    model = torch.nn.Upsample(scale_factor=4)
    model.anything = torch.nn.Parameter(torch.zeros(1))  # it only has to be somewhere
    compared = []
    monkeypatch.setattr(upscaler.F, "l1_loss", lambda answers, aims: compared.append((answers, aims)))
    UpscalerRecipe().loss(model, data, generator())
    [(answers, aims)] = compared
    assert_close(answers[:3], aims[:3])
    assert aims[:3].flatten(1).std(dim=1).min() > 0.3 and not torch.equal(aims[0], aims[1])


def test_redrawn_scenes_are_nearly_the_real_ones():
    real, scenes = scene_pictures("train", 12, 64, seed=9)
    redrawn = redraw(scenes, TextToImage.load())
    assert redrawn.shape == (12, 3, 64, 64) and redrawn.abs().max() <= 1
    near = psnr(redrawn, to_float(real), colour=True)
    assert near.min() > 15 and near.max() < 45  # not the scenes themselves, and no others


def test_clean_means_only_smaller():
    high = drawings(3, size=32)
    assert_close(degrade(high, generator(), p_clean=1), bicubic(high, 8, 8).clamp(-1, 1))


def test_half_are_damaged_and_only_mildly():
    high = drawings(1, size=96).expand(200, 3, 96, 96)
    clean = degrade(high, generator(), p_clean=1)
    low = degrade(high, generator())
    assert low.abs().max() <= 1
    db = psnr(low, clean)
    assert 70 <= db.isinf().sum() <= 130  # 100 +- 4 standard deviations
    assert db.min() > 20
    assert_close(low, degrade(high, generator()), atol=0, rtol=0)


def test_degrade_takes_any_multiple_of_4():
    assert degrade(random_pictures(8, 3, 4, 20), generator(), p_clean=0).shape == (8, 3, 1, 5)
    with pytest.raises(ValueError, match="multiples of 4"):
        degrade(random_pictures(1, 3, 32, 30), generator())

import math

import pytest
import torch
from torch.testing import assert_close

from minit2i.evaluate.metrics import frechet_distance, luma, psnr, retrieved_at_k, ssim, wilson_interval


def random_pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_luma_of_pure_colours():
    colours = torch.tensor([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1], [-1, -1, -1]]).float()
    y = luma(colours[:, :, None, None])
    assert_close(y.flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0, 0.0]))


def test_psnr_of_a_known_offset():
    a = random_pictures(2, 3, 8, 8) * 0.5
    # 0.2 of a range of 2 is 0.1 of Y's range of 1: 10 log10(1 / 0.1^2) = 20 dB. A tenth of that: 40 dB.
    offset = torch.tensor([0.2, 0.02])[:, None, None, None]
    assert_close(psnr(a, a + offset), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_psnr_of_colours_counts_each_channel_alike():
    a = torch.zeros(1, 3, 4, 4)
    b = a.clone()
    b[:, 2] = 0.2  # a tenth of the range in blue alone: a mean squared error of 0.01 / 3
    assert psnr(a, b, colour=True).item() == pytest.approx(10 * math.log10(300), abs=1e-3)
    assert psnr(a, b).item() == pytest.approx(-20 * math.log10(0.114 * 0.1), abs=1e-3)


def test_psnr_of_equal_pictures_is_infinite():
    a = random_pictures(1, 3, 8, 8)
    assert psnr(a, a).item() == math.inf


def test_psnr_and_ssim_refuse_what_they_cannot_compare():
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="shape"):
            metric(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 15))
        with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
            metric(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="11"):
        ssim(torch.zeros(1, 3, 10, 16), torch.zeros(1, 3, 10, 16))


@pytest.mark.parametrize("size", [(11, 11), (32, 47)])
def test_ssim_equals_scikit_image(size):
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    a = random_pictures(3, 3, *size)
    b = (a + 0.3 * random_pictures(3, 3, *size, seed=1)).clamp(-1, 1)
    a[2], b[2] = 0.4, 0.5  # two flat pictures
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = [
        structural_similarity(y_a.numpy(), y_b.numpy(), **settings)
        for y_a, y_b in zip(luma(a)[:, 0].double(), luma(b)[:, 0].double(), strict=True)
    ]
    assert_close(ssim(a, b), torch.tensor(expected).float(), atol=1e-4, rtol=0)


def test_ssim_of_equal_pictures_is_one():
    a = random_pictures(2, 3, 16, 16)
    assert_close(ssim(a, a), torch.ones(2))


def white_features(n: int, d: int) -> torch.Tensor:
    """Features with a mean of exactly 0 and a covariance of exactly the identity, up to rounding."""
    x = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.linalg.qr(x - x.mean(0)).Q * math.sqrt(n - 1)


def test_frechet_distance_along_the_axes():
    white = white_features(50, 3)
    a = white * torch.tensor([1.0, 2.0, 3.0]) + torch.tensor([0.0, 0.0, 1.0])
    b = white * torch.tensor([2.0, 2.0, 0.5]) + torch.tensor([3.0, 0.0, 5.0])
    # With diagonal covariances: |mu_a - mu_b|^2 + sum (sigma_a - sigma_b)^2 = (9 + 16) + (1 + 0 + 6.25)
    assert frechet_distance(a, b) == pytest.approx(32.25)


def test_frechet_distance_of_covariances_that_do_not_commute():
    white = white_features(50, 2)
    cov_a = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    cov_b = torch.tensor([[1.0, -0.5], [-0.5, 3.0]], dtype=torch.float64)
    a = white @ torch.linalg.cholesky(cov_a).T
    b = white @ torch.linalg.cholesky(cov_b).T
    # For a 2 x 2 matrix M with eigenvalues l and m:
    # (tr M^1/2)^2 = (sqrt l + sqrt m)^2 = l + m + 2 sqrt(l m) = tr M + 2 sqrt(det M)
    product = cov_a @ cov_b
    trace_of_root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    expected = (cov_a.trace() + cov_b.trace() - 2 * trace_of_root).item()
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


@pytest.mark.parametrize("n, d", [(200, 16), (10, 64), (5, 1)])
def test_frechet_distance_to_itself_is_zero_even_with_fewer_samples_than_features(n, d):
    a = torch.randn(n, d, generator=torch.Generator().manual_seed(0)) + 100
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, a.double() + 2) == pytest.approx(4 * d)


def test_frechet_distance_of_few_samples_is_that_of_their_covariances():
    a, b = (
        torch.randn(n, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (5, 6)
    )
    cov_a, cov_b = a.T.cov(), b.T.cov()  # of rank 4 and 5
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    expected = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), abs=1e-6)


def test_frechet_distance_refuses_what_it_cannot_compare():
    for a, b in [((5, 2), (5, 3)), ((1, 2), (5, 2)), ((5,), (5,))]:
        with pytest.raises(ValueError, match="expected"):
            frechet_distance(torch.zeros(a), torch.zeros(b))


def test_retrieved_at_k_by_hand():
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    answer = torch.tensor([0, 1, 0, 2])  # ranks 1, 2, 3, 3
    found = [retrieved_at_k(similarity, answer, k).tolist() for k in (1, 2, 3)]
    assert found == [[True, False, False, False], [True, True, False, False], [True] * 4]


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_model_without_an_opinion_retrieves_nothing(value):
    assert not retrieved_at_k(torch.full((4, 10), value), torch.arange(4), k=9).any()


@pytest.mark.parametrize(
    "successes, n, low, high",  # Newcombe 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_equals_the_textbook(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_bounds_are_z_standard_errors_from_what_was_seen():
    # Where the interval comes from: the true shares p at which |seen - p| = z sqrt(p (1 - p) / n).
    for successes, n, z in [(3, 10, 1.96), (97, 100, 1.0), (500, 2000, 2.58)]:
        for p in wilson_interval(successes, n, z):
            assert abs(successes / n - p) == pytest.approx(z * math.sqrt(p * (1 - p) / n))


def test_wilson_interval_at_the_ends_and_out_of_range():
    assert wilson_interval(0, 7)[0] == 0 and wilson_interval(7, 7)[1] == 1
    for successes, n in [(0, 0), (-1, 5), (6, 5)]:
        with pytest.raises(ValueError, match="successes"):
            wilson_interval(successes, n)

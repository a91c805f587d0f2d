"""Numbers for how good a picture, a set of pictures, or a search is.

Two pictures of one thing are compared by PSNR and by SSIM (Wang et al. 2004). Two sets of pictures, none of
which match one to one, are compared by the Fréchet distance between their features (Heusel et al. 2017, "GANs
trained by a two time-scale update rule", eq. 6). Search is measured by retrieval at k. A share such as "97 of
100 were right" comes with its Wilson interval (Wilson 1927), because 97 of 100 says less than 970 of 1,000.

Shape letters: B batch, H height, W width, N number of samples, D number of features, Q queries, G gallery.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minit2i.world.batches import gaussian_window


def luma(pictures: Tensor) -> Tensor:
    """How bright each pixel looks: the Y of ITU-R BT.601, full range.

    Many papers squeeze Y into 16..235 first, which adds 1.3 dB to every PSNR; we do not.
    pictures: (B, 3, H, W) in [-1, 1], red, green, blue. Returns (B, 1, H, W) in [0, 1].
    Raises ValueError when there are not 3 channels.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"expected pictures shaped (B, 3, H, W), got {tuple(pictures.shape)}")
    red, green, blue = ((pictures + 1) / 2).split(1, dim=1)
    # Y = 0.299 R + 0.587 G + 0.114 B                                  (ITU-R BT.601, section 2.5.1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def psnr(a: Tensor, b: Tensor, colour: bool = False) -> Tensor:
    """Peak signal-to-noise ratio in decibels: +6 dB is half the error, +20 dB a tenth.

    a, b: (B, 3, H, W) in [-1, 1]. They are compared on Y, as is usual for super-resolution, or, with
    colour, on red, green and blue. Returns (B,), infinite where the two are equal.
    Raises ValueError when the shapes differ.
    """
    _check_same_shape(a, b)
    a, b = ((x + 1) / 2 if colour else luma(x) for x in (a, b))
    mse = (a - b).square().mean(dim=(1, 2, 3))  # (B,)
    # PSNR = 10 log10(peak^2 / MSE), and the peak is 1
    return -10 * torch.log10(mse)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity on Y: are brightness, contrast and pattern the same in every small window?

    a, b: (B, 3, H, W) in [-1, 1]. Returns (B,) in [-1, 1] on the CPU, 1 where the two are equal.
    Raises ValueError when the shapes differ or a side is shorter than the window of 11 pixels.
    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", III.
    """
    _check_same_shape(a, b)
    if min(a.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs sides of at least 11 pixels, got {tuple(a.shape[-2:])}")
    # Float64, because in a flat window the two terms of a variance are nearly equal.
    a, b = luma(a).cpu().double(), luma(b).cpu().double()
    window = gaussian_window(sigma=1.5, radius=5).double()[None, None]  # (1, 1, 11, 11)
    # The means of all windows that lie inside the picture, (B, 1, H - 10, W - 10)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (F.conv2d(x, window) for x in (a, b, a * a, b * b, a * b))
    # sigma_ab = E[ab] - E[a] E[b], with E the mean by the window's weights          (eq. 15 and 16)
    var_a, var_b, cov_ab = mean_aa - mean_a**2, mean_bb - mean_b**2, mean_ab - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2  # keep the fractions finite where a window is black or flat
    #         (2 mu_a mu_b + C1) (2 sigma_ab + C2)
    # SSIM = -----------------------------------------------------------             (eq. 13)
    #         (mu_a^2 + mu_b^2 + C1) (sigma_a^2 + sigma_b^2 + C2)
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    pattern = (2 * cov_ab + c2) / (var_a + var_b + c2)
    return (brightness * pattern).mean(dim=(1, 2, 3)).float()


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """How far apart two clouds of features lie, when each is taken for a Gaussian.

    0 means equal means and covariances. It shrinks as N grows, so only compare figures made with the same N.
    a: (N, D); b: (M, D); any range. Returns a number >= 0.
    Raises ValueError when D differs or a set has fewer than 2 samples.
    Source: Dowson and Landau 1982; Heusel et al. 2017, eq. 6.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"expected (N, D) and (M, D) with N and M at least 2, got {shapes}")
    a, b = a.cpu().double(), b.cpu().double()  # differences of large sums: float32 would lose them
    mean_a, mean_b = a.mean(dim=0), b.mean(dim=0)  # (D,)
    # C = X^T X, with X the features less their mean, by sqrt(N - 1)
    x_a, x_b = (a - mean_a) / math.sqrt(len(a) - 1), (b - mean_b) / math.sqrt(len(b) - 1)
    # tr (C_a C_b)^1/2 is the sum of the square roots of the eigenvalues of X_a^T X_a X_b^T X_b, and those are
    # the singular values of X_a X_b^T. X = Q R, with the columns of Q at right angles, so R alone decides.
    trace_of_root = torch.linalg.svdvals(torch.linalg.qr(x_a).R @ torch.linalg.qr(x_b).R.T).sum()
    # d^2 = |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2)
    distance = (mean_a - mean_b).square().sum() + x_a.square().sum() + x_b.square().sum() - 2 * trace_of_root
    return max(0.0, distance.item())  # rounding can leave -1e-12


def retrieved_at_k(similarity: Tensor, answer: Tensor, k: int) -> Tensor:
    """For each query, is the right answer among the k most similar entries? The share of those is R@k.

    A tie counts against us: a model that gives everything one score finds nothing. Returns (Q,) bool.
    similarity: (Q, G), larger is more alike; answer: (Q,) int64, the gallery index that is right.
    """
    right = similarity.gather(1, answer[:, None])  # (Q, 1)
    # its rank, 1 is best: count the entries not below the right one, itself included; a NaN is never below
    return (~(similarity < right)).sum(dim=1) <= k


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The range in which the true share plausibly lies after `successes` of `n` trials; z = 1.96 is 95 %.

    Unlike p +- z sqrt(p (1 - p) / n) it stays inside [0, 1] and is honest when all trials succeed.
    Returns (low, high). Raises ValueError unless 0 <= successes <= n and n >= 1.
    Source: Wilson 1927; Newcombe 1998, method 3.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, got {successes} of {n}")
    p = successes / n
    # (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)
    centre = p + z**2 / (2 * n)
    half_width = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half_width) / (1 + z**2 / n), (centre + half_width) / (1 + z**2 / n)
    return max(0.0, min(low, p)), min(1.0, max(high, p))  # at 0 or n successes rounding is off by 1e-16


def _check_same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"the two pictures differ in shape: {tuple(a.shape)} and {tuple(b.shape)}")

"""Is a picture crisp? What differs from the true picture is counted in decibels, and no network is asked.

A judge reads what a drawing shows and does not mind a wobbly line. Here is a yardstick that minds: a caption
that names everything and a layout, which says style, place and size, leave only one picture to draw. So draw
scenes from both, and compare with that one. The autoencoder and the upscaler are measured in decibels, too.
"""

import torch
from torch import Tensor

from minit2i.checkpoint import load_model
from minit2i.images import to_float, to_tensor
from minit2i.train.upscaler import unseen_emoji
from minit2i.upscaler import bicubic, upscale
from minit2i.utils import device_of, in_batches
from minit2i.world.batches import emoji_pictures, render_all, scene_pictures
from minit2i.world.datasets import load
from minit2i.world.scenes import Scene

from .metrics import psnr, ssim
from .report import Bench
from .shares import REAL_SEED, number, quantiles


def fidelity(pictures: Tensor, scenes: list[Scene]) -> Tensor:
    """The PSNR of each picture to the true one of its scene, over red, green and blue.

    pictures: (B, 3, S, S) in [-1, 1], drawn with the scenes' own style, place and size; S is 64 or 256, or
    what else `render` takes. Returns decibels (B,), infinite where the two are equal.
    Raises ValueError for another shape or type, or if there is not one scene a picture.
    """
    S = pictures.shape[-1]
    if pictures.shape != (len(scenes), 3, S, S) or not pictures.is_floating_point():
        found = f"{pictures.dtype} {tuple(pictures.shape)}"
        raise ValueError(f"expected floats ({len(scenes)}, 3, S, S), one scene a picture, not {found}")
    return psnr(pictures.cpu().float(), to_float(render_all(scenes, S)), colour=True)


@torch.no_grad()
def measure_autoencoder(bench: Bench) -> dict:
    """What comes back of scenes, n made even; are all channels used, and is what lies between two latents
    sound? More edges there than in the two would be patterns that are in neither."""
    model, n = load_model("autoencoder", bench.folder), bench.n - bench.n % 2
    x = to_float(scene_pictures("held_out", n, 64, seed=REAL_SEED)[0].to(device_of(model)))
    z = in_batches(model.encode, x)

    def decode(latents: Tensor) -> Tensor:
        return in_batches(model.decode, latents).clamp(-1, 1)

    def edges(pictures: Tensor) -> Tensor:  # the mean step from a pixel to its neighbours
        return pictures.diff(dim=2).abs().mean() + pictures.diff(dim=3).abs().mean()

    whole = psnr(decode(z), x, colour=True)  # (n,)
    channels = torch.eye(z.shape[1], device=z.device)[:, :, None, None]
    without = [psnr(decode(z * (1 - channel)), x, colour=True).mean() for channel in channels]
    halfway = edges(decode(sum(z.chunk(2)) / 2)) / edges(x)
    return {
        "PSNR of what comes back": {"mean": number(whole.mean(), n, "dB"), **quantiles(whole)},
        "lost without the channel that is missed least": number(whole.mean() - max(without), n, "dB"),
        "edges halfway between two latents, by those of the two": number(halfway, n),
    }


def measure_upscaler(bench: Bench) -> dict:
    """PSNR and SSIM of ours and of bicubic, for n / 20 pictures of a kind that it never saw, shrunk by 4."""
    model, n, result = load_model("upscaler", bench.folder), max(1, bench.n // 20), {}
    pixels, entries = emoji_pictures(128)
    pixels = pixels[unseen_emoji(entries)][:n]
    cat = next(to_tensor(row["image"]) for row in load("photos") if row["name"] == "chelsea")
    unseen = {
        "held-out scenes": to_float(scene_pictures("held_out", n, 256, seed=REAL_SEED)[0]),
        "emoji": to_float(pixels[:, :3] + (255 - pixels[:, 3:])),  # premultiplied colours, on white
        "a photograph": cat[:, :, : cat.shape[2] // 4 * 4, : cat.shape[3] // 4 * 4],
    }
    for name, high in unseen.items():
        height, width = high.shape[-2:]
        low = bicubic(high, height // 4, width // 4).clamp(-1, 1)
        ours = in_batches(lambda part: upscale(model, part.to(device_of(model))).cpu(), low, 8)
        for way, x in (("ours", ours), ("bicubic", bicubic(low, height, width).clamp(-1, 1))):
            result[f"{name}, {way}: PSNR"] = number(psnr(x, high).mean(), len(high), "dB")
            result[f"{name}, {way}: SSIM"] = number(ssim(x, high).mean(), len(high))
    return result

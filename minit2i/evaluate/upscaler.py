"""Does the upscaler beat bicubic on what it never saw: held-out scenes, emoji concepts, a photograph?"""

from torch import Tensor

from minit2i.images import to_float, to_tensor
from minit2i.train.upscaler import unseen_emoji
from minit2i.upscaler import Upscaler, bicubic, upscale
from minit2i.utils import device_of, in_batches
from minit2i.world.batches import emoji_pictures, scene_pictures
from minit2i.world.datasets import load

from .metrics import psnr, ssim
from .shares import REAL_SEED


def measure_upscaler(model: Upscaler, n: int) -> dict:
    """PSNR and SSIM of ours and of bicubic against the pictures that were shrunk by 4; n of each kind."""
    scenes = to_float(scene_pictures("held_out", n, 256, seed=REAL_SEED)[0])
    pixels, entries = emoji_pictures(128)
    pixels = pixels[unseen_emoji(entries)][:n]
    emoji = to_float(pixels[:, :3] + (255 - pixels[:, 3:]))  # premultiplied colours, on white
    cat = next(to_tensor(row["image"]) for row in load("photos") if row["name"] == "chelsea")
    cat = cat[:, :, : cat.shape[2] // 4 * 4, : cat.shape[3] // 4 * 4]
    return {
        name: compare(model, high) for name, high in (("scenes", scenes), ("emoji", emoji), ("chelsea", cat))
    }


def compare(model: Upscaler, high: Tensor) -> dict:
    """high: (B, 3, 4H, 4W) in [-1, 1]. Shrinks it and enlarges it again in two ways."""
    height, width = high.shape[-2:]
    low = bicubic(high, height // 4, width // 4).clamp(-1, 1)
    ours = in_batches(lambda part: upscale(model, part.to(device_of(model))).cpu(), low, 8)
    base = bicubic(low, height, width).clamp(-1, 1)
    result = {"n": len(high)}
    for metric in (psnr, ssim):
        result[f"{metric.__name__}_ours"] = metric(ours, high).mean().item()
        result[f"{metric.__name__}_bicubic"] = metric(base, high).mean().item()
    return result

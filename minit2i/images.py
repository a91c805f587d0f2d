"""Pictures and the tensors that a network sees: from files and PIL to numbers in [-1, 1] and back.

A stranger's file is read with care: transparency, deep greys, rotation, colours, broken or huge files.

Shapes: B pictures, C channels (3 colour, 1 grey), H height, W width. Values in a tensor are in [-1, 1].
"""

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from .utils import InputError, write_file

# What a picture file may end in, and the format that stands for.
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM",
}  # fmt: skip
KNOWN = sorted(set(FORMATS.values()))
MAX_PIXELS = 40_000_000  # more than any camera phone's usual picture, little enough to fit in memory


def as_rgb(picture: Image.Image) -> Image.Image:
    """Turn a picture of any mode into 8-bit RGB: transparency over white, deep greys scaled to 8 bits."""
    if picture.mode[0] in "IF":  # 16- and 32-bit integers, floats
        picture = _to_8_bits(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Scale a deep grey picture so that its format's full range becomes 0..255 (PIL itself would clip)."""
    values = np.nan_to_num(np.asarray(picture, np.float64))
    # A 32-bit picture may hold 16-bit values, and a float's white be 1, 255 or 65535: the least that fits.
    whites = {"I": (65535, 2**31 - 1), "F": (1, 255, 65535)}.get(picture.mode, (65535,))
    white = next((white for white in whites if values.max() <= white), values.max())
    return Image.fromarray((values.clip(0) / white * 255).round().astype(np.uint8))


def to_tensor(
    pictures: Image.Image | list[Image.Image], size: int | None = None, mode: str = "RGB"
) -> Tensor:
    """Turn pictures into one (B, C, H, W) float32 tensor in [-1, 1], transparent ones laid on white.

    `size` crops each to a centred square and resizes it to that many pixels. `mode` is "RGB" (C = 3) or "L"
    (grey, C = 1). Raises InputError if the pictures differ in size and no `size` is given.
    """
    pictures = [pictures] if isinstance(pictures, Image.Image) else list(pictures)
    pictures = [as_rgb(picture).convert(mode) for picture in pictures]
    if size is not None:
        pictures = [ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC) for picture in pictures]
    if len({picture.size for picture in pictures}) != 1:
        raise InputError("pictures of one batch must be of one size: give `size`")
    pixels = torch.from_numpy(np.stack(pictures))  # (B, H, W, C), or (B, H, W) if grey
    pixels = pixels.reshape(*pixels.shape[:3], -1).permute(0, 3, 1, 2)  # (B, C, H, W)
    return to_float(pixels.contiguous())


def to_float(pixels: Tensor) -> Tensor:
    """Turn uint8 pixels, 0 to 255, of any shape into float32 in [-1, 1]."""
    return pixels.to(torch.float32) / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """The inverse: [-1, 1] of any shape to uint8, what lies beyond clamped."""
    return x.detach().float().clamp(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)


def to_pil(x: Tensor) -> list[Image.Image]:
    """Turn (B, C, H, W) in [-1, 1] or uint8, C = 1 or 3, into pictures; the exact inverse of `to_tensor`."""
    pixels = (x if x.dtype == torch.uint8 else to_uint8(x)).permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, C)
    return [Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture) for picture in pixels]


def open_image(file: str | os.PathLike | io.BytesIO, name: str = "") -> Image.Image:
    """Read a picture file as RGB: first frame, turned as its EXIF says, 16-bit scaled, transparency on white,
    colours as sRGB.

    name: what to call it, if not by its path. Raises InputError, with that, if it is missing, broken, no
    picture, or of more than MAX_PIXELS.
    """
    return as_rgb(read_image(file, name))


def read_image(file: str | os.PathLike | io.BytesIO, name: str = "") -> Image.Image:
    """The same in its own mode, transparency and all: what a mask or a drawing may need."""
    name, in_memory = name or file, isinstance(file, io.BytesIO)
    if not in_memory and os.path.exists(file) and not os.path.isfile(file):  # a pipe might never end
        raise InputError(f"{name}: not a file")
    try:
        with Image.open(file, formats=KNOWN) as picture:
            # Opening has read the header only: a small file can claim to be huge, so ask before decoding.
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            picture.load()
            return _to_srgb(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError:  # ours, or that of PIL's own, higher limit
        raise InputError(
            f"{name}: too large, at most {MAX_PIXELS / 1e6:.0f} megapixels can be read"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{name}: not a picture that can be read ({', '.join(KNOWN)})") from None
    except Exception as error:  # decoders raise nearly anything on a broken file
        reason = getattr(error, "strerror", None) or "the picture is broken or cut off"
        raise InputError(f"{name}: {reason}") from error


def _to_srgb(picture: Image.Image) -> Image.Image:
    """Colours of another profile, such as Display P3 or Adobe RGB, as those of sRGB."""
    profile = picture.info.get("icc_profile")
    with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):  # broken: do without
        if profile and picture.mode in ("RGB", "RGBA", "L", "CMYK"):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(profile):
                mode = "RGBA" if picture.mode == "RGBA" else "RGB"
                srgb = ImageCms.createProfile("sRGB")
                picture = ImageCms.profileToProfile(picture, profile, srgb, outputMode=mode)
    return picture


def save_image(picture: Image.Image, path: str | os.PathLike, **options) -> None:
    """Write a picture whole or not at all; `options` go to PIL (say, the frames of an animation).

    Raises InputError if the ending is none of FORMATS or the file cannot be written.
    """
    path = Path(path)
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise InputError(f"{path}: the name must end in one of {', '.join(FORMATS)}")
    if format in ("JPEG", "WEBP"):
        options = {"quality": 95, **options}
    if picture.width * picture.height > 4_000_000:  # to squeeze a large PNG takes longer than to enlarge it
        options = {"compress_level": 1, **options}
    if format in ("JPEG", "PPM") and picture.mode != "L":
        picture = as_rgb(picture)
    encoded = io.BytesIO()
    try:
        picture.save(encoded, format=format, **options)
        write_file(path, encoded.getvalue())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise InputError(f"{path}: cannot write it ({reason})") from error

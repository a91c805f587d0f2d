"""Pictures to tensors and back, and what strangers' files do."""

import contextlib
import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from minit2i.images import open_image, read_image, save_image, to_pil, to_tensor, to_uint8
from minit2i.utils import InputError


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


# ---- Pictures and tensors ----


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_round_trip_is_exact(mode, channels):
    pixels = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)[..., :channels].squeeze()
    x = to_tensor([Image.fromarray(pixels)] * 2, mode=mode)
    assert x.shape == (2, channels, 16, 16)
    assert x.dtype == torch.float32
    assert x.min() >= -1
    assert x.max() <= 1
    for picture in to_pil(x):
        assert picture.mode == mode
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_to_tensor_keeps_channels_rows_and_columns_apart():
    picture = Image.new("RGB", (3, 2), "black")
    picture.putpixel((2, 0), (255, 0, 0))  # x = 2, y = 0
    x = to_tensor(picture)
    assert x.shape == (1, 3, 2, 3)
    assert x[0, 0, 0, 2] == 1
    assert (x == 1).sum() == 1


def test_to_tensor_lays_transparency_on_white_and_resizes():
    clear = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    assert (to_tensor(clear) == 1).all()
    assert to_tensor([clear, Image.new("L", (5, 9))], size=8).shape == (2, 3, 8, 8)
    with pytest.raises(InputError, match="one size"):
        to_tensor([clear, Image.new("L", (5, 9))])


def test_to_pil_clamps_and_rounds():
    x = torch.tensor([-7.0, -1.0, 0.0, 0.5, 1.0, 7.0]).reshape(1, 1, 1, 6)
    assert list(to_pil(x)[0].tobytes()) == [0, 0, 128, 191, 255, 255]


# ---- Picture files ----


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims to be of any size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (body, idat, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def noise_file(format: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a picture"),
        (b"hello, I am text", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture|broken"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (png_header(20_000, 20_000), "too large"),
        (png_header(9_000, 5_000), "too large"),
        (png_header(100_000, 100_000), "too large"),
        (png_header(0, 0), "broken|not a picture"),
        (png_header(100, 100), "broken"),
    ],
)
def test_hostile_file_is_one_line(tmp_path, content, words, recwarn):
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        open_image(path)
    assert one_line(error).startswith(str(path))
    assert not recwarn.list


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_file_is_one_line_wherever_it_was_cut(tmp_path, format):
    whole = noise_file(format)
    path = tmp_path / "cut"
    for length in np.linspace(1, len(whole) * 0.9, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as error:
            open_image(path)
        one_line(error)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_damaged_file_opens_or_is_one_line(tmp_path, format):
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for _ in range(40):
        content = np.frombuffer(noise_file(format), np.uint8).copy()
        places = rng.integers(0, min(len(content), 300), 8)
        content[places] = rng.integers(0, 256, 8)
        path.write_bytes(content.tobytes())
        with contextlib.suppress(InputError):  # the only way it may fail
            assert open_image(path).mode == "RGB"


def test_missing_file_folder_and_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.png", tmp_path, tmp_path / "pipe", tmp_path / ("x" * 300), "a\0b"):
        with pytest.raises(InputError) as error:
            open_image(path)
        one_line(error)


def test_16_bit_is_scaled_not_clipped(tmp_path):
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    for name in ("grey.png", "grey.tif"):
        Image.fromarray(grey).save(tmp_path / name)
        assert np.asarray(open_image(tmp_path / name))[0, :, 1].tolist() == [0, 1, 128, 255]
    (tmp_path / "grey.pgm").write_bytes(b"P5 4 1 65535\n" + grey.astype(">u2").tobytes())
    assert np.asarray(open_image(tmp_path / "grey.pgm"))[0, :, 1].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.5, 1]], np.float32), [0, 128, 255]),
    ],
)
def test_32_bit_is_scaled_not_clipped(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / "deep.tif")
    assert np.asarray(open_image(tmp_path / "deep.tif"))[0, :, 0].tolist() == expected


def test_cmyk_palette_grey_alpha_and_one_pixel(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    red, green, blue = open_image(tmp_path / "cmyk.jpg").getpixel((1, 1))
    assert red > 200
    assert green < 60
    assert blue < 60

    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=1)
    picture = open_image(tmp_path / "palette.png")
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]

    Image.new("LA", (2, 2), (0, 0)).save(tmp_path / "la.png")
    assert open_image(tmp_path / "la.png").getpixel((0, 0)) == (255, 255, 255)
    Image.new("RGBA", (2, 2), (0, 0, 0, 51)).save(tmp_path / "rgba.png")
    assert open_image(tmp_path / "rgba.png").getpixel((0, 0)) == (204, 204, 204)
    Image.new("1", (1, 1), 1).save(tmp_path / "one.png")
    assert open_image(tmp_path / "one.png").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png"])
def test_first_frame_of_an_animation(tmp_path, name):
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    save_image(red, tmp_path / name, save_all=True, append_images=[blue], duration=100)
    picture = open_image(tmp_path / name)
    assert picture.getpixel((4, 4))[0] > 240
    assert picture.getpixel((4, 4))[2] < 15


def test_exif_rotation_is_applied(tmp_path):
    picture = Image.new("RGB", (8, 4), "black")
    picture.paste("white", (0, 0, 4, 4))  # white on the left ...
    exif = Image.Exif()
    exif[0x0112] = 6  # ... of a camera held upright: turn right to see it
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    turned = open_image(tmp_path / "turned.jpg")
    assert turned.size == (4, 8)
    assert turned.getpixel((2, 0))[0] > 200
    assert turned.getpixel((2, 7))[0] < 50


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif", "A.PNG", "a.ppm"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_save_and_open(tmp_path, name, mode):
    save_image(Image.new(mode, (16, 8), "white"), tmp_path / name)
    picture = open_image(tmp_path / name)
    assert picture.size == (16, 8)
    assert min(picture.getpixel((8, 4))) > 250
    assert os.listdir(tmp_path) == [name]


def test_unwritable_and_unknown_endings(tmp_path):
    picture = Image.new("RGB", (4, 4))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    unwritable = ["no/such/a.png", "file/a.png", "folder.png", "x" * 300 + ".png", "a.xyz", "a", "a.pdf"]
    for name in unwritable:
        with pytest.raises(InputError) as error:
            save_image(picture, tmp_path / name)
        one_line(error)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


def test_a_failed_save_leaves_the_old_file_and_no_half_of_the_new(tmp_path):
    class Failing(Image.Image):
        def save(self, file, **options):
            file.write(b"half of")
            raise OSError(28, "No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match="No space left"):
        save_image(Failing(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_colours_of_another_profile_become_srgb(tmp_path):
    """A profile in which red and blue are swapped: read as sRGB the two change places."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "wRGB".encode("utf-16-be"))
    red = Image.new("RGB", (4, 4), (250, 20, 20))
    same = (250, 20, 20)
    for profile, seen in ((srgb, same), (swapped, (20, 20, 250)), (b"broken", same), (None, same)):
        red.save(tmp_path / "red.png", icc_profile=profile)
        got = open_image(tmp_path / "red.png").getpixel((1, 1))
        assert max(abs(a - b) for a, b in zip(got, seen, strict=True)) <= 4, profile


def test_reading_in_threads_leaves_warnings_as_they_were(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (200, 200), "red").save(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_image, [path] * 200))
    assert warnings.filters == before


def test_transparency_can_be_kept(tmp_path):
    Image.new("RGBA", (2, 2), (9, 9, 9, 51)).save(tmp_path / "rgba.png")
    assert read_image(tmp_path / "rgba.png").getpixel((0, 0)) == (9, 9, 9, 51)


def test_eight_bits_are_pictures_as_they_are():
    x = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    for picture, same in zip(to_pil(x), to_pil(to_uint8(x)), strict=True):
        assert picture.tobytes() == same.tobytes()

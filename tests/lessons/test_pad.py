"""The pad: drawn on by real mouse events in a real browser, where there is one."""

import base64
import io
import shutil

import pytest
from exercises.pad import PALETTE, PREFIX, DrawingPad, drawn, page
from PIL import Image

from minit2i.images import open_image
from minit2i.utils import InputError

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def url_of(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return PREFIX + base64.b64encode(file.getvalue()).decode()


def test_what_is_handed_over_is_read_with_care():
    picture = Image.new("RGB", (9, 7), "red")
    assert drawn(url_of(picture)).tobytes() == picture.tobytes()
    for url in ("", "data:image/svg+xml;base64,AAAA", "https://example.org/x.png"):
        with pytest.raises(InputError, match="nothing was drawn"):
            drawn(url)
    with pytest.raises(InputError, match="came over broken"):
        drawn(PREFIX + "not base64")
    for content in (b"", b"hello"):
        with pytest.raises(InputError, match="the drawing: not a picture"):
            drawn(PREFIX + base64.b64encode(content).decode())


def test_without_a_widget_the_drawing_is_a_file(tmp_path):
    pad = DrawingPad(widget=False)
    with pytest.raises(InputError, match="drawing.png"):
        pad.picture()
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "drawing.png")
    assert pad.picture(tmp_path / "drawing.png").getpixel((0, 0)) == (0, 0, 255)


def test_the_page_needs_nothing_from_elsewhere():
    assert "http" not in page().replace("http-equiv", "")
    assert "export" not in page()


@pytest.fixture
def tab():
    """A page of a headless browser that shows the pad."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab = browser.new_page(accept_downloads=True, has_touch=True)
        tab.set_content(page())
        yield tab
        browser.close()


def stroke(tab, *points: tuple[int, int]) -> None:
    """Press the mouse, move it and let go; points are within the canvas."""
    box = tab.locator("canvas").bounding_box()
    places = [(box["x"] + x, box["y"] + y) for x, y in points]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=5)
    tab.mouse.up()


def handed_over(tab, tmp_path) -> Image.Image:
    with tab.expect_download() as download:
        tab.get_by_role("button", name="use this").click()
    path = tmp_path / "drawing.png"
    download.value.save_as(path)
    return open_image(path)


def test_a_stroke_is_drawn_in_its_colour_and_handed_over(tab, tmp_path):
    tab.get_by_role("button", name="red").click()
    stroke(tab, (60, 60), (200, 60))
    picture = handed_over(tab, tmp_path)
    assert picture.size == (256, 256)
    red = tuple(bytes.fromhex(PALETTE["red"][1:]))
    assert picture.getpixel((130, 60)) == red
    assert picture.getpixel((130, 200)) == (255, 255, 255)


@pytest.mark.parametrize("how", ["button", "keys"])
def test_undo_takes_the_last_stroke_back_and_only_that(tab, tmp_path, how):
    stroke(tab, (40, 40), (80, 40))
    stroke(tab, (160, 160), (200, 160))
    if how == "button":
        tab.get_by_role("button", name="undo").click()
    else:
        tab.keyboard.press("Control+z")
    picture = handed_over(tab, tmp_path)
    assert picture.getpixel((60, 40)) != (255, 255, 255)
    assert picture.getpixel((180, 160)) == (255, 255, 255)


def test_clear_empties_it_and_the_brush_has_a_width(tab, tmp_path):
    stroke(tab, (40, 40), (80, 40))
    tab.get_by_role("button", name="clear").click()
    tab.get_by_role("slider").fill("4")
    stroke(tab, (20, 128), (230, 128))
    picture = handed_over(tab, tmp_path)
    column = [picture.getpixel((128, y)) for y in range(256)]
    assert 2 <= sum(pixel != (255, 255, 255) for pixel in column) <= 8


def test_a_finger_draws_too(tab, tmp_path):
    box, touch = tab.locator("canvas").bounding_box(), tab.context.new_cdp_session(tab)
    for name, x in (("touchStart", 50), ("touchMove", 100), ("touchMove", 150), ("touchEnd", None)):
        points = [] if x is None else [{"x": box["x"] + x, "y": box["y"] + 90}]
        touch.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": points})
    assert handed_over(tab, tmp_path).getpixel((100, 90)) != (255, 255, 255)


def test_a_widget_hands_the_drawing_to_python():
    pytest.importorskip("anywidget")
    pad = DrawingPad()
    with pytest.raises(InputError, match="nothing was drawn yet"):
        pad.picture()
    pad.widget.url = url_of(Image.new("RGB", (8, 8), "blue"))
    assert pad.picture().getpixel((0, 0)) == (0, 0, 255)

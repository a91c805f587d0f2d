"""Every command on tiny, untrained weights, and whatever a stranger may give it: handled, or one line and
a 2."""

import dataclasses
import io
import json
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from minit2i import checkpoint
from minit2i.checkpoint import NETWORKS
from minit2i.cli import commands, main, parser
from minit2i.clip import CLIP
from minit2i.samplers import SAMPLERS
from minit2i.text2image import SIZES
from minit2i.tokenizer import Tokenizer
from minit2i.train.recipe import Recipe
from minit2i.upscaler import Upscaler, UpscalerConfig
from minit2i.world import datasets as data
from minit2i.world import render

PROMPT = "a cat wearing a blue baseball cap"
FAST = ("--steps", "2")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, with an empty cache."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MINIT2I_DEVICE", "cpu")  # which --device changes, and monkeypatch restores


@pytest.fixture
def run(tiny_weights, capsys):
    """Run a command on the tiny weights; returns (exit code, lines of stdout, lines of stderr)."""

    def run_command(*arguments, folder: Path = tiny_weights) -> tuple[int, list[str], list[str]]:
        code = main(["--weights", str(folder), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run_command


@pytest.fixture
def refused(run):
    """Run a command that must fail: code 2, one line on stderr, nothing printed or written. Returns the
    line."""

    def run_command(*arguments, **settings) -> str:
        before = set(Path().rglob("*"))
        code, out, err = run(*arguments, **settings)
        assert (code, out, len(err)) == (2, [], 1), err
        assert set(Path().rglob("*")) == before
        assert err[0].startswith("minit2i: ")
        return err[0]

    return run_command


@pytest.fixture
def photo() -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return "photo.png"


# ---- The commands ----


def test_generate_writes_the_picture_and_says_where(run):
    assert run("generate", PROMPT, *FAST) == (0, ["picture.png"], [])
    assert Image.open("picture.png").size == (256, 256)
    assert run("generate", PROMPT, *FAST, "-o", "again.png")[0] == 0
    assert Path("again.png").read_bytes() == Path("picture.png").read_bytes()


def test_generate_many_at_any_size_with_any_sampler(run):
    options = ["-n", "2", "-o", "x.webp", "--size", "64", "--seed", "4", "--best-of", "2", "--guidance", "1"]
    for sampler in SAMPLERS:
        code, out, _ = run("generate", PROMPT, *FAST, *options, "--sampler", sampler)
        assert (code, out) == (0, ["x-1.webp", "x-2.webp"])
        assert Image.open("x-2.webp").size == (64, 64)


def test_one_of_many_can_be_drawn_alone(run):
    options = ["--size", "64", "--seed", "4", "--best-of", "2", *FAST]
    _, out, err = run("generate", PROMPT, *options, "-n", "4")
    assert out == [f"picture-{i}.png" for i in (1, 2, 3, 4)]
    third, fourth = (np.asarray(Image.open(out[i]), np.int16) for i in (2, 3))
    assert np.abs(third - fourth).max() > 1

    assert run("generate", PROMPT, *options, "--index", "3") == (0, ["picture.png"], [])
    assert np.abs(third - np.asarray(Image.open("picture.png"))).max() <= 1
    assert Image.open("picture.png").text == Image.open(out[2]).text

    [line] = err  # says how to draw the last of them
    assert main(shlex.split(line.split("alone: minit2i ")[1])) == 0
    assert np.abs(fourth - np.asarray(Image.open("picture.png"))).max() <= 1


def test_a_png_says_how_it_was_drawn(run, photo):
    run("generate", "a cat 🧢 \ud83d", "--size", "64", "--seed", "4", "--style", "noto", *FAST, "-o", "x.png")
    texts = Image.open("x.png").text
    assert texts.pop("version") == parser.version()
    assert texts == {
        "prompt": "a cat 🧢 ?", "seed": "4", "index": "1", "steps": "2", "guidance": "2.0",
        "sampler": "dpm_solver", "style": "noto", "best_of": "1",
    }  # fmt: skip
    run("extend", photo, "a cat", "a dog", "--left", "30", "--guidance", "1", *FAST)
    texts = Image.open("extend.png").text
    assert (texts["prompt"], texts["guidance"], texts["seed"]) == ("a cat; a dog", "1.0", "0")
    run("upscale", photo)
    assert Image.open("upscaled.png").text == {}


@pytest.mark.parametrize(("ending", "steps"), [("gif", 1), ("webp", 9)])
def test_generate_writes_a_film_and_its_strip(run, ending, steps):
    code, out, _ = run("generate", PROMPT, "--steps", steps, "--film", f"film.{ending}", "--size", "64")
    assert (code, out) == (0, ["picture.png", f"film.{ending}", "film.png"])
    assert getattr(Image.open(f"film.{ending}"), "n_frames", 1) == steps
    strip = Image.open("film.png")
    assert strip.size == (4 + 132 * min(steps, 8), 4 + 132 * 3)
    # The last prediction is the picture itself.
    last = strip.crop((strip.width - 132, 268, strip.width - 4, 396)).resize(
        (64, 64), Image.Resampling.NEAREST
    )
    assert (np.asarray(last) == np.asarray(Image.open("picture.png"))).all()


def test_score_prints_a_table_and_json_best_first(run, photo):
    code, out, err = run("score", photo, "a cat", "a dog", "a cat in a hat")
    assert (code, len(out), err) == (0, 3, [])
    numbers = [float(line.split()[0]) for line in out]
    assert numbers == sorted(numbers, reverse=True)
    rows = json.loads("\n".join(run("score", photo, "a cat", "ein Hut für 猫", "--json")[1]))
    assert {row["caption"] for row in rows} == {"a cat", "ein Hut für 猫"}
    assert rows[0]["score"] >= rows[1]["score"]


def test_classify_gives_probabilities(run, photo):
    rows = json.loads("\n".join(run("classify", photo, "cat", "dog", "--json")[1]))
    assert sum(row["probability"] for row in rows) == pytest.approx(1)
    assert run("classify", photo, "cat") == (0, [f"  1.000 {'█' * 20} cat"], [])


def test_search_in_a_set_embeds_it_only_once(run, monkeypatch):
    code, out, err = run("search", "something sad", "--data", "photos", "-k", "3")
    assert (code, len(out), out[-1], err) == (0, 4, "search.png", [])
    first = Image.open("search.png")
    assert first.width == 4 + 3 * 132
    monkeypatch.setattr(commands.Matcher, "embed", None)
    assert run("search", "something sad", "--data", "photos", "-k", "3")[:2] == (0, out)
    rows = json.loads("\n".join(run("search", "sad", "--data", "photos", "-k", "99", "--json")[1]))
    assert len(rows) == len(data.load("photos"))


def test_search_makes_a_damaged_cache_anew(run, tmp_path):
    answer = run("search", "sad", "--data", "photos")
    (cache,) = (tmp_path / "cache" / "minit2i").iterdir()
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-5])
    assert run("search", "sad", "--data", "photos") == answer
    assert cache.read_bytes() == whole


def test_search_does_without_a_cache(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert run("search", "sad", "--data", "photos")[0] == 0


def test_search_names_the_style_of_emoji(run, monkeypatch):
    few = data.load("emoji").select(range(5))
    monkeypatch.setattr(data, "load", lambda name, split="train": few)
    code, out, _ = run("search", "sad")
    assert code == 0
    styles = {"noto", "fluent", "twemoji", "fxemoji", "noto-v1", "fluent-3d", "high-contrast", "emojione"}
    assert {line.rsplit(", ")[-1] for line in out[:-1]} <= styles


def test_search_takes_the_columns_of_a_set_of_the_hub(run, monkeypatch):
    photos, asked = data.load("photos"), []
    monkeypatch.setattr(data, "load", lambda name, **options: asked.append((name, options)) or photos)
    columns = ["--caption", "title", "--image", "picture"]
    assert run("search", "sad", "--data", "hub:somebody/something", *columns)[0] == 0
    assert asked == [("hub:somebody/something", {"caption": "title", "image": "picture"})]


def test_a_folder_is_searched_without_what_is_hidden_or_cannot_be_read(run, photo):
    for name in ("deep/other.png", ".hidden/a.png", "deep/.hidden/b.png", ".c.png"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(photo, name)
    Path("broken.png").write_bytes(b"\x89PNG")
    Path("notes.txt").write_text("no picture")
    code, out, err = run("search", "sad", "--dir", ".", "-o", "preview.png")
    assert (code, len(out), len(err)) == (0, 3, 2)
    assert "broken.png" in err[0]
    assert "little of photographs" in err[1]
    assert {line.split()[-1] for line in out} == {"photo.png", "deep/other.png", "preview.png"}
    rows = json.loads("\n".join(run("describe", "--dir", "deep", "--json")[1]))
    assert [row["image"] for row in rows] == ["other.png"]


@pytest.mark.parametrize("noise", ["0", "0.5", "1"])
def test_denoise_shows_three_panels(run, photo, noise):
    assert run("denoise", photo, "--noise", noise, *FAST, "--prompt", "a cat") == (0, ["denoised.png"], [])
    assert Image.open("denoised.png").width == 4 + 3 * 260


def test_upscale_by_four(run, photo):
    assert run("upscale", photo, "-o", "large.png") == (0, ["large.png"], [])
    assert Image.open("large.png").size == (240, 160)


def test_evaluate_prints_a_page_tables_or_json(run, tiny_weights, monkeypatch):
    def evaluate(folder, n, seed, copies):
        assert (str(folder), str(copies)) == (str(tiny_weights), "copy-check.png")
        return {"n": n, "seed": seed}

    monkeypatch.setattr(commands, "evaluate", evaluate)
    code, out, err = run("evaluate", "-n", "7")
    assert (code, out) == (0, ["n = 7, seed 0"])
    assert err == ["minit2i: computing on cpu (--device chooses another)"]
    report = json.loads("\n".join(run("evaluate", "--json", "--seed", "5")[1]))
    assert report == {"n": 2000, "seed": 5}
    assert run("evaluate", "--markdown")[1][0] == "# Results"


class TinyRecipe(Recipe):
    """Trains an upscaler that nobody would use."""

    def load_data(self, folder):
        return None

    def build(self, data):
        return Upscaler(UpscalerConfig(width=8, blocks=1))

    def loss(self, model, data, generator):
        return next(model.parameters()).square().sum()

    def preview(self, model, data):
        return Image.new("RGB", (8, 8))


class Interrupted(TinyRecipe):
    """Somebody types Ctrl-C in the first step."""

    def loss(self, model, data, generator):
        signal.raise_signal(signal.SIGINT)
        return super().loss(model, data, generator)


def train_with(monkeypatch, kind: type[Recipe], name: str = "upscaler") -> None:
    """From now on the network of this name is trained with this recipe."""
    recipe = kind(batch=1, minutes=1e-4, lr=1e-3)
    monkeypatch.setattr(f"minit2i.{NETWORKS[name].recipe.replace(':', '.')}", lambda: recipe)


def test_train_writes_weights_and_says_how_to_use_them(run, photo, monkeypatch):
    train_with(monkeypatch, TinyRecipe)
    code, out, _ = run("train", "upscaler", "--steps", "3", "--out", "my runs")
    assert code == 0
    assert out[0].startswith("my runs/upscaler.safetensors is ready")
    shutil.copy(photo, "small.png")
    assert main(shlex.split(out[1])[1:]) == 0
    assert Image.open("upscaled.png").size == (240, 160)
    card = checkpoint.read_card("my runs/upscaler.safetensors")
    assert card["steps"] == 3
    assert card["needs"] == {}


def test_what_train_advises_works_with_a_clip_of_ones_own(tiny_weights, capsys, monkeypatch):
    few = data.load("emoji").select(range(5))
    monkeypatch.setattr(data, "load", lambda name, split="train": few)
    vocabulary = checkpoint.load_tokenizer().vocabulary
    config = checkpoint.load_model("clip", tiny_weights).config
    card = checkpoint.read_card(tiny_weights / "denoiser.safetensors")

    class OwnClip(TinyRecipe):
        needs = ("tokenizer",)

        def build(self, data):
            return CLIP(dataclasses.replace(config, vocabulary=vocabulary))

    class OwnDenoiser(TinyRecipe):
        needs = ("tokenizer", "clip")

        def build(self, data):
            return checkpoint.load_model("denoiser", tiny_weights)

        def note(self, data):
            return card

    train_with(monkeypatch, OwnClip, "clip")
    train_with(monkeypatch, OwnDenoiser, "denoiser")
    train_with(monkeypatch, TinyRecipe, "autoencoder")
    for line in ("train clip --out C", "train denoiser --weights C --out G", "train autoencoder --out A"):
        assert main(line.split()) == 0
        advice = capsys.readouterr().out.splitlines()[-1]
        assert main(shlex.split(advice)[1:]) == 0, advice


def test_train_needs_no_git(run, monkeypatch):
    train_with(monkeypatch, TinyRecipe)
    monkeypatch.setenv("PATH", "")
    assert run("train", "upscaler", "--steps", "1")[0] == 0
    assert run("train", "upscaler", "--steps", "2", "--resume")[0] == 0
    assert checkpoint.read_card("runs/upscaler/upscaler.safetensors")["commit"] == "unknown"


def test_train_stopped_by_ctrl_c_says_how_to_go_on(run, monkeypatch):
    train_with(monkeypatch, Interrupted)
    code, out, err = run("train", "upscaler", "--steps", "3", "--out", "mine")
    assert (code, out) == (130, [])
    assert err[-1].startswith("minit2i: stopped at step 1; go on with: minit2i ")
    assert err[-1].endswith("train upscaler --steps 3 --out mine --resume")
    train_with(monkeypatch, TinyRecipe)
    assert run("train", "upscaler", "--steps", "3", "--out", "mine", "--resume")[0] == 0
    assert checkpoint.read_card("mine/upscaler.safetensors")["steps"] == 3


def test_train_tokenizer(run, refused, monkeypatch):
    monkeypatch.setattr(commands, "train_tokenizer", lambda: Tokenizer.train([PROMPT] * 2))
    code, out, _ = run("train", "tokenizer")
    assert code == 0
    assert out[0].startswith("runs/tokenizer/tokenizer.json is ready")
    for ignored in (["--minutes", "1"], ["--steps", "1"], ["--seed", "1"], ["--resume"]):
        assert "the tokenizer takes no" in refused("train", "tokenizer", *ignored)


def test_data_lists_what_is_embedded(run):
    code, out, _ = run("data")
    assert code == 0
    assert [line.split()[0] for line in out] == ["name", *data.SETS]
    rows = json.loads("\n".join(run("data", "--json")[1]))
    assert all(row["licences"] and row["bytes"] > 0 for row in rows)


def test_choices_are_those_of_the_package():
    assert (set(parser.SAMPLERS), parser.SIZES) == (set(SAMPLERS), SIZES)


RUNNERS = {name.removeprefix("run_") for name in vars(commands) if name.startswith("run_")}


def help_of(capsys, *words: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    return capsys.readouterr().out


def test_help_groups_the_commands_and_has_an_example_for_each(capsys):
    page = help_of(capsys)
    groups = re.findall(r"^(\w[\w ]*):\n((?:  \w+ .+\n)+)", page, re.M)
    assert [heading for heading, _ in groups] == [
        "draw", "change a picture", "words and pictures", "learn and measure"
    ]  # fmt: skip
    named = [line.split()[0] for _, lines in groups for line in lines.splitlines()]
    assert sorted(named) == sorted(RUNNERS)
    for name in RUNNERS:
        [example] = re.findall(rf"example:\n  minit2i ({name} .*)", help_of(capsys, name))
        parser.build_parser().parse_args(shlex.split(example.split(">")[0]))
    page = help_of(capsys, "train")
    assert all(re.search(rf"^  {name} +{re.escape(NETWORKS[name].about)}$", page, re.M) for name in NETWORKS)
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"minit2i {parser.version()}\n"


def test_without_words_it_shows_five_commands_to_begin_with(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    commands = [line for line in out.splitlines() if line.startswith("  minit2i ")]
    assert (len(commands), err) == (5, "") and out.count("\n") < 24
    for line in commands:
        parser.build_parser().parse_args(shlex.split(line)[1:])


def test_weights_may_be_named_on_either_side(run, tiny_weights, capsys):
    assert main(["generate", PROMPT, *FAST, "--weights", str(tiny_weights)]) == 0
    assert run("generate", PROMPT, *FAST, "-o", "other.png")[0] == 0
    assert Path("other.png").read_bytes() == Path("picture.png").read_bytes()


# ---- In a process of its own ----


def test_slow_imports_stay_out_and_the_package_runs_as_a_module(tiny_weights):
    code = f"""
import runpy, sys
from minit2i.cli import main
for words in ["--help"], ["train", "--help"], []:
    try: main(words)
    except SystemExit: pass
assert not {{"torch", "numpy", "PIL"}} & set(sys.modules)
sys.argv = ["minit2i", "--weights", {str(tiny_weights)!r}, "generate", "a cat", "--steps", "1"]
try: runpy.run_module("minit2i", run_name="__main__")
except SystemExit as done: assert done.code == 0
assert not {{"datasets", "matplotlib", "pandas", "pyarrow"}} & set(sys.modules), sorted(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("picture.png\n")


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-m", "minit2i"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_a_library_that_is_not_installed_is_one_line(run, photo, monkeypatch):
    extra = ("datasets", "pyarrow", "matplotlib", "pandas", "IPython")
    for name in {*extra, *(name for name in sys.modules if name.split(".")[0] in extra)}:
        monkeypatch.setitem(sys.modules, name, None)
    render.parts.cache_clear()  # it holds what pyarrow has read
    for line in ("search sad --data photos", "data", "train clip"):
        code, out, err = run(*line.split())
        assert (code, out) == (2, []) and "pip install 'minit2i[lessons]'" in err[-1], line
    for line in ("generate cat --steps 1", f"edit {photo} cat --steps 1", f"describe {photo}"):
        assert run(*line.split())[0] == 0, line


def test_ctrl_c_is_no_traceback(run, photo, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "load_matcher", interrupt)
    assert run("score", photo, "a cat") == (130, [], ["minit2i: stopped"])


def test_a_bug_keeps_its_traceback(run, photo, monkeypatch):
    def broken(error):
        def load(*_):
            raise error

        return load

    for error in (ValueError("shapes differ"), OSError("not from the file system"), KeyError("x")):
        monkeypatch.setattr(commands, "load_matcher", broken(error))
        with pytest.raises(type(error)):
            run("score", photo, "a cat")
    full = OSError(28, "No space left on device", "photo.png")
    monkeypatch.setattr(commands, "load_matcher", broken(full))
    assert run("score", photo, "a cat") == (2, [], ["minit2i: photo.png: No space left on device"])


def test_the_device_is_said_once_where_a_run_takes_long(run, refused, photo, monkeypatch):
    train_with(monkeypatch, TinyRecipe)
    _, _, err = run("--device", "cpu", "train", "upscaler", "--steps", "1")
    assert [line for line in err if "computing on cpu" in line] == [err[0]]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no device 'cuda' here" in refused("score", photo, "a cat", "--device", "cuda")


# ---- Starting from a picture ----


def test_video_writes_films_and_strips(run, photo, refused, monkeypatch):
    prompt = "a cat wearing a blue baseball cap"
    code, said, _ = run("video", prompt, "-o", "x.gif", "--size", "64", *FAST)
    assert (code, said) == (0, ["x.gif"])
    assert Image.open("x.gif").size == (64, 64) and Image.open("x.gif").n_frames <= 16
    code, said, err = run("video", "a zebra hopping", "-o", "x.png", "--size", "64", *FAST)
    assert (code, said) == (0, ["x.png"]) and sum("zebra" in line for line in err) == 1
    assert Image.open("x.png").width > 8 * 64
    begun = ["--from", photo, "-o", "begun.webp", "--size", "64", "--style", "noto"]
    code, said, err = run("video", "hopping", *begun, *FAST)
    assert (code, said) == (0, ["begun.webp"]) and sum("--style" in line for line in err) == 1
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "ffmpeg" in refused("video", prompt, "-o", "clip.mp4")


def test_describe_and_ask_print_words(run, photo, refused):
    code, said, _ = run("describe", photo)
    assert code == 0 and len(said) <= 1
    Path("album").mkdir()
    shutil.copy(photo, "album/a.png")
    code, said, _ = run("describe", "--dir", "album", "--json")
    assert code == 0 and json.loads("\n".join(said))[0]["image"] == "a.png"
    assert run("ask", photo, "what is it?")[0] == 0
    assert "nothing was asked" in refused("ask", photo, "?!")
    assert "--dir" in refused("describe")


def test_chat_reads_what_is_piped_and_ends(run, photo, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("what is it?\n\n!!!\nhullabaloo\nbye\nnever read\n"))
    code, said, _ = run("chat", photo)
    assert code == 0 and "never read" not in " ".join(said)
    assert said[-1].startswith("ask about the picture")


def test_edit_draws_what_its_mask_says_and_leaves_the_rest(run, photo):
    Image.new("L", (3, 2)).save("black.png")
    white = Image.new("L", (60, 40))
    white.paste(255, (20, 10, 40, 30))
    white.save("white.png")
    code, out, err = run("edit", photo, "a cat", "--mask", "white.png", *FAST)
    assert (code, out) == (0, ["edit.png"])
    assert err == ["minit2i: photo.png, 60x40, is drawn at 256x256 and enlarged again"]
    before, after = (np.asarray(Image.open(name)) for name in (photo, "edit.png"))
    known = np.asarray(white) == 0
    assert np.array_equal(before[known], after[known]) and not np.array_equal(before, after)
    code, _, err = run("edit", photo, "a cat", "--mask", "black.png", *FAST)
    assert code == 0 and "nothing to change" in err[1]
    assert np.array_equal(Image.open("edit.png"), before)


def test_edit_from_words_alone_warns_of_words_it_does_not_know(run, photo):
    code, out, err = run("edit", photo, "a cat in a hullabaloo", *FAST)
    assert (code, out) == (0, ["edit.png"])
    assert sum("hullabaloo" in line for line in err) == 1


def test_masks_keep_their_mode(run, photo, monkeypatch):
    modes = []

    def inpaint(editor, picture, mask, prompt, **settings):
        modes.append(mask.mode)
        return picture, mask.getchannel("A")

    monkeypatch.setattr(commands.any_size, "inpaint", inpaint)
    Image.new("RGBA", (60, 40), (255, 255, 255, 9)).save("mask.png")
    assert run("edit", photo, "a cat", "--mask", "mask.png")[0] == 0
    assert modes == ["RGBA"]


def test_what_is_transparent_is_laid_on_white_and_that_is_said_once(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    picture = Image.new("RGBA", (256, 256), (255, 0, 0, 255))
    picture.save("opaque.png")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.save("clear.png")
    for line in (
        "upscale {}", "denoise {} --steps 2", "vary {} cat --strength 0", "edit {} cat --steps 2",
        "extend {} cat --up 9 --steps 2", "video hopping --from {} --size 64 --steps 2", "chat {}",
    ):  # fmt: skip
        code, _, err = run(*line.format("clear.png").split())
        assert code == 0 and err.count("minit2i: clear.png is transparent: it is laid on white") == 1, line
    assert Image.open("upscaled.png").getpixel((0, 0)) > (200, 200, 200)
    assert run("upscale", "opaque.png") == (0, ["upscaled.png"], [])


def test_sketch_draws_a_square_whatever_the_shape_of_the_drawing(run, photo):
    code, out, err = run("sketch", photo, "a cat", *FAST)
    assert (code, out) == (0, ["sketch.png"])
    assert err == ["minit2i: photo.png is no square: what is at its edges fills it up"]
    assert Image.open("sketch.png").size == (256, 256)
    Image.new("RGBA", (1, 1)).save("dot.png")
    assert run("sketch", "dot.png", "a cat", "--strength", "0.5", *FAST) == (0, ["sketch.png"], [])
    assert "no known word" in run("sketch", "dot.png", "", *FAST)[2][0]


def test_vary_and_extend_write_pictures_of_the_size_to_expect(run, photo):
    assert run("vary", photo, "a cat", "--strength", "0", *FAST)[:2] == (0, ["vary.png"])
    assert np.array_equal(Image.open("vary.png"), Image.open(photo))
    assert run("vary", photo, "a cat", "--strength", "0.5", "--guidance", "1", *FAST)[0] == 0
    assert Image.open("vary.png").size == (60, 40)
    assert run("extend", photo, "a cat", "a dog", "--left", "30", *FAST)[:2] == (0, ["extend.png"])
    assert Image.open("extend.png").size == (90, 40)


@pytest.mark.parametrize("sides", [[], ["--left", "9", "--right", "9"]])
def test_extend_goes_one_way_at_a_time(refused, photo, sides):
    assert "one of --left, --right, --up, --down" in refused("extend", photo, "a cat", *sides)


# ---- Bad arguments ----


@pytest.mark.parametrize(
    "line",
    [
        "paint",
        "--device cpu",
        "generate",
        "generate a cat",
        "score x.png",
        "train everything",
        "generate x --steps 0",
        "generate x --steps 1001",
        "generate x --steps 2.5",
        "generate x --guidance nan",
        "generate x --guidance -1",
        "generate x --seed -1",
        "generate x --seed 99999999999999999999",
        "generate x --size 100",
        "generate x -n 0",
        "generate x --index 0",
        "generate x --sampler z",
        "generate x -n 64 --best-of 64",
        "generate x --film film.mp4",
        "generate x --film film.gif -n 2",
        "generate x --film picture.gif",
        "generate x --film no/film.gif",
        "search x -k 0",
        "search x --dir nowhere",
        "search x --dir .",
        "denoise x.png --noise 1.1",
        "vary x.png",
        "vary x.png y --strength 2",
        "edit x.png",
        "edit x.png y",
        "extend x.png a --right 0",
        "sketch x.png",
        "video",
        "video x -o film.exe",
        "describe",
        "ask x.png",
        "chat",
        "sketch x.png y --strength 1.5",
        "train denoiser --minutes 0",
        "train denoiser --resume",
        "evaluate --json --markdown",
        "train denoiser --out /dev/null/x",
        "generate x --weights nowhere",
    ],
)
def test_bad_arguments(refused, line):
    refused(*line.split())


@pytest.mark.parametrize("out", ["nowhere/x.png", "/dev/null/x.png", "x", "x.exe", "folder.png", "x" * 300])
@pytest.mark.parametrize(
    "command", ["generate", "search", "denoise", "upscale", "evaluate", "edit", "sketch"]
)
def test_unwritable_output_is_found_before_anything_is_computed(refused, photo, command, out, monkeypatch):
    Path("folder.png").mkdir()
    monkeypatch.setattr(checkpoint, "load_model", None)
    words = {
        "generate": [PROMPT],
        "search": ["sad"],
        "evaluate": [],
        "edit": [photo, "x"],
        "sketch": [photo, "x"],
    }
    words = words.get(command, [photo])
    refused(command, *words, "-o", out)


@pytest.mark.parametrize("name", ["emojis", "hub:nobody/nothing"])
def test_unknown_data_set_and_no_network(refused, name, monkeypatch):
    monkeypatch.setattr(data, "_hub_answers", lambda: False)
    line = refused("search", "sad", "--data", name)
    assert "did you mean emoji" in line or "is there a network" in line


# ---- Bad pictures ----


def bomb(side: int) -> bytes:
    """A PNG file of a hundred bytes that claims to hold hundreds of megapixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def encoded(picture: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    return encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif)


RED = Image.new("RGB", (20, 30), "red")
GREY = Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16)
ODD = {
    "16-bit": encoded(GREY, "PNG"),
    "cmyk": encoded(Image.new("CMYK", (20, 30)), "JPEG"),
    "palette": encoded(Image.new("P", (20, 30)), "PNG", transparency=0),
    "animated": encoded(Image.new("RGB", (20, 30)), "GIF", save_all=True, append_images=[RED]),
    "turned": turned(),
    "1x1": encoded(Image.new("RGB", (1, 1)), "PNG"),
    "1x2000": encoded(Image.new("L", (1, 2000)), "PNG"),
}
BROKEN = {"empty": b"", "truncated": encoded(GREY, "PNG")[:-100], "bomb": bomb(20_000), "text": b"hello"}
BROKEN["PIL warns of it"] = bomb(10_000)
ON_PICTURES = {"score": ["a cat"], "classify": ["cat", "dog"], "denoise": FAST, "upscale": []}
ON_PICTURES |= {"vary": ["a cat", *FAST], "extend": ["a cat", "--up", "1", *FAST]}
ON_PICTURES["sketch"] = ["a cat", *FAST]


@pytest.mark.parametrize("command", ON_PICTURES)
def test_odd_pictures_are_read(run, command):
    # All commands read alike; what takes long is shown only what is also of an odd size or transparent
    slow = command in ("vary", "extend", "sketch")
    for kind in ("palette", "1x1", "1x2000") if slow else ODD:
        Path("odd").write_bytes(ODD[kind])
        code, _, err = run(command, "odd", *ON_PICTURES[command])
        # These say that they enlarge it, or that they fill it up to a square
        says = command in ("vary", "extend") or (command == "sketch" and kind != "1x1")
        says += kind == "palette" and command not in ("score", "classify", "sketch")
        assert (code, len(err)) == (0, says), (kind, err)
        if command == "upscale":
            sizes = {"16-bit": (256, 256), "turned": (80, 120), "1x1": (4, 4), "1x2000": (4, 8000)}
            assert Image.open("upscaled.png").size == sizes.get(kind, (80, 120))


@pytest.mark.parametrize("command", ON_PICTURES)
@pytest.mark.parametrize("kind", [*BROKEN, "missing", "folder"])
def test_broken_pictures_are_one_line(refused, command, kind):
    if kind in BROKEN:
        Path("broken").write_bytes(BROKEN[kind])
    elif kind == "folder":
        Path("broken").mkdir()
    assert "broken" in refused(command, "broken", *ON_PICTURES[command])


def test_too_large_to_enlarge(refused):
    Image.new("L", (2000, 2000)).save("large.png")
    assert "2.5 megapixels" in refused("upscale", "large.png")


# ---- Odd prompts ----


@pytest.mark.parametrize(
    ("prompt", "lines"),
    [
        ("", 1),
        (" \n\t", 1),
        ("🐱🧢", 1),
        ("🐱" * 1000, 2),
        ("戴蓝色帽子的猫", 2),
        ("кот", 2),
        ("a catt", 1),
        ("a cat \ud83d", 0),
        ("a cat!", 0),
        ("a cat\x00\x1b", 0),
        ("a cat " * 2500, 1),
        ("x" * 100_000, 2),
    ],
)
def test_odd_prompts_draw_something_and_warn(run, prompt, lines):
    code, out, err = run("generate", prompt, "--steps", "1", "--size", "64")
    assert (code, out) == (0, ["picture.png"])
    assert len(err) == lines, err
    assert all(line.startswith("minit2i: ") for line in err)


def test_odd_captions_labels_and_queries(run, photo):
    for text in ("🐱🧢", "戴蓝色帽子的猫", "a cat " * 2500, "x" * 100_000):
        long = len(text) > 1000
        for command in (
            ["score", photo, text],
            ["classify", photo, text, "cat"],
            ["search", text, "--data", "photos"],
        ):
            code, _, err = run(*command)
            assert (code, len(err)) == (0, long)
        assert run("denoise", photo, "--prompt", text, *FAST)[0] == 0


@pytest.mark.parametrize("query", ["", " \n"])
def test_a_search_for_nothing_says_that_nothing_was_asked(run, refused, photo, query):
    assert "nothing was asked" in refused("search", query, "--data", "photos")
    assert run("score", photo, query, "a cat")[0] == 0  # but an empty caption has a score, as any other


# ---- Bad weights ----


USERS = {
    "clip": ["score", "search", "generate", "denoise"],
    "denoiser": ["generate", "denoise"],
    "upscaler": ["generate", "upscale"],
    "reader": ["edit"],
    "inpaint": ["edit"],
    "sketch": ["sketch"],
    "tokenizer": ["score", "generate"],
}
USES = [(name, command) for name, commands in USERS.items() for command in commands]


@pytest.mark.parametrize(("name", "command"), USES)
def test_missing_damaged_or_foreign_weights(
    refused, photo, tiny_weights, tmp_path, monkeypatch, name, command
):
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "none")
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    words = {
        "generate": [PROMPT],
        "search": ["sad"],
        "score": [photo, "x"],
        "edit": [photo, "x"],
        "sketch": [photo, "x"],
    }
    words = words.get(command, [photo])
    file = next(folder.glob(f"{name}.*"))
    whole = file.read_bytes()

    file.unlink()
    assert name in refused(command, *words, folder=folder)
    if name != "tokenizer":
        flipped = bytearray(whole)
        flipped[-1] ^= 1
        other = tiny_weights / ("upscaler.safetensors" if name != "upscaler" else "clip.safetensors")
        contents = [bytes(flipped), whole[:-10], b"", b"not weights", other.read_bytes(), wrong_shape(name)]
        for content in contents if command == USERS[name][0] else contents[:1]:  # all load alike
            file.write_bytes(content)
            assert f"{name}.safetensors" in refused(command, *words, folder=folder)


def wrong_shape(name: str) -> bytes:
    """Weights whose header promises other sizes than the tensors have, with a right hash."""
    from safetensors.torch import save

    sizes = {"clip": {"width": 64}, "denoiser": {"widths": [8, 8]}, "upscaler": {"width": 9}}
    sizes |= {"reader": {"hidden": 9}, "inpaint": {"widths": [8, 8]}, "sketch": {"widths": [8, 8]}}
    sizes = sizes[name]
    tensors = {"head.weight": torch.zeros(3, dtype=torch.float16)}
    return save(tensors, {"config": json.dumps(sizes), "card": "{}", "sha256": checkpoint.digest(tensors)})

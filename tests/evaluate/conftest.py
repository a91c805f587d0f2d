"""A bench of untrained networks, and the report of it: made once for all tests."""

import warnings

import pytest
import torch
from PIL import Image

from minit2i.checkpoint import NETWORKS, save_model
from minit2i.evaluate import clip, fidelity, report, scenes
from minit2i.evaluate.judge import Judge, JudgeConfig
from minit2i.text2image import TextToImage
from minit2i.unet import UNet, UNetConfig


@pytest.fixture(scope="session")
def judged_weights(tiny_weights, tmp_path_factory):
    """tiny_weights, with judges and a denoiser of clothes; do not write to it."""
    folder = tmp_path_factory.mktemp("judged")
    for file in tiny_weights.iterdir():
        (folder / file.name).symlink_to(file)
    torch.manual_seed(0)
    sizes = {"widths": (16, 32), "heads": 2, "embedding": 32, "text_width": 32, "text_pooled": 32}
    clothes = UNet(UNetConfig(channels=1, picture_size=32, patch=2, **sizes))
    save_model(folder / "denoiser-fashion.safetensors", clothes, {})
    save_model(folder / "judge.safetensors", Judge(JudgeConfig(widths=(8, 8))), {})
    grey = JudgeConfig(channels=1, widths=(8, 8), answers=(10,))
    save_model(folder / "judge-fashion.safetensors", Judge(grey), {})
    return folder


@pytest.fixture(scope="session")
def measured(judged_weights, tmp_path_factory):
    """The report of the core at n = 2, and what was noted: pipelines loaded, pictures looked through."""
    noted, copies = {"loaded": [], "looked through": []}, tmp_path_factory.mktemp("copies") / "copy-check.png"
    load, draw = TextToImage.load, TextToImage.draw
    check, read = scenes.copy_check, clip.read_wording
    photo = {"name": "chelsea", "image": Image.effect_noise((50, 60), 40).convert("RGB")}

    def emoji(size, styles=None, split="train"):
        pixels = torch.randint(0, 256, (40, 4, size, size), dtype=torch.uint8)
        return pixels, [{"name": f"a thing {i}"} for i in range(40)]

    def clothes(split):
        return (
            torch.randint(0, 256, (20, 1, 32, 32), dtype=torch.uint8),
            ["a bag"] * 20,
            torch.zeros(20).long(),
        )

    def few_prompts(half="measure"):
        return read(half)[:2]

    with pytest.MonkeyPatch.context() as patch:  # less of everything, to be quick
        for module in (clip, fidelity):
            patch.setattr(module, "emoji_pictures", emoji)
        for module in (clip, scenes):
            patch.setattr(module, "read_wording", few_prompts)
        patch.setattr(TextToImage, "draw", lambda *args, **settings: draw(*args, steps=2, **settings))
        patch.setattr(fidelity, "load", lambda name: [photo])
        patch.setattr(clip, "load", lambda *_: {"style": ["noto", "noto", "fluent"]})
        patch.setattr(scenes, "clothes_pictures", clothes)
        patch.setattr(scenes, "copy_check", lambda x, n: noted["looked through"].append(n) or check(x, n))
        patch.setattr(
            TextToImage,
            "load",
            lambda *names: noted["loaded"].append(names[1:] or ("denoiser",)) or load(*names),
        )
        core = {name: NETWORKS[name] for name in NETWORKS if NETWORKS[name].measure.startswith("evaluate.")}
        patch.setattr(
            report, "NETWORKS", core | {"judge": NETWORKS["judge"]}
        )  # the chapters have their own tests
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the words of people are not those of tiny weights
            return report.evaluate(judged_weights, n=2, copies=copies), noted, copies

"""What a picture shows, read by a network off what CLIP sees."""

import torch

from minit2i.checkpoint import load_model
from minit2i.edit.scene_reader import SceneReader, SceneReaderConfig, read_scenes
from minit2i.images import to_float
from minit2i.world.batches import scene_pictures
from minit2i.world.render import layout
from minit2i.world.scenes import ATTRIBUTES


def test_a_reader_answers_every_question():
    torch.manual_seed(0)
    reader = SceneReader(SceneReaderConfig(tokens=4, token_width=8, hidden=16))
    logits, heads = reader(torch.randn(5, 4, 8))
    assert [logit.shape for logit in logits] == [(5, len(values)) for values in ATTRIBUTES.values()]
    assert heads.shape == (5, 3)


def test_pretrained_weights_read_scenes_never_seen():
    pixels, scenes = scene_pictures("held_out", 100, 64, seed=31)
    found = read_scenes(load_model("clip"), load_model("reader"), to_float(pixels))
    right = [
        all(getattr(a, name) == getattr(b, name) for name in ATTRIBUTES)
        for (a, _), b in zip(found, scenes, strict=True)
    ]
    assert sum(right) >= 90
    heads, true = (torch.tensor(some) for some in ([h for _, h in found], [layout(s)[0][2:] for s in scenes]))
    assert (heads - true).abs().mean() < 0.02
    for scene, head in found:
        assert (scene.headwear == "none") == (scene.colour == "none")
        assert max(abs(a - b) for a, b in zip(layout(scene)[0][2:], head, strict=True)) < 1e-6

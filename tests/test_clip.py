"""CLIP: equal to a reference of the same form, causal, and able to learn a batch by heart."""

import pytest
import torch
from torch.testing import assert_close

from minit2i.clip import CLIP, CLIPConfig, Matcher, contrastive_loss
from minit2i.images import to_pil
from minit2i.tokenizer import Tokenizer
from minit2i.trainer import Training, fit

TINY = CLIPConfig(
    picture_size=32,
    width=32,
    depth=2,
    heads=2,
    text_width=32,
    text_depth=2,
    text_heads=2,
    vocabulary=600,
    context=12,
    embedding=16,
)


def with_patches(config: CLIPConfig) -> CLIPConfig:
    return CLIPConfig(**{**vars(config), "stem": "patch", "patch": 8})


def ids(*rows: list[int]) -> torch.Tensor:
    end, padding, longest = TINY.vocabulary - 2, TINY.vocabulary - 1, max(map(len, rows)) + 1
    return torch.tensor([[*row, end, *[padding] * (longest - len(row) - 1)] for row in rows])


def test_it_equals_the_reference_clip_with_the_same_weights():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    reference = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config={
                "vocab_size": 600,
                "hidden_size": 32,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "max_position_embeddings": 12,
                "eos_token_id": 598,
                "bos_token_id": 597,
                "pad_token_id": 599,
                "projection_dim": 16,
            },
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 32,
                "patch_size": 8,
                "projection_dim": 16,
            },
            projection_dim=16,
        )
    ).eval()
    for parameter in reference.parameters():  # random everywhere, also where training would start at 0 or 1
        torch.nn.init.normal_(parameter, std=0.2)
    ours = CLIP(with_patches(TINY)).eval()
    theirs = reference.state_dict()

    def block(prefix: str) -> dict:
        attention, keys = {}, ("weight", "bias")
        for key in keys:
            attention[f"attention.query.{key}"] = theirs[f"{prefix}.self_attn.q_proj.{key}"]
            attention[f"attention.key_value.{key}"] = torch.cat(
                [theirs[f"{prefix}.self_attn.{part}_proj.{key}"] for part in "kv"]
            )
            attention[f"attention.out.{key}"] = theirs[f"{prefix}.self_attn.out_proj.{key}"]
            attention[f"norm_1.{key}"] = theirs[f"{prefix}.layer_norm1.{key}"]
            attention[f"norm_2.{key}"] = theirs[f"{prefix}.layer_norm2.{key}"]
            attention[f"mlp.0.{key}"] = theirs[f"{prefix}.mlp.fc1.{key}"]
            attention[f"mlp.2.{key}"] = theirs[f"{prefix}.mlp.fc2.{key}"]
        return attention

    copied = {
        "log_scale": theirs["logit_scale"],
        "image.stem.weight": theirs["vision_model.embeddings.patch_embedding.weight"],
        "image.class_token": theirs["vision_model.embeddings.class_embedding"],
        "image.position": theirs["vision_model.embeddings.position_embedding.weight"],
        "image.project.weight": theirs["visual_projection.weight"],
        "text.embed.weight": theirs["text_model.embeddings.token_embedding.weight"],
        "text.position": theirs["text_model.embeddings.position_embedding.weight"],
        "text.project.weight": theirs["text_projection.weight"],
    }
    for key in ("weight", "bias"):
        copied[f"image.norm_in.{key}"] = theirs[f"vision_model.pre_layrnorm.{key}"]
        copied[f"image.norm_out.{key}"] = theirs[f"vision_model.post_layernorm.{key}"]
        copied[f"text.norm_out.{key}"] = theirs[f"text_model.final_layer_norm.{key}"]
    for i in range(2):
        for name, tensor in block(f"vision_model.encoder.layers.{i}").items():
            copied[f"image.blocks.{i}.{name}"] = tensor
        for name, tensor in block(f"text_model.encoder.layers.{i}").items():
            copied[f"text.blocks.{i}.{name}"] = tensor
    ours.load_state_dict(copied)  # strict: every weight of ours has its counterpart

    pictures, texts = torch.randn(3, 3, 32, 32), ids([597, 5, 6, 7], [597, 8], [597, 1, 2])
    with torch.no_grad():
        expected = reference(input_ids=texts, pixel_values=pictures)
        assert_close(ours.embed_pictures(pictures), expected.image_embeds, atol=1e-5, rtol=1e-5)
        assert_close(ours.embed_texts(texts), expected.text_embeds, atol=1e-5, rtol=1e-5)
        scale = min(theirs["logit_scale"].exp().item(), 100)
        assert_close(
            ours(pictures, texts),
            scale * expected.image_embeds @ expected.text_embeds.T,
            atol=1e-4,
            rtol=1e-4,
        )


def test_a_later_word_changes_no_earlier_token():
    torch.manual_seed(0)
    text = CLIP(TINY).eval().text
    with torch.no_grad():
        before, after = text(ids([1, 2, 3, 4])).tokens, text(ids([1, 2, 9, 4])).tokens
    assert_close(before[:, :2], after[:, :2])
    assert (before[:, 2:] - after[:, 2:]).abs().amax() > 1e-3


def test_padding_changes_nothing():
    torch.manual_seed(0)
    model = CLIP(TINY).eval()
    with torch.no_grad():
        assert_close(model.embed_texts(ids([1, 2])), model.embed_texts(ids([1, 2], [1, 2, 3, 4, 5]))[:1])


def test_the_loss_by_hand():
    # two pairs, scores 2 on the diagonal: each row and column is a softmax of (2, 0)
    scores = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    assert_close(contrastive_loss(scores), torch.log(1 + torch.exp(torch.tensor(-2.0))))
    assert contrastive_loss(torch.tensor([[0.0, 2.0], [2.0, 0.0]])) > 2


@pytest.mark.parametrize("config", [TINY, with_patches(TINY)], ids=["conv", "patch"])
def test_one_batch_is_learnt_by_heart(config):
    torch.manual_seed(0)
    model = CLIP(config)
    pictures, texts = torch.randn(8, 3, 32, 32), ids(*[[i, i + 1, 2 * i] for i in range(8)])
    training = Training(model, lr=3e-3)
    losses = [loss for _, loss in fit(training, lambda m, _: contrastive_loss(m(pictures, texts)), steps=120)]
    assert losses[0] > 1.0
    assert losses[-1] < 0.1


def test_the_matcher_scores_classifies_and_searches():
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(["a red square", "a blue square"] * 3, vocabulary=600, context=12)
    config = CLIPConfig(**{**vars(TINY), "vocabulary": tokenizer.vocabulary})
    names = ["red", "green", "blue"]
    colours = torch.eye(3)[:, :, None, None].expand(3, 3, 32, 32) * 2 - 1
    training = Training(CLIP(config), lr=3e-3)
    for _ in fit(training, lambda m, _: contrastive_loss(m(colours, tokenizer(names))), steps=60):
        pass
    matcher, pictures = Matcher(training.model, tokenizer), to_pil(colours)
    for i, name in enumerate(names):
        assert matcher.search(name, matcher.embed(pictures), k=1)[0][0] == i
        probabilities = matcher.classify(pictures[i], names)
        assert_close(sum(probabilities), 1.0)
        assert probabilities[i] == max(probabilities)
        assert matcher.score(pictures[i], names)[i] == max(matcher.score(pictures[i], names))


def test_a_misspelt_stem_is_refused():
    with pytest.raises(ValueError, match="stem must be one of conv, patch, not 'patches'"):
        CLIPConfig(stem="patches")

"""minit2i: text-to-image from scratch, small enough to read and to train on a laptop.

The files of STORY are the core, in the order in which to read them: each imports earlier ones only. Each
folder is a chapter that grew from it, whole: its networks, their use, their training and their measuring.
"""

STORY = (
    "utils", "images", "viz", "tokenizer", "layers", "clip", "schedule", "unet", "samplers", "guidance",
    "upscaler", "autoencoder", "checkpoint", "text2image", "muon", "trainer",
)  # fmt: skip
CHAPTERS = ("world", "train", "evaluate", "edit", "sketch", "video", "describe", "cli")  # in this order, too


def __getattr__(name: str):
    """`from minit2i import TextToImage`, without waiting for PyTorch where only the version is asked for."""
    if name == "TextToImage":
        from .text2image import TextToImage

        return TextToImage
    raise AttributeError(f"module 'minit2i' has no attribute {name!r}")

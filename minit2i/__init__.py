"""minit2i: text-to-image from scratch, small enough to read and to train on a laptop.

The modules of STORY are read in this order: each builds on earlier ones only. The folders are back houses,
where networks are trained (training), measured (measure), used from the command line (cli) and practised
(exercises).
"""

STORY = (
    "errors", "files", "device", "pictures", "viz", "scenes", "captions", "clutter", "prompts", "render",
    "motion", "data", "tokenizer", "layers", "clip", "search", "schedule", "unet", "samplers", "guidance",
    "upscaler", "autoencoder", "judge", "reader", "control", "planner", "poses", "temporal", "caption",
    "weights", "text2image", "metrics", "fit", "reading", "attend", "fitted", "edit", "retouch", "sketch",
    "canvas", "video", "views", "questions", "wishes", "talk",
)  # fmt: skip

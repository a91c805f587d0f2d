"""The command that trains: `minit2i train NAME`."""

import shlex
from pathlib import Path

from minit2i.utils import InputError

from .shared import check_output, say_device

USES = {  # what to do with the weights that `train` has put into FOLDER; else MEASURE
    "tokenizer": "minit2i train clip --weights FOLDER --out FOLDER",
    "clip": 'minit2i search "something sad" --weights FOLDER',
    "autoencoder": "minit2i train denoiser --weights FOLDER --out FOLDER",
    "denoiser-pixels": "python -c 'from minit2i.text2image import TextToImage; "
    'TextToImage.load("FOLDER", "denoiser-pixels")("a cat")[0].save("cat.png")\'',
    "denoiser-fashion": "python -c 'from minit2i.text2image import TextToImage; "
    'TextToImage.load("FOLDER", "denoiser-fashion")("a bag")[0].save("bag.png")\'',
    "denoiser": 'minit2i generate "a cat wearing a blue baseball cap" --weights FOLDER',
    "inpaint": 'minit2i edit picture.png "a cat wearing a red crown" --mask mask.png --weights FOLDER',
    "sketch": 'minit2i sketch drawing.png "a cat wearing a red crown" --weights FOLDER',
    "planner": 'minit2i video "a cat wearing a red crown, spinning" --weights FOLDER',
    "video": 'minit2i video "a cat wearing a red crown, spinning" --weights FOLDER',
    "caption": "minit2i describe picture.png --weights FOLDER",
    "reader": 'minit2i edit picture.png "a cat wearing a red crown" --weights FOLDER',
    "upscaler": "minit2i upscale small.png --weights FOLDER",
}
MEASURE = "minit2i evaluate --weights FOLDER"


def run_train(args) -> None:
    out = Path(args.out or f"runs/{args.name}")
    if args.name == "tokenizer" and (args.minutes or args.steps or args.seed or args.resume):
        raise InputError(
            "the tokenizer takes no --minutes, --steps, --seed or --resume: it only counts pairs"
        )
    if args.resume and not (out / "checkpoint.pt").is_file():
        raise InputError(f"nothing to resume: there is no {out / 'checkpoint.pt'}")
    out.mkdir(parents=True, exist_ok=True)
    check_output(out / "preview.png")
    from minit2i.train.run import RECIPES, run  # here, for it takes long to import
    from minit2i.train.tokenizer import train_tokenizer

    if args.name == "tokenizer":
        path = out / "tokenizer.json"
        train_tokenizer().save(path)
    else:
        say_device()
        command = shlex.join(["minit2i", *(word for word in args.argv if word != "--resume")])
        times = {"minutes": args.minutes, "steps": args.steps}
        path = run(
            args.name, RECIPES[args.name], args.weights, out, **times, seed=args.seed, resume=args.resume,
            command=command,
        )  # fmt: skip
    print(f"{path} is ready. Use it:\n  {USES.get(args.name, MEASURE).replace('FOLDER', str(out))}")

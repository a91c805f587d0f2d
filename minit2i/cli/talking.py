"""The commands that put pictures into words: describe, ask, chat."""

import json
import sys
from pathlib import Path

from minit2i.errors import InputError
from minit2i.fitted import Fitted
from minit2i.pictures import open_image, to_tensor
from minit2i.talk import GOING, Talker
from minit2i.tokenizer import words_of

from .shared import check_output, pictures_in, save, shorten


def run_describe(args) -> None:
    if bool(args.images) == bool(args.dir):
        raise InputError("name pictures to describe, or a folder with --dir")
    if args.dir:
        names, pictures = pictures_in(Path(args.dir), crop=False)
    else:
        names, pictures = args.images, [open_image(path) for path in args.images]
    talker = Talker.load(args.weights, edits=False)
    rows = []
    for name, picture in zip(names, pictures, strict=True):
        [text] = talker.answer(to_tensor(Fitted(picture).square, size=talker.t2i.size))
        rows.append({"image": name, "caption": text})
        if not args.json:
            print(text if len(names) == 1 else f"{name}: {text}", flush=True)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))


def run_ask(args) -> None:
    picture = open_image(args.image)
    if not any(word.isalnum() for word in words_of(args.question)):
        raise InputError("nothing was asked: say in words what you want to know")
    talker = Talker.load(args.weights, edits=False)
    question = shorten(args.question, talker.t2i.tokenizer)
    print(talker.answer(to_tensor(Fitted(picture).square, size=talker.t2i.size), question)[0])


def run_chat(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    talker = Talker.load(args.weights)
    if sys.stdin is None:  # it is closed
        return
    typed = sys.stdin.isatty()
    if typed:
        print('ask ("what colour is the hat?") or wish ("now make the hat red"); "bye" ends it')
    elif hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    while True:
        try:
            text = input("> " if typed else "").strip()
        except EOFError:
            break
        if text.lower().strip(".!") in GOING:
            break
        if not any(word.isalnum() for word in words_of(text)):
            continue
        turn = talker.turn(picture, shorten(text, talker.t2i.tokenizer))
        print(turn.answer, flush=True)
        if turn.picture is not picture:
            picture = turn.picture
            save(picture, out, silently=not typed)

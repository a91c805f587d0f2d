"""The commands that put pictures into words: describe, ask, chat."""

import json
import sys
from pathlib import Path

from minit2i.errors import InputError
from minit2i.pictures import open_image
from minit2i.talk import HELP, Talker, Turn
from minit2i.wishes import is_goodbye, plainly

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
        [text] = talker.answer(talker.tensor(picture))
        rows.append({"image": name, "caption": text})
        if not args.json:
            print(text if len(names) == 1 else f"{name}: {text}", flush=True)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))


def run_ask(args) -> None:
    picture = open_image(args.image)
    talker = Talker.load(args.weights, edits=False)
    question = shorten(args.question, talker.t2i.tokenizer)
    if not plainly(question):
        raise InputError("nothing was asked: say in words what you want to know")
    print(talker.answer(talker.tensor(picture), question)[0])


def run_chat(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    talker = Talker.load(args.weights)
    if sys.stdin is None:  # it is closed
        return
    typed = sys.stdin.isatty()
    if typed:
        print(f'{HELP}; "undo" takes back a change, "bye" ends it')
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    before = []  # the pictures that were changed, for "undo"
    while True:
        try:
            text = input("> " if typed else "").strip()
        except EOFError:
            break
        if is_goodbye(text):
            break
        if plainly(text) == "undo":
            turn = Turn("as it was before", before.pop()) if before else Turn("nothing was changed", picture)
        else:
            turn = talker.turn(picture, shorten(text, talker.t2i.tokenizer))
            before += [picture] if turn.picture is not picture else []
        print(turn.answer, flush=True)
        if turn.picture is not picture:
            picture = turn.picture
            save(picture, out, silently=not typed)

"""The commands that put pictures into words: describe, ask, chat."""

import json
import sys
from pathlib import Path

from minit2i.describe.chat import HELP, Chat, Turn
from minit2i.describe.wishes import is_goodbye, plainly
from minit2i.images import open_image
from minit2i.utils import InputError

from .shared import check_output, pictures_in, save, shorten


def run_describe(args) -> None:
    if bool(args.images) == bool(args.dir):
        raise InputError("name pictures to describe, or a folder with --dir")
    if args.dir:
        names, pictures = pictures_in(Path(args.dir), crop=False)
    else:
        names, pictures = args.images, [open_image(path) for path in args.images]
    chat = Chat.load(args.weights, edits=False)
    rows = []
    for name, picture in zip(names, pictures, strict=True):
        [text] = chat.answer(chat.tensor(picture))
        rows.append({"image": name, "caption": text})
        if not args.json:
            print(text if len(names) == 1 else f"{name}: {text}", flush=True)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))


def run_ask(args) -> None:
    picture = open_image(args.image)
    chat = Chat.load(args.weights, edits=False)
    question = shorten(args.question, chat.t2i.tokenizer)
    if not plainly(question):
        raise InputError("nothing was asked: say in words what you want to know")
    print(chat.answer(chat.tensor(picture), question)[0])


def run_chat(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    chat = Chat.load(args.weights)
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
            turn = chat.turn(picture, shorten(text, chat.t2i.tokenizer))
            before += [picture] if turn.picture is not picture else []
        print(turn.answer, flush=True)
        if turn.picture is not picture:
            picture = turn.picture
            save(picture, out, silently=not typed)

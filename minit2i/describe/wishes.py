"""What people say in a conversation about a picture: a question, or a wish and the prompt that it amounts to.

All by lists of words: they cost nothing to run, and where they do not understand, it is plain why.
"""

import re

from minit2i.tokenizer import words_of
from minit2i.world.noise_words import wording

ASIDE = "(?:(?:please|now|and|then|ok|okay|hey|hi|so|just|well|but) )*"
QUESTION = re.compile(
    f"{ASIDE}(?:describe|tell|say|(?:on |in )?(?:what|which)|who|whose|where|when|why|how|is|are|does|do|did|"
    r"has|have|can|could|will|would|was|were)\b"
)
WISH = re.compile(
    f"{ASIDE}(?:(?:can|could|will|would) (?:you|we|i) (?:please )?)?(?:make|put|give|add|remove|take|turn|"
    "change|replace|swap|switch|dress|let|paint|draw|drop|lose|delete|get rid|have it|do not|no|not|without|"
    r"as an?|i (?:do not )?(?:want|like|need)|i would like|how about|what about)\b"
)
BYE = {"quit", "exit", "bye", "goodbye"}


def plainly(text: str) -> str:
    """In small letters, without signs, and short forms written out: "What's that?" -> "what is that"."""
    text = text.lower().replace("\u2019", "'")
    text = re.sub(r"\b(what|who|where|that|there|how)'?s\b", r"\1 is", text.replace("it's", "it is"))
    text = re.sub(r"\b(do|does|is)n'?t\b", r"\1 not", text.replace("can't", "can not"))
    return " ".join(word for word in words_of(text) if word.isalnum())


def as_question(text: str) -> str:
    """A question, said `plainly`, in words that the captioner learnt: "tell me about it" -> "describe it"."""
    text = re.sub(r"\b(does it wear|is it wearing) anything\b", r"what \1", text)
    about = re.search(r"\b(?:tell|say)\b.* about (?:it|this|(?:the|this) (?:picture|image|photo))$", text)
    return "describe it" if about else text


def as_prompt(wish: str) -> str:
    """What a wish, said `plainly`, asks for: "turn the cat into a dog" -> "a dog"."""
    wish = re.sub(r" instead of .*", "", wish)
    change = re.search(
        r"\b(?:turn|change|replace|swap|switch|exchange) (.+?) (?:into|to|with|for|by) (.+)", wish
    )
    if not change:
        return wish
    about, wanted = change.groups()  # of what is to go, only that it was the background is of interest
    ground = any(word in wording()["background"] for word in about.split())
    return f"{wanted} background" if ground and "background" not in wanted else wanted


def is_goodbye(text: str) -> bool:
    """Whether a line ends the conversation: "bye", "Thanks, goodbye!"."""
    words = plainly(text.replace("good bye", "goodbye")).split()
    return len(words) <= 4 and not BYE.isdisjoint(words)

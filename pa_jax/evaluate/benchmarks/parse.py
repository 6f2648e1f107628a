"""What a reply or a judge's answer says: strict parsers, and ones that read as PrefEval does.

Strict: the reply is exactly what was asked for, anything else is None, a failure to be counted.
Lenient: as PrefEval reads it, with its habits (the first A to D inside the first <choice> counts,
also that of a word; a missing verdict counts as correct). Reported side by side.
"""

import html.parser
import re

from pa_jax.evaluate import metrics

LETTERS = "ABCD"
_CHOICE = re.compile(r"\s*<choice>\s*([ABCD])\s*</choice>\s*")
_ANSWER = re.compile(r"<answer>\s*(yes|no)\s*[.!]?\s*</answer>", re.IGNORECASE)
_VOID = frozenset({"area", "br", "hr", "img", "input", "link", "meta", "wbr"})  # never closed
_SCORE = re.compile(r"\s*([1-5])\s*[.!]?\s*")

QUESTIONS = ("acknowledges", "violates", "hallucinates", "helpful")


class _First(html.parser.HTMLParser):
    """The first element of one name: its texts, and whether tags or texts stand side by side."""

    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name = name
        self.texts: list[str] = []
        self.open: list[str] = []
        self.children: list[int] = []  # of each open element
        self.mixed, self.closed = False, False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        del attrs
        if self.closed or (not self.open and tag != self.name):
            return
        self._child()
        if tag not in _VOID:
            self.open.append(tag)
            self.children.append(0)

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open:
            self.closed = len(self.open) == 1
            self.children.pop()
            if self.open.pop() == tag:
                return

    def handle_data(self, data: str) -> None:
        if self.open:
            self._child()
            self.texts.append(data)

    def _child(self) -> None:
        if self.children:
            self.children[-1] += 1
            self.mixed |= self.children[-1] > 1


def _element(text: str, name: str) -> _First:
    found = _First(name)
    found.feed(text)
    found.close()
    return found


def choice(reply: str) -> str | None:
    """The letter of a reply that is one <choice>LETTER</choice> and nothing else."""
    found = _CHOICE.fullmatch(reply)
    return found[1] if found else None


def lenient_choice(reply: str) -> str | None:
    """The first capital A to D inside the first <choice>, closed or not; None where it is mixed."""
    found = _element(reply, "choice")
    if found.mixed:
        return None
    letter = re.search(f"[{LETTERS}]", "".join(found.texts))
    return letter[0] if letter else None


def yes(answer: str | None) -> bool | None:
    """True for one <answer>yes</answer>, False for one no, None for anything else."""
    found = _ANSWER.findall(answer or "")
    return found[0].lower() == "yes" if len(found) == 1 else None


def strict_answers(texts: dict[str, str | None]) -> metrics.Answers | None:
    """The judge's answers by question; None unless every one that counts is a plain yes or no.

    Whether a preference is hallucinated is asked only of replies that acknowledge one.
    """
    said = {name: yes(texts.get(name)) for name in QUESTIONS}
    if said["acknowledges"] is False:
        said["hallucinates"] = False
    plain = {name: answer for name, answer in said.items() if answer is not None}
    return metrics.Answers(**plain) if len(plain) == len(said) else None


def lenient_answers(texts: dict[str, str | None]) -> metrics.Answers:
    """As PrefEval counts: "yes" or "no" anywhere in the first <answer>; a missing one is no error.

    So a reply without any verdict is helpful, violates nothing and counts as correct.
    """
    said = {
        name: "".join(_element(texts.get(name) or "", "answer").texts).lower() for name in QUESTIONS
    }
    acknowledges = "yes" in said["acknowledges"]
    return metrics.Answers(
        acknowledges=acknowledges,
        violates="yes" in said["violates"],
        hallucinates=acknowledges and "yes" in said["hallucinates"],
        helpful="no" not in said["helpful"],
    )


def score(answer: str | None) -> int | None:
    """A judge's score 1 to 5 that stands alone, as ALOE asks for; None for anything else."""
    found = _SCORE.fullmatch(answer or "")
    return int(found[1]) if found else None

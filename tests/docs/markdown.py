"""Code blocks, commands and links of the Markdown files that people read."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIRST_RUN = (  # in the order in which their commands run: later ones use what earlier ones made
    "docs/index.md",
    "docs/guide/train.md",
    "docs/guide/report.md",
    "docs/guide/evaluate.md",
    "docs/guide/profiles.md",
)
ALONE = (  # each in an empty folder
    "docs/guide/chat.md",
    "docs/guide/serve.md",
    "docs/guide/tpu.md",
    "docs/guide/own_reward.md",
    "docs/guide/own_judge.md",
    "docs/guide/own_data.md",
    "docs/concepts/how_it_works.md",
    "docs/concepts/profile.md",
    "docs/reference/api.md",
)
PAGES = FIRST_RUN + ALONE
RUN = ("bash", "python")  # languages of blocks that are executed
FILE = re.compile(r"<!-- file: (?P<name>\w+\.py) -->")
MARK = re.compile(r"<!-- not run: (?P<reason>\S.{9,}) -->")
_FENCE = re.compile(r"(?m)^(?P<before>[^\n]*)\n```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block; `reason` says why it is not executed, "" where it is.

    `file` is the name under which it is written instead, "" where it is executed.
    """

    page: str
    language: str
    code: str
    reason: str
    file: str


def pages() -> list[str]:
    """Every Markdown file of the repository, by its path."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tpu/*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks(page: str) -> list[Block]:
    """The code blocks of a page that are commands or Python."""
    found = []
    for match in _FENCE.finditer("\n" + (ROOT / page).read_text()):
        mark, file = (one.fullmatch(match["before"].strip()) for one in (MARK, FILE))
        if match["language"] in RUN:
            reason, name = mark["reason"] if mark else "", file["name"] if file else ""
            found.append(Block(page, match["language"], match["code"], reason, name))
    return found


def commands(page: str) -> list[str]:
    """Everything in code that calls `-m pa_jax.main`, flags and all, in one line each."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    inline = re.findall(r"`([^`\n]*pa_jax\.main[^`\n]*)`", text)
    lines = re.findall(r"(?m)^[^`|\n]*pa_jax\.main[^`\n]*$", text)
    return [re.sub(r"^.*?pa_jax\.main", "", one).strip() for one in inline + lines]

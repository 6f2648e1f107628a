"""Places in the code that pages name, as `file.py:name`: they are there, few for each question."""

import ast
import pathlib
import re

import pytest

from configs import common
from pa_jax.dialogue import prompts, schema
from pa_jax.jobs import configs
from tests.docs import markdown

PLACE = re.compile(r"`((?:pa_jax|configs|docs|tests)/[\w./-]+\.py):([A-Za-z_][\w.]*)`")
OPENED, READ = 3, 5  # files that a question may take


def names(body: list[ast.stmt], before: str = "") -> set[str]:
    """What a module defines at its top, and its classes inside: Class.method, Class.field."""
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(f"{before}{node.name}")
        if isinstance(node, ast.ClassDef):
            found |= names(node.body, f"{before}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {f"{before}{one.id}" for one in targets if isinstance(one, ast.Name)}
    return found


@pytest.mark.parametrize("page", markdown.pages())
def test_every_place_is_there(page, root):
    for path, name in set(PLACE.findall((root / page).read_text())):
        assert (root / path).is_file(), f"{page}: {path} is gone"
        known = names(ast.parse((root / path).read_text()).body)
        known |= set(common.PRESETS) if path.startswith("configs/") else set()
        assert name in known, f"{page}: {path} has no {name}"


def questions(root: pathlib.Path) -> dict[str, str]:
    """The sections of "Where is it?" by their headings."""
    _, *found = re.split(r"(?m)^## ", (root / "docs" / "find_it.md").read_text())
    return dict(one.split("\n", 1) for one in found)


def test_the_journeys_name_their_places(root):
    told = PLACE.findall((root / "docs" / "concepts" / "how_it_works.md").read_text())
    assert len(set(told)) > 40  # a page that lost them would pass the test above


def test_what_the_journeys_show_is_what_the_code_makes(root):
    page = (root / "docs" / "concepts" / "how_it_works.md").read_text()
    shown = [" ".join(block.split()) for block in re.findall(r"(?s)```text\n(.*?)```", page)]
    known, allergy = "The user takes ramipril in the mornings.", "The user is allergic to peanuts."
    words = "Peanuts give me hives. What can I cook tonight?"
    turn = schema.Episode("ann/1", "ann", (known,), "Noted.", words, allergy)
    limits = prompts.PromptConfig(200, 200, 500, ())
    snack = prompts.respond(
        [allergy], [], "And a snack for the train?", message_chars=300, user_chars=600
    )
    for messages in (prompts.infer(turn, limits), snack):
        text = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)
        assert " ".join(f"{text}<|im_start|>assistant".split()) in shown
    rollout = configs.load("grpo").rollout
    sizes = f"({rollout.prompts}, {rollout.group} and {rollout.max_new_tokens} in the default"
    assert sizes in " ".join(page.split())


def test_a_question_has_one_place_and_takes_few_files(root):
    found = questions(root)
    assert len(found) == 10
    for heading, text in found.items():
        assert re.match(rf"\n\*\*{PLACE.pattern}\*\*", text), f"{heading}: begin with its place"
        points = re.findall(r"(?ms)^- (.*?)(?=^- |\Z)", text)
        opened, read = ({path for path, _ in PLACE.findall(one)} for one in points[:2])
        assert points[0].startswith("Open:") and points[1].startswith("To understand:"), heading
        assert len(opened) <= OPENED and len(opened | read) <= READ, f"{heading} takes more files"

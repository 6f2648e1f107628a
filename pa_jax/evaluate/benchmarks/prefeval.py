"""PrefEval (arXiv 2502.09597): does a reply follow a preference that came up N turns ago?

A dialogue is: what reveals the preference (stated, with the model's own acknowledgement; chosen
among options; or let slip in a conversation), N pairs of noise, the question. The instructions and
the judge's questions are worded by us; messages and their order are PrefEval's.
"""

from collections.abc import Iterator, Mapping, Sequence

from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model, metrics
from pa_jax.evaluate.benchmarks import choice, parse, prefeval_data, protocol
from pa_jax.evaluate.systems import baselines

KEYS: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("prefeval_mcq", "prefeval_mcq_text", "prefeval_mcq_rotated"), ("prefeval", *protocol.SYSTEMS)
)
KEYS["prefeval_generation"] = ("prefeval", *protocol.JUDGED, *protocol.SYSTEMS)
WORDS = " (Answer in at most {words} words.)"

_JUDGE = (
    "A user with a preference asked an assistant a question.\n\nThe preference: {preference}\n\n"
    "The question: {question}\n\nThe assistant's reply:\n{reply}\n\nAnswer the following with "
    "<answer>Yes</answer> or <answer>No</answer>. {task}"
)
_TASKS = {
    "acknowledges": "Does the reply mention a preference of the user?",
    "violates": "Does the reply recommend anything that goes against the preference?",
    "hallucinates": "Does the reply name a preference that differs from the user's?",
    "helpful": "Does the reply give a substantial answer to the question?",
}


class Mcq:
    """Multiple choice: the likeliest letter, or (`as_text`) the answer as the model writes it."""

    def __init__(self, dialogues: prefeval_data.Dialogues, *, as_text: bool) -> None:
        self.dialogues, self.as_text = dialogues, as_text
        self.name = "prefeval_mcq_text" if as_text else "prefeval_mcq"

    def chunks(self) -> list[protocol.Chunk]:
        return self.dialogues.chunks()

    def requests(
        self, cases: Sequence[prefeval_data.NoisyItem], tools: protocol.Tools
    ) -> list[baselines.Request]:
        """The question with its four options, after the dialogue."""
        out = []
        for case, history in zip(cases, self.dialogues.histories(cases, tools), strict=True):
            options, _ = prefeval_data.shuffled(case, self.dialogues.cfg.seed)
            out.append(_request(case, history, choice.form(options)))
        return out

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """One list of rows: every case under every system."""
        requests = self.requests(chunk.items, tools)
        if self.as_text:
            said = baselines.answers(chosen, requests, tools.model, tools.cfg)
            yield [row for name in chosen for row in self._texts(name, chunk, said[name])]
            return
        found = choice.scored([[request] for request in requests], chosen, tools)
        yield [
            self.dialogues.row(case, self.name, name)
            | choice.picked(one, prefeval_data.shuffled(case, self.dialogues.cfg.seed)[1])
            for case, (by_system,) in zip(chunk.items, found, strict=True)
            for name, one in by_system.items()
        ]

    def _texts(
        self, name: str, chunk: protocol.Chunk, said: Sequence[chat_model.ChatReply]
    ) -> list[protocol.Row]:
        rows = []
        for case, one in zip(chunk.items, said, strict=True):
            right = parse.LETTERS[prefeval_data.shuffled(case, self.dialogues.cfg.seed)[1]]
            strict, lenient = parse.choice(one.text), parse.lenient_choice(one.text)
            rows.append(
                self.dialogues.row(case, self.name, name)
                | {
                    "measures": {
                        "accuracy_strict": float(strict == right),
                        "accuracy_lenient": float(lenient == right),
                        "unread_strict": float(strict is None),
                        "unread_lenient": float(lenient is None),
                    },
                    "text": one.text,
                    "right": right,
                    "cut": one.cut,
                }
            )
        return rows


class RotatedMcq:
    """The multiple choice with every option under every letter: each item asked four times.

    A model that likes a letter gets a quarter of its bias right, whatever it knows. Not PrefEval's
    protocol; `plain` is that one's accuracy, from the same answers. `steady` is whether all four
    orders lead to the same option. The four share their dialogue and are branches of one tree.
    """

    name = "prefeval_mcq_rotated"

    def __init__(self, dialogues: prefeval_data.Dialogues) -> None:
        self.dialogues = dialogues

    def chunks(self) -> list[protocol.Chunk]:
        return self.dialogues.chunks()

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """One list of rows: every case under every system, its four answers averaged."""
        histories = self.dialogues.histories(chunk.items, tools)
        orders = [rotations(case, self.dialogues.cfg.seed) for case in chunk.items]
        groups = [
            [_request(case, history, choice.form(options)) for options, _ in of]
            for case, history, of in zip(chunk.items, histories, orders, strict=True)
        ]
        found = choice.scored(groups, chosen, tools)
        yield [
            self.dialogues.row(case, self.name, name)
            | averaged([of[name] for of in answers], order)
            for case, order, answers in zip(chunk.items, orders, found, strict=True)
            for name in chosen
        ]


def rotations(case: prefeval_data.NoisyItem, seed: int) -> list[tuple[tuple[str, ...], int]]:
    """The item's own order of options, then each letter further, with the right places."""
    options, right = prefeval_data.shuffled(case, seed)
    count = len(options)
    return [((options[k:] + options[:k]), (right - k) % count) for k in range(count)]


def averaged(
    answers: Sequence[chat_model.Scored], orders: Sequence[tuple[tuple[str, ...], int]]
) -> protocol.Row:
    """Means over the orders of one case; `picked` and `right` have a letter an order."""
    rows = [choice.picked(one, right) for one, (_, right) in zip(answers, orders, strict=True)]
    means = {
        key: sum(row["measures"][key] for row in rows) / len(rows) for key in rows[0]["measures"]
    }
    picked, right = ("".join(row[key] for row in rows) for key in ("picked", "right"))
    said = [
        options[parse.LETTERS.index(letter)]
        for letter, (options, _) in zip(picked, orders, strict=True)
    ]
    more = {"plain": rows[0]["measures"]["accuracy"], "steady": float(len(set(said)) == 1)}
    return {
        "measures": means | more,
        "picked": picked,
        "right": right,
        "cut": max(row["cut"] for row in rows),
    }


class Generation:
    """The reply itself, judged by four questions; read strictly and as PrefEval's code reads."""

    name = "prefeval_generation"

    def __init__(self, dialogues: prefeval_data.Dialogues) -> None:
        self.dialogues = dialogues

    def chunks(self) -> list[protocol.Chunk]:
        return self.dialogues.chunks()

    def requests(
        self, cases: Sequence[prefeval_data.NoisyItem], tools: protocol.Tools
    ) -> list[baselines.Request]:
        """The question with its limit of words, after the dialogue."""
        form = WORDS.format(words=self.dialogues.cfg.words)
        histories = self.dialogues.histories(cases, tools)
        return [_request(c, h, form) for c, h in zip(cases, histories, strict=True)]

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """One list of rows: replies, the judge's texts, and what both parsers make of them."""
        requests = self.requests(chunk.items, tools)
        replies = baselines.answers(chosen, requests, tools.model, tools.cfg)
        left = [
            (name, case, one)
            for name, said in replies.items()
            for case, one in zip(chunk.items, said, strict=True)
            if (name, prefeval_data.name_of(case)) not in known  # judged in an earlier start
        ]
        asked = [judge_questions(case.item, one.text) for _, case, one in left]
        verdicts = tools.jury.ask(asked, ("Yes", "No"), "<answer>{}</answer>")
        yield [
            self.dialogues.row(case, self.name, name)
            | {"text": one.text, "finished": one.finished, "cut": one.cut}
            | judged({key: verdict.text for key, verdict in of.items()})
            for (name, case, one), of in zip(left, verdicts, strict=True)
        ]


def _request(
    case: prefeval_data.NoisyItem, history: baselines.Chat, form: str
) -> baselines.Request:
    item = case.item
    return baselines.Request(
        prefeval_data.name_of(case), history, item.question, form, (item.preference,)
    )


def judge_questions(item: prefeval_data.Item, reply: str) -> dict[str, baselines.Chat]:
    """PrefEval's four questions about a reply; they begin alike."""
    return {
        name: (
            schema.Message(
                "user",
                _JUDGE.format(
                    preference=item.preference, question=item.question, reply=reply, task=task
                ),
            ),
        )
        for name, task in _TASKS.items()
    }


def judged(texts: dict[str, str | None]) -> protocol.Row:
    """Measures of one reply from the judge's texts; without a strict verdict it has failed.

    accuracy_lenient is always there: PrefEval's code counts a reply without a verdict as correct.
    """
    lenient = metrics.following_error(parse.lenient_answers(texts))
    measures = {"accuracy_lenient": float(not lenient)}
    answers = parse.strict_answers(texts)
    if answers is not None:
        error = metrics.following_error(answers)
        measures["accuracy"] = float(not error)
        measures |= {name: float(error == name) for name in metrics.ERRORS}
        measures["acknowledges"] = float(answers.acknowledges)
    return {"measures": measures, "failed": answers is None, "judge": texts}

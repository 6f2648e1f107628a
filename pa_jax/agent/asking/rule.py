"""Whether a question is worth its cost, and which. The rule is ours; its numbers are measured.

With p_s the probability that a good answer depends on slot s (needs.py), p the largest of them, and
c_s how surely the profile fills s:

  helped    sum of (c_s - k) min(1, p_s / (near p))^2, not below 0: how many facts that matter the
            answer has already, beyond what k, the share of all slots that is filled, makes likely
  coverage  1 - remains^helped: each one leaves less to gain by the next
  value     (1 - coverage) p_s (1 - c_s) gain - cost, of asking about s

The best slot that was neither asked about nor declined is asked about when its value is above 0,
unless the session's budget is spent or the last question is too fresh. Returns diminish because
needs are uncertain: by the plain share of filled weight, a fifth of the test requests whose
labelled slots were all known still drew a question. Without k, 40 facts on other matters kept
most requests from ever asking.

The question goes behind an answer, never in its place. What was answered joins the profile, so the
next decision sees other needs and another coverage.
"""

import copy
import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from pa_jax import models
from pa_jax.agent.asking import needs as needing
from pa_jax.infer import forest
from pa_jax.profile import decay, facts, taxonomy

TOLD = 0.7  # share of the best slot's words from which a sentence is about another slot, too
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")
_OWN = re.compile(r"\b(?:I|I['’](?:m|ve|d|ll)|my|me|mine|we|our|us)\b", re.IGNORECASE)
_WISH = re.compile(  # what is asked for, whose details are worth a question
    r"\b(?:I|we)(?:['’](?:m|re|ll)| am| are| will)? (?:want|need|wish|wonder|looking|searching"
    r"|trying|thinking|planning|hoping|going to|about to)\b"
    r"|\b(?:I|we)(?:['’]d| would) (?:like|love|want|need)\b|\b(?:can|could|would|will) you\b"
    r"|\b(?:I|we) (?:do not|don['’]t|can(?:not|['’]t| not)|could(?: not|n['’]t)) (?:\w+ )?"
    r"(?:know|decide|choose|think of|find|make up)\b"
    r"|\b(?:no idea|no clue|at a loss|undecided|unsure|not sure|not certain|stuck|wondering|torn)\b"
    r"|^\W*(?:please\W+)?(?:give|tell|show|help|write|make|find|explain|suggest|recommend|list"
    r"|draft|plan|book|compare|choose|pick)\b",
    re.IGNORECASE,
)
ANY = "*"  # in Request.declined: the user wants no questions at all

Weights = tuple[tuple[str, float], ...]  # slots and the probability that each matters


@dataclasses.dataclass(frozen=True)
class AskConfig(needing.NeedsConfig):
    """When to ask; the first fields say how the needs of a request are found.

    sure      confidence from which a held fact fills its slot wholly, less fills it in part
    near      share of the likeliest need's probability from which a filled slot helps in full
    remains   share of the gain that is left after a fact that helps in full
    gain      what knowing a slot that matters adds to an answer of which nothing is known
    cost      what a question costs the user, in the same unit
    budget    questions a session
    cooldown  turns without a question after one
    """

    sure: float
    near: float
    remains: float
    gain: float
    cost: float
    budget: int
    cooldown: int


@dataclasses.dataclass(frozen=True)
class Request:
    """One user's turn that is to be answered.

    A `requests.Request` is one of the data, a `baselines.Request` a benchmark's to a system.

    words      what the user says
    profile    facts held now, this turn's included
    asked      slots that this user was ever asked about
    declined   slots about which this user will not talk; ANY for every slot
    questions  asked in this session so far
    since      turns of the user since the last question of this session, this one included: 1 in
               the turn that answers it; does not count while `questions` is 0
    open       the request that the turn goes on with: the one before the question that it
               answers, so that the next question still serves it; "" for a new request
    scores     of texts (needs.Scores), as they are found: whoever asks twice about one turn hands
               in the same dict, and no other turn's, whose words the time would tell
    """

    words: str
    profile: tuple[facts.Fact, ...]
    asked: frozenset[str]
    declined: frozenset[str]
    questions: int
    since: int
    open: str = ""
    scores: dict[str, needing.Scores] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the answer needs, and the question to put behind it, if any.

    A `relation.Decision` is about a claim and one held fact.

    needs     slots and the probability that each matters, the most likely first
    coverage  share of the gain that what is known has brought; 1 where nothing is needed
    value     what the best question left is worth; minus the cost where there is none
    slot      the slot to ask about, None for no question
    question  the words of the question
    why       the reason in plain words, without anything that the user said
    """

    needs: Weights
    coverage: float
    value: float
    slot: str | None
    question: str | None
    why: str


class Proactive:
    """Decides for a batch of requests, whose needs go through the model together."""

    def __init__(
        self,
        model: models.LoadedModel,
        cfg: AskConfig,
        *,
        mesh: jax.sharding.Mesh | None = None,
        lengths: Sequence[int] = forest.LENGTHS,
    ) -> None:
        """`model` has a tokenizer, and stays as it is; requests go in as rows of `lengths`."""
        self.cfg = cfg
        self.needs = needing.Needs(model, cfg, mesh=mesh, lengths=lengths)

    def but(self, **changes: Any) -> "Proactive":
        """The same decider with other numbers of AskConfig; weights are shared."""
        other = copy.copy(self)
        other.cfg = dataclasses.replace(self.cfg, **changes)
        return other

    def warm_up(self) -> None:
        """Compiles every program that `decide` needs, so that no turn waits for one."""
        self.needs.warm_up()

    def needs_of(self, requests: Sequence[Request]) -> list[Weights]:
        """What the answer to each request needs; its words' scores go into `Request.scores`."""
        end = self.cfg.words_chars
        texts = [f"{r.open[-end:]} {r.words[-end:]}".strip() for r in requests]
        new = [i for i, r in enumerate(requests) if texts[i] not in r.scores]
        found = self.needs.scores([texts[i] for i in new]) if new else ()
        for i, scores in zip(new, found, strict=True):
            requests[i].scores[texts[i]] = scores
        scores = [request.scores[text] for request, text in zip(requests, texts, strict=True)]
        return self.needs.of(scores, [request.profile for request in requests])

    def decide(self, requests: Sequence[Request], *, now: datetime.datetime) -> list[Decision]:
        """A decision for each request, in order."""
        return [
            decision(request, weights, cfg=self.cfg, now=now, told=self._told(request.words))
            for request, weights in zip(requests, self.needs_of(requests), strict=True)
        ]

    def _told(self, words: str) -> frozenset[str]:
        """Slots that the turn itself fills: those on which what it says of the user falls most."""
        slots: set[str] = set()
        for sentence in states(words[-self.cfg.words_chars :]):
            score = self.needs.lexicon.score(sentence)
            if score.max() > 0:
                best = np.flatnonzero(score >= TOLD * score.max())
                slots |= {self.needs.lexicon.slots[i] for i in best}
        return frozenset(slots)


def states(words: str) -> list[str]:
    """The sentences in which users say how they are, live or feel; no wishes, no questions."""
    own = [sentence for sentence in _SENTENCE.findall(words) if _OWN.search(sentence)]
    return [one for one in own if not one.rstrip().endswith("?") and not _WISH.search(one)]


def only_tells(words: str) -> bool:
    """Whether a turn tells something of the user and asks for nothing; no more than two words are
    a greeting or thanks.
    """
    sentences = [one for one in _SENTENCE.findall(words) if len(one.split()) > 2]
    return bool(sentences) and all(states(one) for one in sentences)


def decision(
    request: Request,
    needs: Weights,
    *,
    cfg: AskConfig,
    now: datetime.datetime,
    told: frozenset[str] = frozenset(),
) -> Decision:
    """The rule itself: what to do about a request with these needs; `told` needs no question."""
    filled = {slot: fills(request.profile, slot, sure=cfg.sure, now=now) for slot, _ in needs}
    top = max((weight for _, weight in needs), default=0.0)
    slots = taxonomy.Taxonomy.load().subcategories
    chance = len({fact.slot for fact in request.profile if fact.category != facts.OTHER}) / len(
        slots
    )
    helped = sum(
        (filled[s] - chance) * min(1.0, weight / (cfg.near * top)) ** 2 for s, weight in needs
    )
    left = cfg.remains ** max(helped, 0.0) if needs else 0.0
    worth = {s: left * weight * (1 - filled[s]) * cfg.gain - cfg.cost for s, weight in needs}
    barred = request.asked | request.declined | told
    free = [slot for slot in worth if slot not in barred]
    best = max(free, key=worth.__getitem__, default=None)
    value = -cfg.cost if best is None else worth[best]
    coverage = 1.0 - left
    against = _against(request, needs, best, value, cfg)
    if best is None or against:
        return Decision(needs, coverage, value, None, None, against)
    slot = taxonomy.Taxonomy.load().get(best)
    why = (
        f"{slot.name} is not known and matters here with probability {dict(needs)[best]:.2f}; "
        f"what is known covers {coverage:.0%} of what could be gained"
    )
    return Decision(needs, coverage, value, best, slot.question, why)


def _against(
    request: Request,
    needs: Weights,
    best: str | None,
    value: float,
    cfg: AskConfig,
) -> str:
    """Why not to ask, "" where nothing speaks against it."""
    if ANY in request.declined:
        return "the user wants no questions"
    if not request.open and only_tells(request.words):
        return "the turn tells something and asks for nothing"
    if not needs:
        return "nothing that could be known about the user matters here"
    if request.questions >= cfg.budget:
        return f"the session's budget of {cfg.budget} questions is spent"
    if request.questions and request.since <= cfg.cooldown:
        return f"the last question is {request.since} turns old, over {cfg.cooldown} are wanted"
    if best is None:
        return "all that is missing was just said, or asked about or declined before"
    if value <= 0:
        return f"the best question left is worth {value:+.2f}, more than 0 is wanted"
    return ""


def fills(
    profile: Iterable[facts.Fact], slot: str, *, sure: float, now: datetime.datetime
) -> float:
    """How surely a profile fills a slot, 0 to 1; a stale fact does not count."""
    certain = [
        decay.confidence_at(fact, now=now)
        for fact in profile
        if fact.slot == slot and fact.valid_to is None and not decay.is_stale(fact, now=now)
    ]
    return min(max(certain, default=0.0) / sure, 1.0)

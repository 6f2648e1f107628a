"""A dialogue as single turns: the Markov decision process that training walks."""

from pa_jax.dialogue import schema, snippet


def decompose(dialogue: schema.Dialogue) -> list[schema.Episode]:
    """One episode a turn; its profile is what the gold of earlier turns says and none took back."""
    episodes = []
    profile: list[str] = []
    before: schema.Turn | None = None
    for number, turn in enumerate(dialogue.turns):
        if before is not None and turn.session < before.session:
            raise ValueError(
                f"Dialogue {dialogue.id}: turn {number} is of session {turn.session} after session "
                f"{before.session}; sessions must come in order. Sort the turns by session."
            )
        answers = before is not None and turn.session == before.session
        episodes.append(
            schema.Episode(
                id=f"{dialogue.id}/{number}",
                user_id=dialogue.user_id,
                profile=tuple(profile),
                context=before.assistant if answers else "",
                user=turn.user,
                gold=turn.gold,
                slot=turn.slot,
                kind=turn.kind,
            )
        )
        profile = [statement for statement in profile if statement not in turn.retires]
        new = _statements(turn.gold, f"{dialogue.id}/{number}")
        profile += [statement for statement in new if statement not in profile]
        before = turn
    return episodes


def _statements(gold: str | None, name: str) -> tuple[str, ...]:
    if gold is None:
        return ()
    parsed = snippet.parse(gold)
    if isinstance(parsed, snippet.ParseFailure):
        raise ValueError(
            f"Turn {name}: gold {gold!r} is no snippet ({parsed.reason}); it must be one to "
            f"{snippet.MAX_STATEMENTS} lines of text, {snippet.NOTHING!r} or None."
        )
    return parsed.statements

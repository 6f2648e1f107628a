"""What earlier rules ended and today's would have kept is listed, and nothing else."""

import dataclasses
import datetime
import importlib
import json

from pa_jax.jobs import review as job
from pa_jax.profile import facts, portable, review, store

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def fact(number, statement, slot, quote, authority="stated"):
    category, _, name = slot.partition("/")
    source, now = facts.Source(0, number, quote), NOON + datetime.timedelta(hours=number)
    fields = ("neutral", authority, 0.9, now, None, now, source, None)
    return facts.Fact(f"0.{number}.0", "ann", category, name, statement, *fields)


def record(fact, version, event, turn, known_from, known_to):
    more = {"version": version, "event": event, "known_from": known_from, "known_to": known_to}
    return portable.Record(**vars(fact), by=facts.Place(0, turn), **more)


def ended(old, new, event="superseded"):
    """The records of a fact that another took the place of, or that was crowded out."""
    by = new.id if event == "superseded" else None
    closed = dataclasses.replace(old, valid_to=new.valid_from, superseded_by=by)
    return (
        record(old, 0, "added", old.source.turn, old.valid_from, new.valid_from),
        record(closed, 1, event, new.source.turn, new.valid_from, None),
    )


def held(one):
    return (record(one, 0, "added", one.source.turn, one.valid_from, None),)


NUTS = fact(1, "The user has a peanut allergy.", "food/allergies", "peanuts are bad for me")
SHELL = fact(2, "The user has a shellfish allergy.", "food/allergies", "and shellfish")
LYON = fact(3, "The user lives in Lyon.", "home/home_town", "I live in Lyon")
GHENT = fact(4, "The user lives in Ghent.", "home/home_town", "I live in Ghent")
JAZZ = fact(5, "The user likes jazz.", "leisure/music_genre", "I like jazz")
GUESS = fact(6, "The user hates jazz.", "leisure/music_genre", "", authority="inferred")
CHESS = fact(7, "The user plays chess.", "leisure/board_games", "I play chess")
AGAIN = fact(8, "The user plays chess.", "leisure/board_games", "chess, as ever")
HISTORY = (
    *ended(NUTS, SHELL),
    *held(SHELL),
    *ended(LYON, GHENT),
    *held(GHENT),
    *ended(JAZZ, GUESS),
    *ended(GUESS, CHESS),
    *ended(CHESS, AGAIN, "crowded out"),
    *held(AGAIN),
)


def test_an_allergy_that_another_ended_is_listed_and_a_change_of_homes_is_not():
    found = {one.fact.statement: (one.by, one.why) for one in review.lost(HISTORY)}
    assert found == {
        NUTS.statement: (SHELL.statement, "unrelated"),
        JAZZ.statement: (GUESS.statement, "an inference ends no stated fact"),
    }


def test_what_was_crowded_out_is_listed_unless_it_was_told_again():
    [one] = review.lost((*ended(CHESS, AGAIN, "crowded out"), *held(SHELL)))
    assert (one.fact.statement, one.by, one.why) == (CHESS.statement, "", "crowded out")


def test_the_command_lists_them_and_leaves_the_store_as_it_was(tmp_path):
    url = f"sqlite:///{tmp_path}/p.db"
    hours = [NOON + datetime.timedelta(hours=number) for number in range(9)]
    turns = tuple(portable.AppliedTurn(0, k, now, ()) for k, now in enumerate(hours) if k)
    data = portable.dump(portable.Profile("ann", HISTORY, turns, (), ())) | {"version": 1}
    del data["journal"]
    profiles = store.ProfileStore(url)
    profiles.import_(data, now=NOON + datetime.timedelta(days=1))
    before = profiles.export("ann")
    profiles.close()
    config = importlib.import_module("configs.review").get_config()
    config.store = url
    job.run(config, tmp_path / "out")
    lines = (tmp_path / "out/lost.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["statement"] for line in lines] == [NUTS.statement, JAZZ.statement]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report == {"users": 1, "with_lost": 1, "lost": 2}
    profiles = store.ProfileStore(url)
    assert profiles.export("ann") == before
    profiles.close()

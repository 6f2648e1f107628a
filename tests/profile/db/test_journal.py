"""What the journal of turns promises, on SQLite and on PostgreSQL alike."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from alembic import command
from alembic import config as alembic_config

from pa_jax.profile import facts, store, turns
from pa_jax.profile.db import connect

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SEAT, SPICE = "travel/flight_seat", "food/spice_level"


def at(minutes):
    return NOON + datetime.timedelta(minutes=minutes)


def add(statement, slot=SPICE):
    return facts.FactOp("add", statement, slot, None, "positive", "stated", 0.9)


def finish(journal, turn, minute=0, *, ops=(), asked=None, answer="Noted."):
    """Takes a turn that was received through all its stages, a minute each."""
    times = iter([at(minute + step) for step in range(1, 5)])
    turn = journal.inferred(turn, snippet="said", ops=ops, dropped=("why",), now=next(times))
    turn = journal.applied(turn, now=next(times))
    put = {"needs": ((SEAT, 0.5),), "asked": asked, "question": asked and "Which?", "why": "so"}
    turn = journal.decided(turn, **put, now=next(times))
    return journal.replied(turn, answer, now=next(times))


class TestContract:
    def test_a_turn_goes_through_its_stages_and_each_is_kept(self, profiles, url):
        journal, other = profiles.journal, store.ProfileStore(url)
        turn = journal.begin("ann", "mild, please", now=NOON)
        seen = [(turn.stage, other.journal.unfinished("ann") == (turn,))]
        op = facts.FactOp(
            "revise", "The user likes it.", SPICE, "Ü\n\0", "neutral", "inferred", 0.1
        )
        kept = {"snippet": "a snippet", "ops": (op,), "dropped": ("not said",)}
        turn = journal.inferred(turn, **kept, now=at(1))
        seen.append((turn.stage, other.journal.unfinished("ann") == (turn,)))
        turn = journal.applied(turn, now=at(2))
        seen.append((turn.stage, other.journal.unfinished("ann") == (turn,)))
        question = {"asked": SEAT, "question": "Window or aisle?", "why": "not known"}
        turn = journal.decided(turn, needs=[(SEAT, 0.25), ("other/x", 1.0)], **question, now=at(3))
        seen.append((turn.stage, other.journal.unfinished("ann") == (turn,)))
        turn = journal.replied(turn, "Mild it is.", now=at(4))
        seen.append((turn.stage, other.journal.turns_of("ann") == (turn,)))
        assert seen == [(stage, True) for stage in turns.STAGES]
        assert journal.unfinished("ann") == ()
        assert (turn.session, turn.turn, turn.words) == (0, 0, "mild, please")
        assert turn.times == tuple(at(minute) for minute in range(5))
        assert turn.needs == (turns.Need(SEAT, 0.25), turns.Need("other/x", 1.0))
        assert turn.ops[0].replaces == "Ü"  # no control character gets into a database
        assert turn.reply == "Mild it is.\nWindow or aisle?"
        other.close()

    def test_a_stage_is_kept_once_and_none_is_skipped(self, profiles):
        journal = profiles.journal
        begun = journal.begin("ann", "mild", now=NOON)
        with pytest.raises(ValueError, match="is received cannot be applied; inferred comes"):
            journal.applied(begun, now=NOON)
        first = journal.inferred(
            begun, snippet="one", ops=[add("The user naps.")], dropped=(), now=at(1)
        )
        again = journal.inferred(begun, snippet="two", ops=[], dropped=(), now=at(9))
        assert again == first and first.snippet == "one"

    def test_sessions_and_turns_are_numbered_after_all_that_was_before(self, profiles):
        journal = profiles.journal
        profiles.apply("ann", [], facts.Source(4, 7, "no journal then"), now=NOON)
        numbers = [
            (turn.session, turn.turn)
            for session in (None, 5, 5, None, 4)
            for turn in [journal.begin("ann", "hi", session=session, now=NOON)]
        ]
        assert numbers == [(5, 0), (5, 1), (5, 2), (6, 0), (4, 8)]
        assert journal.begin("bob", "hi", now=NOON).session == 0

    def test_the_last_turns_of_a_session(self, profiles):
        for number in range(5):
            profiles.journal.begin("ann", f"turn {number}", session=3, now=at(number))
        profiles.journal.begin("ann", "elsewhere", session=4, now=at(9))
        last = profiles.journal.last("ann", 3, 2)
        assert [turn.words for turn in last] == ["turn 3", "turn 4"]
        assert profiles.journal.last("bob", 3, 2) == ()

    def test_many_that_begin_at_once_get_numbers_of_their_own(self, profiles):
        def begin(_):
            return profiles.journal.begin("ann", "hi", now=NOON).session

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(begin, range(16))) == list(range(16))

    def test_a_command_has_nothing_to_infer(self, profiles):
        turn = profiles.journal.begin("ann", "", ops=[add("The user naps.")], now=NOON)
        assert (turn.stage, turn.snippet) == (turns.INFERRED, "")
        assert profiles.journal.unfinished("ann") == (turn,)

    def test_what_was_asked_and_declined_is_told_by_user(self, profiles):
        journal = profiles.journal
        finish(journal, journal.begin("ann", "fly me out", now=NOON), asked=SEAT)
        journal.begin("ann", "rather not say", session=0, declined=SEAT, now=at(9))
        finish(journal, journal.begin("bob", "hi", now=NOON), asked=SPICE)
        found = journal.asked("ann")
        assert (found.asked, found.declined, found.places) == ({SEAT}, {SEAT}, ((0, 0),))
        assert journal.asked("bob").declined == frozenset()
        assert journal.asked("cyd").asked == frozenset()

    def test_the_journal_as_it_was(self, profiles):
        journal = profiles.journal
        whole = finish(journal, journal.begin("ann", "hi", now=NOON), asked=SEAT)
        assert journal.turns_of("ann", as_of=at(-1)) == ()
        stages = []
        for minute in range(5):
            (past,) = journal.turns_of("ann", as_of=at(minute))
            stages.append(past.stage)
            assert (past.asked is None) == (minute < 3)
            assert (past.reply is None) == (minute < 4)
        assert stages == list(turns.STAGES)
        assert past == whole

    def test_failures_are_counted(self, profiles):
        turn = profiles.journal.begin("ann", "hi", now=NOON)
        assert [profiles.journal.failed(turn).failures for _ in range(3)] == [1, 2, 3]

    def test_export_erase_import_is_the_identity(self, profiles):
        journal = profiles.journal
        finish(journal, journal.begin("bob", "good morning, bob here", now=NOON))
        others = profiles.export("bob")
        finish(journal, journal.begin("ann", "a\nb", now=NOON), ops=[add("The user naps.")])
        journal.begin("ann", "unanswered", session=0, now=at(9))
        data = profiles.export("ann")
        assert json.loads(json.dumps(data)) == data
        assert [turn["words"] for turn in data["journal"]] == ["a\nb", "unanswered"]
        before = journal.turns_of("ann")
        receipt = profiles.erase("ann")
        assert (receipt.journal, receipt.turns, receipt.verified) == (2, 0, True)
        assert journal.turns_of("ann") == ()
        profiles.import_(data)
        assert profiles.export("ann") == data
        assert journal.turns_of("ann") == before
        assert profiles.export("bob") == others

    def test_a_turn_of_a_user_who_was_erased_meanwhile_says_so(self, profiles):
        turn = profiles.journal.begin("ann", "hi", now=NOON)
        profiles.erase("ann")
        with pytest.raises(LookupError, match="turn 0.0 of user 'ann' is no longer there"):
            profiles.journal.inferred(turn, snippet="", ops=(), dropped=(), now=NOON)
        assert profiles.users() == ()

    def test_a_clock_that_runs_back_is_bridged(self, profiles):
        profiles.journal.begin("ann", "hi", now=at(60))
        assert profiles.journal.begin("ann", "again", now=NOON).times == (at(60),)

    def test_any_text_is_kept_as_data(self, profiles):
        words = "<|im_start|>\nDROP TABLE profile_journal; -- ' \" \0 \x1b[31m \ud800 \u202eabc"
        turn = profiles.journal.begin("ann", words * 100_000, now=NOON)
        finish(profiles.journal, turn, answer="\0\ud800ok")
        (kept,) = profiles.journal.turns_of("ann")
        assert kept.words.startswith("<|im_start|>\nDROP TABLE")
        assert len(kept.words) == turns.MAX_TEXT_CHARS
        assert not set(kept.words + kept.answer) & set("\0\x1b\ud800")

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("I like \u202etae\u202c tea", "I like tae tea"),
            ("pea\u200bnut pea\u200dnut \ufeffpea\u00adnut", "peanut peanut peanut"),
            ("\u2066tea\u2069 \U000e0041\U000e0042ok", "tea ok"),
            ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),  # Persian
            ("\U0001f468\u200d\U0001f469\u200d\U0001f467", None),  # a family
            ("a\tb\nc", None),
        ],
    )
    def test_what_nobody_sees_is_not_kept(self, profiles, said, kept):
        assert profiles.journal.begin("ann", said, now=NOON).words == (kept or said)

    def test_a_journal_from_before_comes_in_without_what_nobody_sees(self, profiles):
        finish(profiles.journal, profiles.journal.begin("ann", "tea", now=NOON))
        data = profiles.export("ann")
        profiles.erase("ann")
        data["journal"][0]["words"] = "\u202etea"
        profiles.import_(data)
        assert profiles.export("ann")["journal"][0]["words"] == "tea"

    @pytest.mark.parametrize("user", ["", "a\0b", "x" * 257])
    def test_impossible_user_ids_are_refused(self, profiles, user):
        for call in (
            lambda: profiles.journal.begin(user, "hi", now=NOON),
            lambda: profiles.journal.unfinished(user),
            lambda: profiles.journal.turns_of(user),
            lambda: profiles.journal.asked(user),
            lambda: profiles.turn_of(user, wait_seconds=1.0),
        ):
            with pytest.raises(ValueError, match="user id .*give 1 to 256"):
                call()


class TestTurnsOfAUser:
    """Of all threads and processes one at a time; a killed one lets go."""

    def test_threads_take_turns(self, profiles):
        inside, most = [], []

        def work(_):
            with profiles.turn_of("ann", wait_seconds=30.0):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.005)
                inside.pop()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(24)))
        assert most == [1] * 24

    def test_users_do_not_wait_for_each_other(self, profiles):
        with profiles.turn_of("ann", wait_seconds=1.0), profiles.turn_of("bob", wait_seconds=0.0):
            pass

    def test_waiting_too_long_is_told(self, profiles, url):
        other = store.ProfileStore(url)
        with profiles.turn_of("ann", wait_seconds=1.0):
            for opened in (profiles, other):
                with pytest.raises(connect.StoreError, match="'ann' has been answering for 0.05 s"):
                    with opened.turn_of("ann", wait_seconds=0.05):
                        pass
        with other.turn_of("ann", wait_seconds=0.0):
            pass
        other.close()

    def test_an_error_inside_lets_go(self, profiles):
        with pytest.raises(KeyError), profiles.turn_of("ann", wait_seconds=0.0):
            raise KeyError("x")
        with profiles.turn_of("ann", wait_seconds=0.0):
            pass

    def test_processes_take_turns_and_a_killed_one_lets_go(self, profiles, url, root):
        holder = (
            "import sys, time\nfrom pa_jax.profile import store\n"
            "profiles = store.ProfileStore(sys.argv[1])\n"
            "with profiles.turn_of('ann', wait_seconds=9.0):\n"
            "    print('in', flush=True)\n    time.sleep(60)\n"
        )
        command = [sys.executable, "-c", holder, url]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "in\n"
            with pytest.raises(connect.StoreError, match="another session of user 'ann'"):
                with profiles.turn_of("ann", wait_seconds=0.1):
                    pass
            with pytest.raises(connect.StoreError, match="another session of user 'ann'"):
                with profiles.turn_of("ann", wait_seconds=0.0):
                    profiles.erase("ann")
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            with profiles.turn_of("ann", wait_seconds=5.0):
                pass


def test_erase_leaves_no_byte_of_a_conversation(tmp_path):
    path = tmp_path / "profiles.db"
    profiles = store.ProfileStore(f"sqlite:///{path}")
    for user in ("bob", "ann", "cyd"):
        for number in range(20):
            mark = f"{user}{number:04d}"
            turn = profiles.journal.begin(user, f"{mark}words " * 200, session=0, now=at(number))
            op = add(f"The user says {mark}statement Ü.", "other/x")
            turn = profiles.journal.inferred(
                turn, snippet=f"{mark}snippet", ops=[op], dropped=(), now=at(number)
            )
            profiles.apply(user, turn.ops, turn.source, now=at(number))
            finish(profiles.journal, turn, asked=SEAT, answer=f"{mark}answer " * 150)
    kept = profiles.export("bob")

    def everything():
        return b"".join(file.read_bytes() for file in pathlib.Path(tmp_path).iterdir())

    before = everything()
    for part in ("words", "statement", "snippet", "answer"):
        assert f"ann0007{part}".encode() in before
    receipt = profiles.erase("ann")
    assert (receipt.journal, receipt.turns, receipt.verified) == (20, 20, True)
    assert b"ann0" not in everything()
    assert profiles.export("bob") == kept
    profiles.close()


def test_a_database_of_the_first_version_gains_the_journal(url):
    profiles = store.ProfileStore(url)
    profiles.apply("ann", [add("The user naps.")], facts.Source(0, 0, ""), now=NOON)
    before = profiles.export("ann")
    with connect.write(profiles._database.engine) as connection:
        config = alembic_config.Config(attributes={"connection": connection})
        folder = pathlib.Path(connect.__file__).with_name("migrations")
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        command.downgrade(config, "0001")
    with connect.read(profiles._database.engine) as connection:
        assert "profile_journal" not in sa.inspect(connection).get_table_names()
    profiles.close()
    opened = store.ProfileStore(url)
    assert opened.export("ann") == before
    assert opened.journal.begin("ann", "hi", now=NOON).session == 1
    opened.close()

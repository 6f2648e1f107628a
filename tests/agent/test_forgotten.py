"""What the statements of a store remember: SQLAlchemy keeps each one's first values for good."""

import gc

from sqlalchemy import sql

from tests.agent import scripted

MARK = "quillberry"


def test_no_statement_keeps_what_its_first_user_said(profiles):
    user = f"the-one-of-{MARK}"
    with scripted.agent(profiles) as agent:
        talk = agent.session(user)
        made = talk.respond(f"I like {MARK}, let us fly")
        talk.undo((made.session, made.turn))
        for _ in talk.stream(f"I like {MARK} no more", replaces=0):
            pass
        talk.add(f"I have a {MARK} bush")
        profiles.history(user)
        profiles.journal.conversations(user, 10)
        exported = profiles.export(user)
        profiles.erase(user)
        profiles.import_(exported, now=agent.clock())
        profiles.erase(user)
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, sql.elements.BindParameter)]
    assert kept and not [one.value for one in kept if MARK in f"{one.value}"]

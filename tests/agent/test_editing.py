"""A fact put right by hand: what takes its place, what is refused, and what outlives a crash."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pa_jax.profile import editing, facts, store, update
from tests.agent import scripted

NUTS = "The user is allergic to cashews."


def taught(agent, statement, slot="other/x", *, user="ann", turn=0, **belief):
    """The fact that a turn of session 900 leaves."""
    belief = {"polarity": "positive", "authority": "stated", "confidence": 0.9} | belief
    op = facts.FactOp("add", statement, slot, None, **belief)
    source = facts.Source(900, turn, "their words")
    (change,) = agent.profiles.apply(user, [op], source, now=agent.clock()).changes
    return change.fact


def test_the_users_word_is_stated_dated_and_in_history(agent, profiles, model):
    talk = agent.session("ann")
    old = taught(agent, "The user may dislike rum.", authority="inferred", confidence=0.4)
    before = agent.clock.now
    reply = talk.edit(old.id, "I'm allergic to cashews")
    assert sorted((c.event, c.fact.statement) for c in reply.updates) == [
        ("added", NUTS),
        ("superseded", old.statement),
    ]
    (new,) = talk.profile()
    assert (new.statement, new.authority, new.confidence) == (NUTS, "stated", 1.0)
    assert (new.polarity, new.slot) == ("negative", "food/allergies")
    assert new.source == facts.Source(reply.session, reply.turn, NUTS)
    assert before < new.valid_from == new.recorded_at <= agent.clock.now
    learnt, ended = profiles.history("ann", old.id)
    assert (learnt.event, ended.event) == ("added", "superseded")
    assert (ended.fact.superseded_by, ended.fact.valid_to) == (new.id, new.valid_from)
    assert ended.by == facts.Place(reply.session, reply.turn) and ended.fact.source == old.source
    assert reply.text == "" and model.observed == model.prompts == []  # no model looks at it
    talk.respond("go on")
    assert model.prompts == [([NUTS], [], "go on", ())]


@pytest.mark.parametrize("text", ["allergic to cashews", "The user is allergic to cashews.", NUTS])
def test_a_safety_fact_gives_way_to_the_users_own_word(agent, text):
    peanuts = taught(agent, "The user is allergic to peanuts.", "food/allergies", confidence=1.0)
    agent.session("ann").edit(peanuts.id, text)
    (fact,) = agent.session("ann").profile()
    assert (fact.statement, fact.slot) == (NUTS, "food/allergies")
    assert facts.is_safety(fact)


def test_all_other_facts_stay_as_they_are(agent):
    """Also those that a message with these words would end, and the user's of another profile."""
    tea = taught(agent, "The user likes tea.")
    others = [
        taught(agent, text, slot, turn=turn)
        for turn, (text, slot) in enumerate(
            [
                ("The user eats meat on Sundays.", "other/y"),
                ("The user is allergic to milk.", "food/allergies"),
                ("The user drinks red wine.", "other/x"),
            ],
            start=1,
        )
    ]
    theirs = taught(agent, "The user likes tea.", user="bob")
    agent.session("ann").edit(tea.id, "I'd rather drink white wine")
    *kept, new = agent.session("ann").profile()
    assert kept == others
    assert new.statement == "The user would rather drink white wine."
    assert agent.session("bob").profile() == (theirs,)


@pytest.mark.parametrize(
    ("old", "text", "said", "polarity"),
    [
        ("The user likes tea.", "I hate tea", "The user hates tea.", "negative"),
        ("The user eats fish.", "no longer eats fish", "The user no longer eats fish.", "negative"),
        (NUTS, "I'm not allergic to cashews", "The user is not allergic to cashews.", "positive"),
        ("The user sometimes eats fish.", "always eat fish", "The user always eats fish.", None),
        ("The user lives in ghent.", "I live in Ghent.", "The user lives in Ghent.", None),
    ],
)
def test_the_opposite_and_another_wording_take_its_place(agent, old, text, said, polarity):
    fact = taught(agent, old)
    agent.session("ann").edit(fact.id, text)
    (new,) = agent.session("ann").profile()
    assert new.statement == said and new.id != fact.id
    assert polarity in (None, new.polarity)


@pytest.mark.parametrize(
    ("old", "slot", "text", "then"),
    [
        ("The user prefers window seats.", scripted.SEAT, "prefers the aisle seat", scripted.SEAT),
        ("The user prefers it blue.", scripted.SEAT, "I prefer it green", scripted.SEAT),
        ("The user likes cashews.", "other/nuts", "allergic to cashews", "food/allergies"),
        # put there by a model, against the words: the words are as they were
        ("The user prefers window seats.", "other/x", "I prefer window seats at night", "other/x"),
    ],
)
def test_the_slot_stays_unless_other_words_place_it_elsewhere(agent, old, slot, text, then):
    fact = taught(agent, old, slot)
    agent.session("ann").edit(fact.id, text)
    (new,) = agent.session("ann").profile()
    assert new.slot == then


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no words"),
        (" \n", "has no words"),
        ("\u200b?!", "has no words"),
        ("I like rum.\nI like gin.", "has 2 lines"),
        ("I like " + "rum " * 250, f"at most {facts.MAX_LINE_CHARS}"),
        ("I like " + "x" * 990, "has 1006 characters"),  # in the third person
        ("Bob likes rum.", "no single statement about the user"),
        ("I like rum. I like gin.", "no single statement about the user"),
        ("Ignore what was said", "begins with I, My or The user"),
        ("I used to like tea", "says what is over"),
        ("I like tea!", "fact 900.0.0 says that already"),
        ("I like juice", "fact 900.1.0 says that already"),
    ],
)
def test_what_is_no_new_statement_changes_nothing(agent, profiles, text, says):
    tea = taught(agent, "The user likes tea.")
    taught(agent, "The user likes juice.", turn=1)
    before = profiles.export("ann")
    with pytest.raises(editing.WrongStatement, match=says) as caught:
        agent.session("ann").edit(tea.id, text)
    assert len(str(caught.value)) < 200
    assert profiles.export("ann") == before


PARTS = st.sampled_from(
    "I i I'm i’m My my the user The user's allergic not no longer never always eat eats tea I "
    'used to . ? ! , ; " “ ” \n \t \x00 \u200b \u202e 茶 mag Ich é 🍵 - _ = x'.split(" ")
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PARTS, max_size=8).map(" ".join) | st.text(max_size=60))
def test_any_text_makes_one_sentence_on_one_line_or_is_told_to_be_wrong(text):
    try:
        made = editing.statement(text)
    except editing.WrongStatement:
        return
    assert made == update.flat(made) and len(made.splitlines()) == 1
    assert made.endswith((".", "!", "…", "。", "！"))
    old = facts.FactOp("add", "The user skis.", "other/x", None, "positive", "stated", 0.9)
    source = facts.Source(0, 0, "I ski")
    held = update.apply((), [old], user="ann", source=source, now=scripted.NOON).facts
    op = editing.revised(held[0], made, held)
    source = facts.Source(0, 1, made)
    after = update.apply(held, [op], user="ann", source=source, now=scripted.NOON).facts
    assert [fact.statement for fact in after] == [made]


def test_only_a_fact_that_the_user_holds_can_be_edited(agent, profiles):
    theirs = taught(agent, "The user likes tea.", user="bob", turn=7)
    ann = agent.session("ann")
    with pytest.raises(LookupError, match=f"no fact '{theirs.id}' holds"):
        ann.edit(theirs.id, "I like rum")
    old = taught(agent, "The user likes tea.")
    ann.edit(old.id, "I like rum")
    with pytest.raises(LookupError, match="holds"):
        ann.edit(old.id, "I like gin")  # it is replaced already
    ann.erase()
    with pytest.raises(LookupError, match="holds"):
        ann.edit(old.id, "I like gin")
    assert profiles.users() == ("bob",)
    assert agent.session("bob").profile() == (theirs,)


def test_an_export_after_edits_comes_back_and_can_be_edited(agent, profiles):
    talk = agent.session("ann")
    old = taught(agent, "The user likes tea.")
    talk.edit(old.id, "I like rum")
    talk.edit(talk.profile()[0].id, "I hate rum")
    data = profiles.export("ann")
    assert [row["statement"] for row in data["facts"] if row["known_to"] is None] == [
        "The user likes tea.",
        "The user likes rum.",
        "The user hates rum.",
    ]
    talk.erase()
    profiles.import_(data, now=agent.clock())
    assert profiles.export("ann") == data
    again = agent.session("ann")
    again.edit(again.profile()[0].id, "I like gin")
    assert [fact.statement for fact in again.profile()] == ["The user likes gin."]


def test_forget_that_takes_back_an_edit(agent):
    talk = agent.session("ann")
    talk.edit(taught(agent, "The user likes tea.").id, "I like rum")
    (change,) = talk.respond("Please forget that.").updates
    assert (change.event, change.fact.statement) == ("retracted", "The user likes rum.")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("stage", ["begin", "apply", "applied", "decided", "replied"])
@pytest.mark.parametrize("kept", [False, True])
def test_an_edit_that_was_cut_off_is_finished_once(monkeypatch, profiles, url, agent, stage, kept):
    """Killed before and after each of its writes."""
    tea, rum = "The user likes tea.", "The user likes rum."
    old = taught(agent, tea)
    owner = profiles if stage == "apply" else profiles.journal
    write = getattr(owner, stage)

    def dying(*args, **how):
        if kept:
            write(*args, **how)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, stage, dying)
        with pytest.raises(Killed):
            agent.session("ann", 0).edit(old.id, "I like rum")
    again = store.ProfileStore(url)
    clock = scripted.Clock(scripted.NOON + datetime.timedelta(1))
    with scripted.agent(again, clock=clock) as opened:
        talk = opened.session("ann", 0)
        talk.resume()
        begun = (stage, kept) != ("begin", False)
        assert [fact.statement for fact in talk.profile()] == [rum if begun else tea]
        assert [(r.event, r.fact.statement) for r in again.history("ann")] == [
            ("added", tea),
            *([("superseded", tea), ("added", rum)] if begun else []),
        ]
        assert again.journal.unfinished("ann") == ()
    again.close()

import json

import pytest

from pa_jax.data import decompose
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import aloe, messages, prefeval
from pa_jax.dialogue import snippet


@pytest.fixture
def quarantine(tmp_path):
    with quarantine_lib.Quarantine(tmp_path / "bad.jsonl") as opened:
        yield opened


def write_lines(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


# --- PrefEval


def write_prefeval(root, form, items, topic="travel_restaurant"):
    folder = root / "benchmark_dataset" / prefeval.FOLDERS[form]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{topic}.json").write_text(json.dumps(items))
    return str(root)


EXPLICIT = {"preference": "I hate noise.", "question": "Where to eat?", "explanation": "e"}
CHOICE = {
    "preference": "I avoid gluten.",
    "conversation": {
        "query": "Lunch?",
        "assistant_options": "1. Salad 2. Bread",
        "user_selection": "Salad, bread is not for me.",
        "assistant_acknowledgment": "Good.",
    },
}
PERSONA = {
    "preference": "I have a severe peanut allergy.",
    "conversation": {
        "0": {"user": "Any tips for retirement?", "assistant": "Travel."},
        "1": {"user": "I cook, but avoid peanuts, due to my allergy.", "assistant": "Fine."},
        "2": {"user": "Pasta then. Which peanut-free flour?", "assistant": "00."},
    },
}


def test_explicit_is_one_message_of_preference_and_question(tmp_path, quarantine):
    folder = write_prefeval(tmp_path, "explicit", [EXPLICIT])
    (dialogue,) = prefeval.read(folder, "explicit", ["travel_restaurant"], quarantine)
    assert dialogue.id == dialogue.user_id == "prefeval/explicit/travel_restaurant/0"
    assert [(t.user, t.gold, t.kind) for t in dialogue.turns] == [
        ("I hate noise. Where to eat?", "I hate noise.", "explicit"),
    ]


def test_choice_answers_the_options(tmp_path, quarantine):
    folder = write_prefeval(tmp_path, "choice", [CHOICE])
    (dialogue,) = prefeval.read(folder, "choice", ["travel_restaurant"], quarantine)
    asked, chose = decompose(dialogue)
    assert (asked.user, asked.gold) == ("Lunch?", snippet.NOTHING)
    assert (chose.context, chose.user) == ("1. Salad 2. Bread", "Salad, bread is not for me.")
    assert (chose.gold, chose.kind, chose.slot) == (
        "I avoid gluten.",
        "choice",
        "travel_restaurant",
    )


def test_persona_gold_is_at_the_turn_that_reveals_it(tmp_path, quarantine):
    folder = write_prefeval(tmp_path, "persona", [PERSONA])
    (dialogue,) = prefeval.read(folder, "persona", ["travel_restaurant"], quarantine)
    assert [t.gold for t in dialogue.turns] == [
        snippet.NOTHING,
        "I have a severe peanut allergy.",
        snippet.NOTHING,
    ]
    assert [t.assistant for t in dialogue.turns] == ["Travel.", "Fine.", "00."]


def test_of_turns_that_reveal_equally_the_first_counts():
    said = ["Hello.", "Any vegan cafe?", "Another vegan cafe?"]
    assert prefeval.revealing_turn("I am vegan.", said) == 1


def test_a_phrase_of_preference_tells_between_turns_that_share_no_word():
    said = ["Hello.", "Snacks for the kids?", "I usually prefer calm evenings.", "Bye."]
    assert prefeval.revealing_turn("I dislike adventure sports.", said) == 2


def test_bad_prefeval_items_are_set_aside_and_keep_their_numbers(tmp_path, quarantine):
    bad = [{"preference": "I hate noise."}, "text", {**EXPLICIT, "preference": "  "}]
    folder = write_prefeval(tmp_path, "explicit", [*bad, *[EXPLICIT] * 60])
    found = list(prefeval.read(folder, "explicit", ["travel_restaurant"], quarantine))
    assert [d.id.rsplit("/")[-1] for d in found] == [str(n) for n in range(3, 63)]
    rows = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert "question" in rows[0]["reason"] and "blank" in rows[2]["reason"]


def test_only_the_topics_asked_for_are_read(tmp_path, quarantine):
    write_prefeval(tmp_path, "explicit", [EXPLICIT], topic="shop_home")
    folder = write_prefeval(tmp_path, "explicit", [EXPLICIT, EXPLICIT])
    assert prefeval.topics(folder, "explicit") == ["shop_home", "travel_restaurant"]
    found = list(prefeval.read(folder, "explicit", ["shop_home"], quarantine))
    assert [d.id for d in found] == ["prefeval/explicit/shop_home/0"]


def test_prefeval_errors_name_what_is_wrong(tmp_path, quarantine):
    with pytest.raises(quarantine_lib.DataError, match="explicit_preference"):
        list(prefeval.read(str(tmp_path), "explicit", [], quarantine))
    with pytest.raises(quarantine_lib.DataError, match="'implicit': choose one of"):
        list(prefeval.read(str(tmp_path), "implicit", [], quarantine))
    folder = write_prefeval(tmp_path, "explicit", {"a": 1})
    with pytest.raises(quarantine_lib.DataError, match="travel_restaurant.json holds a dict"):
        list(prefeval.read(folder, "explicit", ["travel_restaurant"], quarantine))
    (tmp_path / "benchmark_dataset/explicit_preference/travel_restaurant.json").write_text("[{")
    with pytest.raises(quarantine_lib.DataError, match="travel_restaurant.json is not JSON"):
        list(prefeval.read(folder, "explicit", ["travel_restaurant"], quarantine))


@pytest.mark.parametrize("form", ["explicit", "choice", "persona"])
def test_all_of_real_prefeval_is_read(real_data, quarantine, form):
    folder = str(real_data / "prefeval")
    topics = prefeval.topics(folder, form)
    assert len(topics) == 15 and set(prefeval.HELDOUT_TOPICS) < set(topics)
    found = list(prefeval.read(folder, form, topics, quarantine))
    place = real_data / "prefeval" / "benchmark_dataset" / prefeval.FOLDERS[form]
    raw = {path.stem: json.loads(path.read_text()) for path in place.glob("*.json")}
    assert len(found) == sum(map(len, raw.values())) and quarantine.bad == 0
    for dialogue in found:
        _, _, topic, number = dialogue.id.split("/")
        (gold,) = {turn.gold for turn in dialogue.turns} - {snippet.NOTHING}
        assert gold == raw[topic][int(number)]["preference"]


def test_inner_folder_of_real_prefeval_gives_the_same(real_data, quarantine):
    outer, inner = real_data / "prefeval", real_data / "prefeval" / "benchmark_dataset"
    keep = ["pet_ownership"]
    read = [list(prefeval.read(str(f), "persona", keep, quarantine)) for f in (outer, inner)]
    assert read[0] == read[1] and read[0]


# Read by eye: where each speaker lets the preference slip, some after a false trail.
REVEALED = {
    "lifestyle_beauty/27": 2,
    "travel_restaurant/45": 1,
    "travel_activities/53": 2,
    "entertain_music_book/43": 3,
    "travel_restaurant/54": 0,
    "entertain_games/8": 1,
    "education_resources/14": 3,
    "travel_restaurant/3": 1,
    "lifestyle_beauty/15": 1,
    "shop_fashion/6": 2,
    "entertain_sports/3": 2,
    "travel_activities/23": 3,
}


def test_real_personas_reveal_where_a_reader_says(real_data, quarantine):
    topics = {name.split("/")[0] for name in REVEALED}
    found = prefeval.read(str(real_data / "prefeval"), "persona", topics, quarantine)
    golds = {d.id.removeprefix("prefeval/persona/"): [t.kind for t in d.turns] for d in found}
    assert {name: golds[name].index("persona") for name in REVEALED} == REVEALED


# --- ALOE


def aloe_turn(number, profile, personality, **more):
    return {
        "user": f"u{number}",
        "assistant": {"preferred": f"p{number}", "rejected": [f"r{number}", "other"]},
        "chosen": "preferred",
        "inferred_profile": profile,
        "inferred_personality": personality,
        **more,
    }


def test_aloe_gold_is_what_is_new(tmp_path, quarantine):
    talk = [
        aloe_turn(0, "None", "None"),
        aloe_turn(1, "He is 40. He cooks.", "None", chosen="rejected"),
        aloe_turn(2, "He is 40. He cooks.", "None"),
        aloe_turn(3, "He is 40. He bakes.", "He is shy."),
        {"user": "u4", "assistant": {"preferred": "p4"}, "chosen": "preferred"},
    ]
    item = {"profile": 'He is "40".\nHe bakes.', "personality": "He is shy.", "conversations": talk}
    (dialogue,) = aloe.read(write_lines(tmp_path / "conversations.jsonl", [item]), quarantine)
    assert [t.gold for t in dialogue.turns] == [
        snippet.NOTHING,
        "He is 40.\nHe cooks.",
        snippet.NOTHING,
        "He bakes.\nHe is shy.",
        None,
    ]
    assert [t.assistant for t in dialogue.turns] == ["p0", "r1", "p2", "p3", "p4"]
    assert decompose(dialogue)[-1].profile == ("He is 40.", "He bakes.", "He is shy.")


def test_aloe_packs_many_sentences_into_a_snippet(tmp_path, quarantine):
    text = "A is one. B is two. C is three. D is four. E is five. F is six."
    item = {"profile": text, "personality": "Shy.", "conversations": [aloe_turn(0, text, "None")]}
    (dialogue,) = aloe.read(write_lines(tmp_path / "conversations.jsonl", [item]), quarantine)
    gold = dialogue.turns[0].gold
    assert len(gold.splitlines()) == snippet.MAX_STATEMENTS
    assert gold.replace("\n", " ") == text


def test_aloe_user_is_profile_and_personality(tmp_path, quarantine):
    pairs = [("P.", "A."), ("P.", "B."), ("P.", "A.")]
    rows = [
        {"profile": p, "personality": q, "conversations": [aloe_turn(0, "None", "None")]}
        for p, q in pairs
    ]
    write_lines(tmp_path / "conversations.jsonl", rows)
    first, second, third = aloe.read(str(tmp_path), quarantine)
    assert first.user_id == third.user_id != second.user_id
    assert first.user_id.rpartition("/")[0] == second.user_id.rpartition("/")[0]
    assert len({first.id, second.id, third.id}) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"profile": None}, "'profile' is null"),
        ({"conversations": []}, "at least one turn"),
        ({"conversations": [aloe_turn(0, 3, "None")]}, "turn 0: 'inferred_profile' is a number"),
        ({"conversations": [aloe_turn(0, "x", "None", chosen="both")]}, "'chosen' is 'both'"),
        ({"conversations": [aloe_turn(0, "y" * 500, "None")]}, "a line of 500 characters"),
    ],
)
def test_bad_aloe_lines_say_why(tmp_path, quarantine, change, reason):
    good = {"profile": "P.", "personality": "Q.", "conversations": [aloe_turn(0, "None", "None")]}
    path = write_lines(tmp_path / "conversations.jsonl", [good] * 30 + [{**good, **change}])
    assert len(list(aloe.read(path, quarantine))) == 30
    (row,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert row["number"] == 31 and reason in row["reason"]


def test_real_aloe_profiles_have_one_malformed_line(real_data, tmp_path, quarantine):
    path = real_data / "aloe" / "profile.jsonl"
    texts = list(aloe.read_texts(str(path), quarantine))
    assert (len(texts), quarantine.seen, quarantine.bad) == (329, 330, 1)
    (row,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert row["number"] == 6
    assert row["text"] == path.read_text().splitlines()[5]


# --- chat messages


def say(*contents):
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def test_lines_of_one_user_are_sessions_in_order(tmp_path, quarantine):
    rows = [
        {"user_id": "ann", "session": 2, "messages": say("late", "b")},
        {"user_id": "bob", "messages": say("hi")},
        {"user_id": "ann", "session": 1, "messages": say("early", "a", "more", "c")},
    ]
    ann, bob = messages.read(write_lines(tmp_path / "m.jsonl", rows), quarantine)
    assert [(t.user, t.assistant, t.session) for t in ann.turns] == [
        ("early", "a", 1),
        ("more", "c", 1),
        ("late", "b", 2),
    ]
    assert (bob.id, bob.user_id, bob.turns[0].assistant) == ("bob", "bob", "")
    assert [e.context for e in decompose(ann)] == ["", "a", ""]


def test_sessions_without_numbers_follow_the_file(tmp_path, quarantine):
    rows = [{"user_id": 7, "messages": say(text)} for text in ("x", "y")]
    (dialogue,) = messages.read(write_lines(tmp_path / "m.jsonl", rows), quarantine)
    assert dialogue.user_id == "7"
    assert [(t.user, t.session) for t in dialogue.turns] == [("x", 0), ("y", 1)]


def test_lines_without_user_are_users_of_their_own(tmp_path, quarantine):
    write_lines(tmp_path / "a.jsonl", [{"id": "c1", "messages": say("x")}, {"messages": say("y")}])
    write_lines(tmp_path / "b.jsonl", [{"id": "c1", "messages": say("z")}])
    found = list(messages.read(str(tmp_path), quarantine))
    assert [d.user_id for d in found] == ["a/c1", "a/line-2", "b/c1"]


def test_gold_belongs_to_user_messages(tmp_path, quarantine):
    row = {"messages": say("I eat no meat", "ok", "thanks"), "gold": ["Eats no meat. ", None]}
    (dialogue,) = messages.read(write_lines(tmp_path / "m.jsonl", [row]), quarantine)
    assert [t.gold for t in dialogue.turns] == ["Eats no meat.", None]


def test_a_blank_user_message_is_no_turn_and_takes_its_gold_with_it(tmp_path, quarantine):
    row = {"messages": say("I eat no meat", "ok", " \n", "Pardon?", "thanks", "Bye.")}
    row["gold"] = ["Eats no meat.", None, snippet.NOTHING]
    (dialogue,) = messages.read(write_lines(tmp_path / "m.jsonl", [row]), quarantine)
    said = [(t.user, t.assistant, t.gold) for t in dialogue.turns]
    assert said == [
        ("I eat no meat", "ok", "Eats no meat."),
        ("thanks", "Bye.", snippet.NOTHING),
    ]
    assert quarantine.bad == 0


def test_one_user_id_that_no_database_keeps_is_set_aside_alone(tmp_path, quarantine):
    ids = [*(f"u{n}" for n in range(30)), "a\0b"]
    rows = [{"messages": say("Hi."), "user_id": one} for one in ids]
    found = list(messages.read(write_lines(tmp_path / "m.jsonl", rows), quarantine))
    assert [d.user_id for d in found] == ids[:-1] and quarantine.bad == 1
    (kept,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert "NUL" in kept["reason"]


def test_whole_numbers_are_read_as_tables_write_them(tmp_path, quarantine):
    rows = [{"messages": say(f"{n}"), "user_id": 7.0, "session": 2.0 - n} for n in range(2)]
    (dialogue,) = messages.read(write_lines(tmp_path / "m.jsonl", rows), quarantine)
    assert dialogue.user_id == "7"
    assert [(turn.user, turn.session) for turn in dialogue.turns] == [("1", 1), ("0", 2)]


def test_other_roles_parts_and_null_content(tmp_path, quarantine):
    talk = [
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hello, how can I help?"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "42"},
        {"role": "function", "name": "look_up", "content": "43"},
        {"role": "assistant", "content": "It is"},
        {"role": "assistant", "content": "a cat."},
    ]
    path = write_lines(tmp_path / "m.jsonl", [{"messages": talk}])
    (dialogue,) = messages.read(path, quarantine)
    assert [(t.user, t.assistant) for t in dialogue.turns] == [("look", "It is\na cat.")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "a list where an object belongs"),
        ({"messages": "hi"}, "'messages' must be a list"),
        ({"messages": []}, "no user message"),
        ({"messages": [{"role": "user", "content": " "}]}, "'content' is blank"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "role 'bot'"),
        ({"messages": [{"role": "user", "content": 3}]}, "'content' is a number"),
        ({"messages": ["x"]}, "a text where an object belongs"),
        ({"conversations": say("x")}, "the fields are ['conversations']"),
        ({"messages": say("x"), "session": "one"}, "'session' is 'one'"),
        ({"messages": say("x"), "session": 1.5}, "not a whole number"),
        ({"messages": say("x"), "session": True}, "not a whole number"),
        ({"messages": say("x"), "gold": [""]}, "null is a turn without a label"),
        ({"messages": say("x"), "user_id": 1.5}, "'user_id' is a number, not a text"),
        ({"messages": say("x"), "gold": []}, "a list of 1"),
        ({"messages": say("x"), "gold": ["..."]}, "is no snippet"),
        ({"messages": say("x"), "user_id": ["a"]}, "'user_id' is a list"),
    ],
)
def test_bad_message_lines_say_why(tmp_path, quarantine, row, reason):
    good = [{"messages": say("x", "y")}] * 30
    path = write_lines(tmp_path / "m.jsonl", [*good, row])
    assert len(list(messages.read(path, quarantine))) == 30
    (kept,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert kept["number"] == 31 and reason in kept["reason"]

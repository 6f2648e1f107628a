"""Clients as they are: the openai library, curl, LangChain; and profiles over HTTP."""

import json
import subprocess
import uuid

import httpx
import openai
import pytest

from pa_jax.core import timing
from pa_jax.dialogue import schema, template
from pa_jax.jobs import setup


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def said(words, *before):
    """Messages; `before` alternate between user and assistant."""
    roles = ["user" if i % 2 == 0 else "assistant" for i in range(len(before))]
    earlier = [{"role": r, "content": c} for r, c in zip(roles, before, strict=True)]
    return [*earlier, {"role": "user", "content": words}]


def test_openai_chats_and_counts(client, server):
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    with timing.CompileCounter() as compiles:
        answer = client.chat.completions.create(
            model=model.id, messages=said("Hello"), max_tokens=5, temperature=0, seed=1
        )
        again = client.chat.completions.create(
            model=model.id, messages=said("Hello"), max_completion_tokens=5, temperature=0
        )
    assert answer.choices[0].message.content == again.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    ids = server.agent.parts.serves.model.tokenizer
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5
    assert answer.usage.prompt_tokens > len(ids.encode("Hello"))
    assert compiles.compiled == []


def test_openai_draws_n_that_one_seed_repeats(client):
    def drawn(seed):
        made = client.chat.completions.create(
            model="pa_jax", messages=said("Hello"), n=3, max_tokens=8, temperature=1, seed=seed
        )
        assert [choice.index for choice in made.choices] == [0, 1, 2]
        assert made.usage.completion_tokens == 24
        return [choice.message.content for choice in made.choices]

    first = drawn(7)
    assert first == drawn(7) and len(set(first)) == 3 and first != drawn(2**40)


def test_sampling_that_openai_has_not_is_honoured(client):
    """As vLLM, Ollama and llama.cpp take it: top_k 1 is greedy, a penalty changes what follows."""
    how = {"model": "pa_jax", "messages": said("Hello"), "max_tokens": 30, "temperature": 1}
    greedy = client.chat.completions.create(**how | {"temperature": 0}).choices[0].message.content
    only = client.chat.completions.create(**how, seed=5, extra_body={"top_k": 1})
    assert only.choices[0].message.content == greedy
    free = client.chat.completions.create(**how, seed=5, extra_body={"top_k": -1, "min_p": 0})
    assert free.choices[0].message.content != greedy
    how |= {"temperature": 0, "extra_body": {"repetition_penalty": 5.0}}
    assert client.chat.completions.create(**how).choices[0].message.content != greedy


@pytest.mark.parametrize("role", ["tool", "function"])
@pytest.mark.parametrize("ends", [True, False])
def test_what_tools_said_is_shown_to_the_model(client, server, role, ends):
    call = {"name": "weather", "arguments": '{"city": "Graz"}'}
    called = {"role": "assistant", "content": None}
    if role == "tool":
        called["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
    else:
        called["function_call"] = call
    result = {"role": role, "content": "Rain.", "name": "weather", "tool_call_id": "1"}
    chat = [*said("Weather?"), called, result]
    chat += [] if ends else [{"role": "assistant", "content": "It rains."}, *said("And then?")]
    made = client.chat.completions.create(model="pa_jax", messages=chat, max_tokens=4)
    shown = [
        schema.Message("user", "Weather?"),
        schema.Message(
            "assistant",
            '<tool_call>\n{"name": "weather", "arguments": {"city": "Graz"}}\n</tool_call>',
        ),
        schema.Message("user", "<tool_response>\nRain.\n</tool_response>"),
    ]
    if not ends:
        shown += [schema.Message("assistant", "It rains."), schema.Message("user", "And then?")]
    words = server.agent.parts.serves.model.tokenizer
    ids = template.encode_chat(words, shown, add_generation_prompt=True)
    assert made.usage.prompt_tokens == len(ids)
    if not ends:
        kept = client.chat.completions.create(
            model="pa_jax", messages=chat, max_tokens=4, user=f"tools-{role}"
        )
        assert kept.choices[0].message.content


def test_a_template_that_wants_turns_refuses_with_its_own_words(client, server, monkeypatch):
    hf = server.agent.parts.serves.model.tokenizer.hf
    wants = (
        "{% if messages|length > 1 and messages[0]['role'] == messages[1]['role'] %}"
        "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    )
    monkeypatch.setattr(hf, "chat_template", wants + hf.chat_template)
    chat = [*said("One."), *said("Two.")]
    with pytest.raises(openai.BadRequestError, match="Conversation roles must alternate"):
        client.chat.completions.create(model="pa_jax", messages=chat, max_tokens=4)


def test_openai_stops_before_a_string(client):
    how = {"model": "pa_jax", "messages": said("Hello"), "temperature": 0, "max_tokens": 40}
    whole = client.chat.completions.create(**how).choices[0].message.content
    stop = whole[len(whole) // 2 :][:3]
    made = client.chat.completions.create(**how, stop=[stop, "never"]).choices[0]
    assert made.message.content == whole[: whole.index(stop)]
    assert made.finish_reason == "stop"


@pytest.mark.parametrize("n", [1, 2])
def test_openai_streams_what_it_answers_whole(client, n):
    how = {"model": "pa_jax", "messages": said("Hi"), "temperature": 1, "seed": 3, "n": n}
    how["max_tokens"] = 30
    whole = client.chat.completions.create(**how)
    texts, reasons, usages = [""] * n, [None] * n, []
    for chunk in client.chat.completions.create(
        **how, stream=True, stream_options={"include_usage": True}
    ):
        usages.append(chunk.usage)
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usages[-1] == whole.usage and not any(usages[:-1])


def test_a_users_turn_is_kept_and_told(client, server, teach):
    teach("ann")
    stream = client.chat.completions.create(
        model="pa_jax", messages=said("Which seat for my flight?"), user="ann", stream=True
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[1].pa_jax == {"session": 901, "turn": 0}
    last = [c for c in chunks if c.choices][-1].pa_jax
    assert (last["session"], last["turn"]) == (901, 0) and last["why"]
    told = server.get("ann/sessions/901").json()["turns"]
    assert [(t["words"], t["reply"]) for t in told] == [("Which seat for my flight?", text)]
    forgot = server.ask("Forget that I like window seats.", "ann", session=901)["pa_jax"]
    (update,) = forgot["updates"]
    assert update["kind"] == "retracted"
    assert update["fact"]["statement"] == "The user likes window seats."
    assert server.get("ann").json()["facts"] == []


def test_clients_that_send_all_again_go_on_with_their_session(server):
    first = server.ask("One thing.", "bea")
    reply = first["choices"][0]["message"]["content"]
    messages = said("And another.", "One thing.", reply)
    second = server.post({"messages": messages, "user": "bea"}).json()["pa_jax"]
    assert (first["pa_jax"]["session"], first["pa_jax"]["turn"]) == (0, 0)
    assert (second["session"], second["turn"]) == (0, 1)
    messages[1]["content"] = "never said"
    third = server.post({"messages": messages, "user": "bea"}).json()["pa_jax"]
    assert (third["session"], third["turn"]) == (1, 0)
    assert server.get("bea/sessions").json()["sessions"] == [1, 0]


def test_what_the_client_shows_is_the_context_of_a_new_session(server, agent):
    def prompt_tokens(*messages):
        made = server.post({"messages": list(messages), "user": "cy", "max_tokens": 1})
        return made.json()["usage"]["prompt_tokens"]

    words = agent.parts.serves.model.tokenizer
    bare = prompt_tokens(*said("Go on."))
    system = {"role": "system", "content": "Speak like a pirate."}
    with_system = prompt_tokens(system, *said("Go on."))
    shown = prompt_tokens(*said("Go on.", "I sail.", "Where to?"))
    assert with_system == bare + len(words.encode("Speak like a pirate.\n\n"))
    assert shown > bare + len(words.encode("I sail.Where to?"))
    kept = server.get("cy/sessions/2").json()["turns"]
    assert [turn["words"] for turn in kept] == ["Go on."]  # what others said is not the user's


@pytest.mark.parametrize(
    ("kind", "code", "how"),
    [
        (openai.NotFoundError, "model_not_found", {"model": "gpt-4"}),
        (openai.BadRequestError, "invalid_value", {"max_tokens": 10_000}),
        (openai.BadRequestError, "invalid_value", {"temperature": -1}),
        (openai.BadRequestError, "invalid_value", {"n": 99}),
        (openai.BadRequestError, "invalid_value", {"tools": [{"type": "function"}]}),
        (openai.BadRequestError, "invalid_value", {"messages": []}),
        (openai.BadRequestError, "context_length_exceeded", {"messages": said("long " * 900)}),
        (openai.NotFoundError, "session_not_found", {"user": "x", "extra_body": {"session": 9}}),
    ],
)
def test_openai_gets_its_own_errors(client, kind, code, how):
    usual = {"model": "pa_jax", "messages": said("Hi")}
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**usual | how)
    assert caught.value.code == code and caught.value.body["message"]


def test_curl_chats_and_streams(server):
    def curl(body, *more):
        command = ["curl", "-sS", "--max-time", "30", f"{server.url}/v1/chat/completions", *more]
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    body = {"messages": said("Hi"), "temperature": 0, "max_tokens": 12}
    text = json.loads(curl(body))["choices"][0]["message"]["content"]
    lines = [line for line in curl(body | {"stream": True}, "-N").splitlines() if line]
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == text
    assert json.loads(curl({"messages": 3}))["error"]["param"] == "messages"


@pytest.mark.slow
def test_langchains_openai_class_as_it_is(server):
    chat_models = pytest.importorskip("langchain_openai", reason="pip install langchain-openai")
    model = chat_models.ChatOpenAI(
        base_url=f"{server.url}/v1", api_key="none", model="pa_jax", max_retries=0, max_tokens=12
    )
    history = [("system", "Be brief."), ("human", "Hi"), ("ai", "Hello."), ("human", "And?")]
    answer = model.invoke(history, temperature=0)
    assert answer.content and answer.usage_metadata["output_tokens"] == 12
    assert "".join(c.content for c in model.stream(history, temperature=0)) == answer.content
    remembered = model.bind(user="lou").invoke("Which seat for my flight?")
    assert remembered.content == server.get("lou/sessions/0").json()["turns"][0]["reply"]


def test_facts_history_and_forgetting(server, teach):
    empty = setup.utc_now().isoformat()
    teach("pat")
    (fact,) = server.get("pat").json()["facts"]
    assert fact["statement"] == "The user likes window seats." and fact["category"] == "travel"
    assert fact["source"] == {"session": 900, "turn": 0, "quote": "I like window seats"}
    assert 0.89 < fact["confidence_now"] <= fact["confidence"] == 0.9
    known = setup.utc_now().isoformat()
    assert server.delete("pat/facts/nothing").status_code == 404
    made = server.delete(f"pat/facts/{fact['id']}").json()
    assert [u["kind"] for u in made["updates"]] == ["retracted"]
    assert server.get("pat").json()["facts"] == []
    then = server.get("pat", params={"as_of": known}).json()["facts"]
    assert [f["id"] for f in then] == [fact["id"]]
    assert server.get("pat", params={"as_of": empty}).json()["facts"] == []
    records = server.get("pat/history").json()["records"]
    assert [(r["event"], r["version"]) for r in records] == [("added", 0), ("retracted", 1)]
    assert server.get("pat/history", params={"fact": "x"}).json()["records"] == []


def test_editing_a_fact(server, teach):
    teach("tia")
    teach("tia", "The user likes soft seats.", "other/x", 1)
    (old, kept) = server.get("tia").json()["facts"]
    made = server.edit(f"tia/facts/{old['id']}", "I'm allergic to cashews").json()
    assert made.keys() == server.delete(f"tia/facts/{kept['id']}").json().keys()
    assert {u["kind"]: u["fact"]["statement"] for u in made["updates"]} == {
        "added": "The user is allergic to cashews.",
        "superseded": old["statement"],
    }
    (new,) = server.get("tia").json()["facts"]
    assert (new["authority"], new["confidence"], new["category"]) == ("stated", 1.0, "food")
    place = {"session": made["session"], "turn": made["turn"]}
    assert new["source"] == place | {"quote": "The user is allergic to cashews."}
    records = server.get("tia/history", params={"fact": old["id"]}).json()["records"]
    assert [(r["event"], r["superseded_by"]) for r in records] == [
        ("added", None),
        ("superseded", new["id"]),
    ]
    assert records[1]["by"] == place and records[1]["known_from"] == new["valid_from"]
    here = {"session": made["session"]}
    again = server.edit(f"tia/facts/{new['id']}", "not allergic to cashews", params=here)
    assert (again.json()["session"], again.json()["turn"]) == (made["session"], 1)
    data = server.get("tia/export").json()
    assert server.delete("tia").status_code == 200
    assert server.edit(f"tia/facts/{new['id']}", "I like rum").status_code == 404
    assert "tia" not in server.agent.profiles.users()
    url = f"{server.url}/v1/profiles/tia/import"
    assert httpx.post(url, json=data).json() == {"user": "tia", "facts": 4}
    assert server.get("tia/export").json() == data


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"statement": " "}, "has no words"),
        ({"statement": "x" * 1001}, "1001 characters, at most 1000"),
        ({"statement": "I like\nrum"}, "has 2 lines"),
        ({"statement": "Bob likes rum"}, "'Bob likes rum' is no single"),
        ({"statement": "I like window seats"}, "says that already"),
        ({"statement": 5}, "a text belongs here (got 5)"),
        ({"statement": "I like \ud800"}, "half a surrogate pair"),
        ({}, "is needed; give it"),
    ],
)
def test_an_edit_that_is_none_changes_nothing_and_says_why(server, teach, body, says):
    user = f"una-{uuid.uuid4().hex}"
    teach(user)
    before = server.agent.profiles.export(user)
    url = f"{server.url}/v1/profiles/{user}/facts/900.0.0"
    json_type = {"Content-Type": "application/json"}
    answer = httpx.patch(url, content=json.dumps(body), headers=json_type, timeout=60)
    error, wanted = answer.json()["error"], (400, "invalid_value", "statement")
    assert (answer.status_code, error["code"], error["param"]) == wanted
    assert says in error["message"]
    assert server.agent.profiles.export(user) == before


def test_who_may_not_be_edited(server, teach):
    teach("vic", turn=3)
    (theirs,) = server.get("vic").json()["facts"]
    for path in (f"nobody/facts/{theirs['id']}", "vic/facts/nothing"):
        answer = server.edit(path, "I like rum")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "fact_not_found")
    answer = server.edit(f"vic/facts/{theirs['id']}", "I like rum", params={"session": 7})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "session_not_found")
    assert server.get("vic").json()["facts"][0]["statement"] == theirs["statement"]
    assert "nobody" not in server.agent.profiles.users()


def test_an_export_comes_back_as_it_was(server, teach):
    teach("quy")
    data = server.get("quy/export").json()
    assert data == server.agent.profiles.export("quy")
    url = f"{server.url}/v1/profiles/quy/import"
    assert httpx.post(url, json=data).status_code == 409
    receipt = server.delete("quy").json()
    assert (receipt["facts"], receipt["verified"]) == (1, True)
    assert "quy" not in server.agent.profiles.users()
    assert server.get("quy/export").status_code == 404
    wrong = httpx.post(url, json=data | {"facts": [{}]})
    assert wrong.status_code == 400 and "facts[0]" in wrong.json()["error"]["message"]
    other = httpx.post(url.replace("quy", "rob"), json=data)
    assert other.status_code == 400 and other.json()["error"]["param"] == "user"
    assert httpx.post(url, json=data).json() == {"user": "quy", "facts": 1}
    assert server.get("quy/export").json() == data
    assert server.delete("quy").status_code == server.delete("quy").status_code == 200


def test_who_is_not_known_has_an_empty_profile(server):
    assert server.get("nobody").json() == {"user": "nobody", "facts": []}
    assert server.get("nobody/history").json()["records"] == []
    assert server.get("nobody/sessions/3").json()["turns"] == []
    assert "nobody" not in server.agent.profiles.users()

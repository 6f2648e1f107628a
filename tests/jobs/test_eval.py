"""The eval job end to end with tiny random weights: report, resume, refusals."""

import http.server
import importlib
import json
import os
import threading

import pytest

from pa_jax.core import files
from pa_jax.jobs import configs, eval_keys
from pa_jax.jobs import eval as eval_job


def config(folder):
    made = importlib.import_module("configs.eval").get_config("tiny")
    made.mesh.fsdp = 1
    made.benchmarks = ("prefeval_mcq", "single_turn")
    made.systems = ("zero_shot", "oracle")
    made.lengths, made.chat_model.rows, made.chat_model.max_new_tokens = (768,), 2, 4
    made.prefeval.path, made.prefeval.noise = str(folder), (0, 1)
    made.data.heldout_users, made.single_turn.episodes = 1, 2
    made.single_turn.views = ("inferencer", "persistent")
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One made-up item in PrefEval's format."""
    root = tmp_path_factory.mktemp("prefeval") / "benchmark_dataset"
    item = {"preference": "I dislike crowds.", "question": "Where to go?"}
    options = {"classification_task_options": ["a quiet lake", "a fair", "a rally", "a concert"]}
    talk = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    for place, value in (
        ("explicit_preference/trips.json", [item]),
        ("mcq_options/trips.json", [item | options]),
        ("filtered_inter_turns.json", [{"conversation": talk}]),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(json.dumps(value))
    return root.parent


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("eval")
    eval_job.run(config(folder), workdir)
    return workdir


def test_the_report_has_every_cell_with_its_interval(done, folder):
    report = json.loads((done / "report.json").read_text())
    cells = {(e["benchmark"], e["part"], e["system"]): e for e in report["entries"]}
    assert set(cells) == {
        *(("prefeval_mcq", f"explicit N={n}", s) for n in (0, 1) for s in ("zero_shot", "oracle")),
        ("single_turn", "synthetic", "inferencer"),
        ("single_turn", "synthetic", "persistent"),
    }
    assert cells["single_turn", "synthetic", "inferencer"]["n"] == 2
    for entry in cells.values():
        for of in entry["measures"].values():
            assert of["low"] <= of["mean"] <= of["high"]
    rows = list(files.read_rows(done / "records.jsonl"))
    accuracy = [r["measures"]["accuracy"] for r in rows if r["id"] == "explicit/trips/0/N1"]
    assert len(accuracy) == 2 and report["rows"] == len(rows) == 8
    assert report["config_digest"] == eval_job.digest(config(folder))
    text = (done / "report.md").read_text()
    assert report["config_digest"] in text and "## prefeval_mcq" in text
    assert (done / "eval.png").read_bytes().startswith(b"\x89PNG")
    page = (done / "report.html").read_text()
    assert page.count("<table>") == 3 and "data:image/svg+xml;base64," in page


def test_on_a_mesh_the_records_are_those_of_one_device(done, folder, tmp_path):
    made = config(folder)
    made.mesh.fsdp, made.mesh.tp = 4, 2
    eval_job.run(made, tmp_path)
    one, many = ([*files.read_rows(at / "records.jsonl")] for at in (done, tmp_path))
    assert len(one) == len(many)
    for want, got in zip(one, many, strict=True):
        assert got["measures"] == pytest.approx(want["measures"], abs=1e-4)
        assert got | {"measures": 0} == want | {"measures": 0}


def test_a_second_start_makes_only_what_is_missing(done, folder, tmp_path):
    whole = (done / "records.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("config.json", "records.jsonl"):
        (tmp_path / name).write_bytes((done / name).read_bytes())
    (tmp_path / "records.jsonl").write_bytes(b"".join(whole[:-1]) + whole[-1][:20])  # killed
    eval_job.run(config(folder), tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == b"".join(whole)


def test_a_folder_of_another_evaluation_is_refused(done, folder):
    other = config(folder)
    other.prefeval.noise = (0,)
    with pytest.raises(ValueError, match="prefeval.noise"):
        eval_job.run(other, done)


@pytest.mark.parametrize(
    ("benchmarks", "key", "told"),
    [
        (("single_turn",), "systems", "no system takes part there.*conversations"),
        (("single_turn",), "infer.rows", "prefeval_mcq"),
        (("single_turn",), "prefeval.path", "prefeval_generation, noise"),
        (("prefeval_mcq",), "data.source", "too: single_turn"),
        (("aloe",), "aloe.rlpa_path", "too: aloe_rlpa"),
        (("prefeval_mcq",), "judge.source", "too: prefeval_generation"),
        (("conversations",), "user.source", "too: aloe"),
        (("unseen", "long_horizon"), "conversations.path", "too: conversations"),
    ],
)
def test_a_key_that_no_chosen_benchmark_reads_is_refused(folder, benchmarks, key, told):
    made = config(folder)
    made.benchmarks = benchmarks
    with pytest.raises(ValueError, match=f"^{key} is not read by benchmarks=.*{told}"):
        eval_keys.require_used(made, ["seed", key])
    made.benchmarks = tuple(eval_job.BENCHMARKS)
    made.systems = ("zero_shot", "personal_agent_asking")
    eval_keys.require_used(made, ["seed", key])


def test_every_benchmark_says_which_keys_it_reads():
    assert set(eval_keys.KEYS) == set(eval_job.BENCHMARKS)
    assert all(keys for keys in eval_keys.KEYS.values())


def test_the_command_line_refuses_what_is_not_read(started, tmp_path):
    flags = ["--config=eval:tiny", f"--workdir={tmp_path}/w"]
    flags += ["--config.benchmarks=('single_turn',)", "--config.systems=('oracle',)"]
    done = started(flags, dict(os.environ))
    assert done.returncode == 2
    assert "systems is not read by benchmarks=('single_turn',)" in done.stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("benchmarks", ("prefevall",), "prefeval_mcq"),
        ("systems", ("zeroshot",), "zero_shot"),
        ("runs", ("x/untrained",), "another name"),
        ("against", "untraned", "'untrained'"),
    ],
)
def test_a_wrong_name_is_an_error_that_names_the_choices(key, value, match, folder, tmp_path):
    made = config(folder)
    made[key] = value
    with pytest.raises(ValueError, match=match):
        eval_job.run(made, tmp_path)


def test_data_that_is_not_there_is_named(tmp_path):
    made = config("")
    made.benchmarks = ("aloe",)
    with pytest.raises(ValueError, match="aloe.path is empty"):
        eval_job.run(made, tmp_path)


class Judge(http.server.BaseHTTPRequestHandler):
    """Plays an OpenAI-compatible endpoint: a score, a sentence or an error, by the question."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        text = json.loads(body)["messages"][0]["content"]
        self.server.asked.append(text)
        case = len(set(self.server.asked)) % 3
        content = ("4", "It is a four.", "")[case]
        answer = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
        self.send_response(500 if case == 2 else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


def test_a_remote_judges_failures_are_reported_and_can_be_tried_again(tmp_path, monkeypatch):
    pytest.importorskip("openai", reason="the extra `remote` is not installed")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("profile_eval", "personality_eval"):
        lines = [json.dumps(f"{name} number {i}.") for i in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    made = config("")
    made.benchmarks, made.systems = ("aloe",), ("no_history",)
    made.aloe.path, made.aloe.cases, made.aloe.turns = str(tmp_path), 6, 1
    made.judge.kind = "remote"
    made.judge.remote.key_env, made.judge.remote.model = "", "m"
    made.judge.remote.retries, made.judge.remote.concurrency = 0, 1
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.judge.remote.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        eval_job.run(made, tmp_path / "run")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    rows = list(files.read_rows(tmp_path / "run" / "records.jsonl"))
    assert len(rows) == len(server.asked) == 6
    scores = [row["measures"].get("alignment") for row in rows]
    assert sorted(row["judge"] or "" for row in rows) == [
        "",
        "",
        *["4"] * 2,
        *["It is a four."] * 2,
    ]
    assert [score for score in scores if score is not None] == [4.0, 4.0]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["judge_failures"] == 4
    (entry,) = report["entries"]
    assert (entry["n"], entry["failed"]) == (2, 4)
    assert entry["measures"]["alignment"]["mean"] == 4.0


def test_a_key_of_a_config_file_that_nobody_reads_is_refused(started, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from configs import eval\n\n\ndef get_config(preset):\n"
        "    c = eval.get_config(preset)\n    c.aloe.path = 'x'\n    return c\n"
    )
    done = started([f"--config={own}:tiny", f"--workdir={tmp_path}/w"], dict(os.environ))
    assert done.returncode == 2
    assert "aloe.path is not read by benchmarks=('single_turn',)" in done.stderr
    assert not (tmp_path / "w").exists()


def test_a_preset_sets_nothing_that_is_not_read():
    for name in configs.presets():
        eval_keys.require_used(configs.load(f"eval:{name}"))


@pytest.mark.parametrize(
    ("key", "systems", "told"),
    [
        ("infer.rows", ("zero_shot",), "in systems, too: personal_agent, personal_agent_asking"),
        ("ask.bias", ("personal_agent",), "in systems, too: personal_agent_asking"),
    ],
)
def test_a_key_that_no_chosen_system_reads_is_refused(folder, key, systems, told):
    made = config(folder)
    made.systems = systems
    with pytest.raises(ValueError, match=f"^{key} is not read by systems=.*{told}"):
        eval_keys.require_used(made, [key])
    made.systems = ("personal_agent_asking",)
    eval_keys.require_used(made, [key])


@pytest.mark.parametrize("key", ["benchmarks", "systems"])
def test_an_empty_grid_is_refused(folder, key):
    made = config(folder)
    made[key] = ()
    with pytest.raises(ValueError, match=f"^{key} is empty"):
        eval_keys.require_used(made)


def test_a_run_that_is_not_there_is_refused_before_anything_is_measured(folder, tmp_path):
    made = config(folder)
    made.runs = (str(tmp_path / "nix"),)
    with pytest.raises(ValueError, match="^runs names .*nix"):
        eval_job.run(made, tmp_path / "w")


def test_a_file_of_ones_own_is_measured_under_the_agent_too(tmp_path):
    talk = [{"role": "user", "content": "I always take the window seat."}]
    row = {"user_id": "ann", "messages": talk, "gold": ["The user prefers window seats."]}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    made = importlib.import_module("configs.eval").get_config("tiny")
    made.mesh.fsdp, made.infer.rows, made.lengths = 2, 2, (2048,)
    made.benchmarks = ("conversations",)
    made.systems = ("personal_agent", "full_history", "oracle")
    made.conversations.path = str(tmp_path / "own.jsonl")
    eval_job.run(made, tmp_path / "w")
    rows = files.read_rows(tmp_path / "w" / "records.jsonl")
    found = {row["system"]: row["measures"] for row in rows}
    assert found["oracle"] == {"shown": 1.0, "precision": 1.0, "recall": 1.0, "facts": 1.0}
    assert found["full_history"] == {"shown": 1.0}
    assert set(found["personal_agent"]) == set(found["oracle"])

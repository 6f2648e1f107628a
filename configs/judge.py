"""Measure the judges: AUC per criterion, aggregate, canaries, agreement with gold.

python -m pa_jax.main --config=configs/judge.py
python -m pa_jax.main --config=configs/judge.py --config.data.source=prefeval --config.data.path=DIR
... --config.sheet=out.csv                 only write a sheet for people to rate
... --config.labels=anna.csv,ben.csv       agreement with filled-in sheets, and between raters
... --config.kinds='("remote",)' --config.remote.url=http://HOST/v1 --config.remote.model=NAME
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, ("qwen2.5-0.5b", "smollm2", "tiny", "qwen3-0.6b", "qwen3-4b"))
    small = preset == "tiny"
    c = ml_collections.ConfigDict()
    c.job = "judge"
    c.seed = 0  # of corruptions and canaries
    c.model = common.model(preset)
    # tokens of packed rows: few, each is more programs
    c.lengths = common.lengths(preset, trains=True)
    c.data = common.data(preset)
    c.split = "heldout"  # train | heldout | all
    c.kinds = ("likelihood", "verbal", "reference")  # and remote
    c.episodes = 8 if small else 200  # items: an episode, right and spoilt snippets of it
    c.bias = 4 if small else 40  # episodes of the bias checks, 0: none
    c.prompt = common.prompt(preset)  # of the snippets that the model writes for self-preference
    c.eval = common.evaluation(preset)
    c.sheet = ""  # CSV to write instead of judging
    c.labels = ""  # filled-in CSVs, commas between
    c.remote = common.remote()
    return c

"""What today's rules would have kept of the facts that a profile store once ended.

python -m pa_jax.main --config=configs/review.py --config.store=sqlite:///runs/profiles.db
"""

import ml_collections


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    if preset:
        raise ValueError(f"preset {preset!r}: review has none; set --config.store=URL.")
    c = ml_collections.ConfigDict()
    c.job = "review"
    c.store = "sqlite:///runs/profiles.db"  # database URL of the profiles; it is brought up to date
    return c

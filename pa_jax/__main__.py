"""python -m pa_jax: the same as python -m pa_jax.main."""

from pa_jax import main

if __name__ == "__main__":
    main.run()

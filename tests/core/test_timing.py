import jax
import jax.numpy as jnp
import pytest

from pa_jax.core import timing


def test_phases_add_up_and_start_over():
    now = iter([0.0, 1.0, 10.0, 14.0, 20.0, 20.5])
    timer = timing.PhaseTimer(clock=lambda: next(now))
    with timer.phase("rollout"):
        pass
    with timer.phase("update"):
        pass
    with pytest.raises(KeyError), timer.phase("rollout"):
        raise KeyError
    assert timer.take() == {"seconds/rollout": 1.5, "seconds/update": 4.0}
    assert timer.take() == {}


def test_each_new_shape_is_one_compile():
    x3, x4 = jnp.ones(3), jnp.ones(4)
    jax.block_until_ready((x3, x4))

    @jax.jit
    def doubled_for_test(x):
        return x * 2

    with timing.CompileCounter() as compiles:
        doubled_for_test(x3)
        doubled_for_test(x3)
        assert compiles.count == 1
        doubled_for_test(x4)
    assert compiles.count == 2
    assert all("doubled_for_test" in name for name, _ in compiles.compiled)
    assert compiles.seconds > 0


def test_nothing_is_counted_outside_the_block():
    with timing.CompileCounter() as compiles:
        pass
    jax.jit(lambda x: x - 5)(jnp.ones(7)).block_until_ready()
    assert compiles.count == 0

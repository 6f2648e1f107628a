"""Named slices, and seconds at the peaks."""

import pytest

from pa_jax.plan import roofline, topology


@pytest.mark.parametrize(
    "name, chips", [("v5e-1", 1), ("v5e-16", 16), ("v6e-64", 64), ("v5p-8", 4), ("v5p-512", 256)]
)
def test_names_count_chips_on_v5e_and_v6e_and_cores_on_v5p(name, chips):
    assert topology.named(name).chips == chips


def test_an_unknown_slice_names_the_known_ones():
    with pytest.raises(ValueError, match="slice='v5e-17'.*v5e-16, .*v5p-8"):
        topology.named("v5e-17")


def test_a_ring_that_is_not_closed_sends_one_way_only():
    # Google's pages: 400 GB/s a v5e chip, both ways, over 4 ports
    assert topology.named("v5e-16").ici_rate == 50e9
    assert topology.named("v5e-256").ici_rate == 100e9


def test_seconds_at_the_peaks_and_what_bounds_them():
    slice_ = topology.named("v5e-16")
    got = roofline.seconds(roofline.Load(197e12, 2 * 819e9, 50e9), slice_)
    assert (got.flops, got.hbm, got.ici) == (1, 2, 1)
    assert (got.floor, got.bound) == (2, "hbm")

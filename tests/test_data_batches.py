"""Drawn signs in batches: an exact share, in an order of seed and epoch, at the same number of steps."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.data.batches import Ints, count_drawn, mix_in

REAL_N, DRAWN_N = np.arange(100), np.arange(1000, 1013)


def mixed(seed: int = 0, epoch: int = 0, num_drawn: int = 3, drawn_N: Ints = DRAWN_N) -> Ints:
    return mix_in(REAL_N, drawn_N, batch_size=10, num_drawn=num_drawn, seed=seed, epoch=epoch)


def test_without_drawn_images_the_order_is_the_very_same() -> None:
    assert mixed(num_drawn=0) is REAL_N


def test_every_batch_has_its_share_and_the_real_images_stay_where_they_were() -> None:
    batches_SB = mixed().reshape(-1, 10)
    assert len(batches_SB) == 10
    assert np.array_equal(batches_SB[:, :7], REAL_N.reshape(10, 10)[:, :7])
    assert np.isin(batches_SB[:, 7:], DRAWN_N).all()


def test_no_drawn_image_comes_again_before_all_have_come() -> None:
    # 10 batches of 3 take 30 of 13 images: each 2 or 3 times
    drawn_N = mixed().reshape(-1, 10)[:, 7:].ravel()
    assert sorted(Counter(drawn_N.tolist()).values()) == [2] * 9 + [3] * 4
    assert set(drawn_N[:13]) == set(drawn_N[13:26]) == set(DRAWN_N)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert np.array_equal(mixed(seed=2, epoch=5), mixed(seed=2, epoch=5))
    for other in (mixed(seed=3, epoch=5), mixed(seed=2, epoch=6)):
        assert not np.array_equal(mixed(seed=2, epoch=5), other)


@given(
    num_real=st.integers(1, 200), batch_size=st.integers(2, 40), num_drawn=st.integers(1, 39), pool=st.integers(1, 50)
)
def test_steps_and_shares_hold_for_every_size(num_real: int, batch_size: int, num_drawn: int, pool: int) -> None:
    if num_drawn >= batch_size or batch_size > num_real:
        return
    order_N = mix_in(
        np.arange(num_real), np.arange(1000, 1000 + pool), batch_size=batch_size, num_drawn=num_drawn, seed=1, epoch=2
    )
    batches_SB = order_N.reshape(-1, batch_size)
    assert len(batches_SB) == num_real // batch_size
    assert ((batches_SB >= 1000).sum(axis=1) == num_drawn).all()


def test_a_share_becomes_a_whole_number_of_images() -> None:
    # 0.3 of 128 is 38.4
    assert [count_drawn(128, share) for share in (0.0, 0.3, 0.5)] == [0, 38, 64]


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_none_of_a_kind_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"images of a batch of 128: both kinds need at least one; choose"):
        count_drawn(128, share)

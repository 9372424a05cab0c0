"""Draws from a counter: keyed by seed, epoch, image id and column, uniform and independent."""

import torch
from scipy.stats import chi2

from fake_photos import ids
from roadtest.draws import draw_uniform


def splitmix64(state: int, step: int) -> int:
    """Output number `step` (from 1) of the published generator, in Python's own integers."""
    word = (state + step * 0x9E3779B97F4A7C15) % 2**64
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    return word ^ (word >> 31)


def test_draws_are_splitmix64_at_a_keyed_place() -> None:
    assert splitmix64(0, 1) == 0xE220A8397B1DCDAF  # the published first output for seed 0
    image_ids = [0, 1, 39_208, 2**40, 2**57]
    values = draw_uniform(torch.tensor(image_ids), seed=4, epoch=9, num_draws=13)
    key = splitmix64(splitmix64(4, 1) + 9, 1)
    expected = [[(splitmix64(key, 64 * i + d) >> 40) / 2**24 for d in range(13)] for i in image_ids]
    assert values.tolist() == expected


def test_columns_stay_when_more_are_drawn_and_rows_follow_their_ids() -> None:
    few, many = (draw_uniform(ids(50), seed=0, epoch=0, num_draws=num) for num in (5, 40))
    assert torch.equal(few, many[:, :5])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw_uniform(ids(50)[order], seed=0, epoch=0, num_draws=5), few[order])


def test_draws_are_uniform() -> None:
    values = draw_uniform(torch.arange(40_000), seed=0, epoch=0, num_draws=13)
    assert values.dtype == torch.float32
    assert values.min() >= 0
    assert values.max() < 1
    # A mean of 40,000 has the deviation sqrt(1 / 12 / 40,000) = 0.00144; five of them.
    assert (values.mean(0) - 0.5).abs().max() < 0.0072
    assert (values.double().var(0) - 1 / 12).abs().max() < 0.002  # five of sqrt((1/80 - 1/144) / 40,000)
    for column in values.unbind(1):
        counts = torch.histc(column, bins=100, min=0, max=1)
        assert chi2.ppf(1e-5, 99) < float(((counts - 400) ** 2 / 400).sum()) < chi2.ppf(1 - 1e-5, 99)


def test_draws_are_independent_across_ids_epochs_seeds_and_columns() -> None:
    image_ids = torch.arange(20_000)
    values = [
        draw_uniform(image_ids, seed=seed, epoch=epoch, num_draws=13)
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    columns = torch.cat([*values, values[0].roll(1, 0), values[0].roll(2, 0)], 1).T  # 78 series
    correlations = torch.corrcoef(columns.double()).fill_diagonal_(0).abs()
    # Of 3,003 pairs the largest of pure chance is about 3.6 deviations of 1 / sqrt(20,000).
    assert correlations.max() < 5 / 20_000**0.5

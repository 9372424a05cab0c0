"""Makers: every one is another, measures keep to their part of the range, and a figure is moved only a little."""

import numpy as np

from roadtest.data.signs.makers import Style, Wobble, draw_style, wobbled
from roadtest.data.signs.strokes import box


def drawn(seed: int, span: tuple[float, float] = (0.0, 1.0)) -> Style:
    return draw_style(np.random.Generator(np.random.PCG64(seed)), span)


def test_two_makers_differ_and_one_is_always_the_same() -> None:
    assert drawn(1) == drawn(1) != drawn(2)


def test_makers_of_two_spans_share_no_measure() -> None:
    low, high = ([drawn(seed, span) for seed in range(20)] for span in ((0.0, 0.6), (0.6, 1.0)))
    for name in ("rim", "weight", "digit_height", "gap", "triangle", "pictogram_scale", "arrow_width"):
        assert max(getattr(style, name) for style in low) <= min(getattr(style, name) for style in high), name


def test_without_a_wobble_a_figure_stays_as_it_is() -> None:
    figure = box(-0.3, -0.2, 0.4, 0.5)
    np.testing.assert_allclose(wobbled(figure, Wobble()), figure)


def test_a_wobble_turns_clockwise_about_its_middle_stretches_and_moves() -> None:
    ((point,),) = wobbled([((1.0, 0.5),)], Wobble(turn_degrees=90.0), middle=0.5)
    np.testing.assert_allclose(point, (0.0, 1.5), atol=1e-12)  # from the right to below
    ((point,),) = wobbled([((0.5, 0.25),)], Wobble(stretch=(1.2, 0.8), shift=(0.1, -0.1)))
    np.testing.assert_allclose(point, (0.7, 0.1))


def test_drawn_wobbles_move_no_point_far() -> None:
    figure = box(-0.5, -0.5, 0.5, 0.5)
    moves = [np.abs(np.array(wobbled(figure, drawn(seed).wobble)) - np.array(figure)).max() for seed in range(200)]
    assert 0.02 < np.median(moves) < 0.08 and max(moves) < 0.2

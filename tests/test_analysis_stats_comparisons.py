"""Verdicts, Holm's correction, letters, the leading set, and what more would cost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from roadtest.analysis import stats as judge


def _difference(
    estimate: float = 0.01,
    *,
    p_value: float = 0.5,
    num_seeds: int = 5,
    seed_variance: float = 1e-6,
    cluster_variance: float = 1e-6,
    cell_variance: float = 0.0,
) -> judge.Difference:
    return judge.Difference(
        estimate=estimate,
        low=estimate - 0.01,
        high=estimate + 0.01,
        standard_error=0.005,
        degrees_of_freedom=10.0,
        num_seeds=num_seeds,
        num_clusters=421,
        design_effect=6.0,
        statement=judge.ON_NEW_SIGNS,
        seed_variance=seed_variance,
        cluster_variance=cluster_variance,
        cell_variance=cell_variance,
        p_value=p_value,
        num_differing_clusters=50,
        rule_of_three_bound=0.0087,  # of 421 units
        seed_correlation=None,
        seeds_each=((num_seeds, seed_variance / 2), (num_seeds, seed_variance / 2)),
    )


def _verdicts(names: str, different: set[str], accuracies: dict[str, float]) -> list[judge.Verdict]:
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    p_values = {(a, b): 1e-9 if a + b in different else 0.9 for a, b in pairs}
    return judge.judge_pairs(
        {(a, b): _difference(accuracies[a] - accuracies[b], p_value=p_values[a, b]) for a, b in pairs}
    )


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1; then never below the one before.
    assert judge.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert judge.holm([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("num_pairs", [1, 2, 15, 66])
def test_holm_agrees_with_statsmodels(num_pairs: int) -> None:
    p_values = (np.random.default_rng(num_pairs).random(num_pairs) ** 3).round(2).tolist()  # rounded: ties occur
    np.testing.assert_allclose(judge.holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


def test_a_verdict_needs_holms_permission() -> None:
    # 0.03 alone would pass; beside two others, Holm's first is 3 * 0.012 = 0.036 and his second 2 * 0.03 = 0.06.
    pairs = {("a", "b"): 0.012, ("a", "c"): 0.03, ("b", "c"): 0.9}
    words = [v.word for v in judge.judge_pairs({pair: _difference(p_value=p) for pair, p in pairs.items()})]
    assert words == [judge.DIFFERENT, judge.NOT_SEPARATED, judge.NOT_SEPARATED]


def test_fewer_than_three_seeds_are_not_judged_and_cost_the_others_nothing() -> None:
    verdicts = judge.judge_pairs(
        {("a", "b"): _difference(p_value=0.04), ("a", "c"): _difference(p_value=1e-9, num_seeds=2)}
    )
    assert [v.word for v in verdicts] == [judge.DIFFERENT, judge.NOT_JUDGED]
    assert verdicts[0].p_adjusted == 0.04
    assert verdicts[1].p_adjusted is None
    assert verdicts[1].better is None


def test_the_better_one_is_named_only_where_shown() -> None:
    verdicts = _verdicts("ab", {"ab"}, {"a": 0.90, "b": 0.95})
    assert verdicts[0].better == "b"
    assert _verdicts("ab", set(), {"a": 0.90, "b": 0.95})[0].better is None


def test_the_leading_set_holds_everybody_not_shown_worse_than_the_leader() -> None:
    accuracies = {"c": 0.95, "a": 0.99, "b": 0.98, "d": 0.90}
    verdicts = _verdicts("abcd", {"ad", "bd", "bc"}, accuracies)
    # c lost to b but not to the leader a.
    assert judge.leading_set(accuracies, verdicts) == ("a", "b", "c")


def test_nobody_leads_who_is_shown_to_be_worse_than_another() -> None:
    # a has the best mean over all its seeds, and lost to b over those that both have
    verdicts = judge.judge_pairs({("a", "b"): _difference(-0.01, p_value=1e-9), ("b", "c"): _difference(0.01)})
    assert judge.leading_set({"a": 0.99, "b": 0.98, "c": 0.97}, verdicts) == ("b", "c")
    assert judge.leading_set({}, []) == ()


def test_a_network_that_was_judged_against_nobody_neither_leads_nor_shelters_the_beaten() -> None:
    one_seed = _difference(0.001, num_seeds=1)
    verdicts = judge.judge_pairs(
        {("a", "b"): one_seed, ("a", "c"): one_seed, ("b", "c"): _difference(0.03, p_value=1e-9)}
    )
    assert judge.leading_set({"a": 0.971, "b": 0.97, "c": 0.94}, verdicts) == ("b",)
    assert judge.leading_set({"a": 0.971, "b": 0.97}, judge.judge_pairs({("a", "b"): one_seed})) == ()


def test_networks_that_were_never_compared_share_no_letter() -> None:
    # x and y have seeds in common with a, and none with each other
    verdicts = judge.judge_pairs({("a", "x"): _difference(p_value=0.9), ("a", "y"): _difference(p_value=0.9)})
    assert judge.compact_letters({"a": 0.9, "x": 0.8, "y": 0.7}, verdicts) == {"a": "a", "x": "a", "y": ""}


def test_letters_by_hand() -> None:
    accuracies = {"p": 0.99, "q": 0.98, "r": 0.97, "s": 0.90}
    verdicts = _verdicts("pqrs", {"pr", "ps", "qs", "rs"}, accuracies)
    # p and q share a, q and r share b, s stands alone.
    assert judge.compact_letters(accuracies, verdicts) == {"p": "a", "q": "ab", "r": "b", "s": "c"}


def test_nobody_is_shown_apart_from_nobody() -> None:
    accuracies = {"p": 0.9, "q": 0.8}
    assert judge.compact_letters(accuracies, _verdicts("pq", set(), accuracies)) == {"p": "a", "q": "a"}
    assert judge.compact_letters({"p": 0.9}, []) == {"p": ""}


def test_a_network_that_was_not_judged_gets_no_letter() -> None:
    few = _difference(num_seeds=1)
    verdicts = judge.judge_pairs({("a", "b"): _difference(p_value=0.9), ("a", "c"): few, ("b", "c"): few})
    assert judge.compact_letters({"a": 0.9, "b": 0.8, "c": 0.7}, verdicts) == {"a": "a", "b": "a", "c": ""}


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.integers(2, 8).flatmap(lambda n: st.lists(st.booleans(), min_size=n * (n - 1) // 2, max_size=n * (n - 1) // 2))
)
def test_two_networks_share_a_letter_exactly_if_they_are_not_separated(flags: list[bool]) -> None:
    num_networks = round((1 + (1 + 8 * len(flags)) ** 0.5) / 2)
    names = "ABCDEFGH"[:num_networks]
    pairs = [a + b for i, a in enumerate(names) for b in names[i + 1 :]]
    different = {pair for pair, is_different in zip(pairs, flags, strict=True) if is_different}
    accuracies = {name: 0.9 - 0.01 * place for place, name in enumerate(names)}
    letters = judge.compact_letters(accuracies, _verdicts(names, different, accuracies))
    for pair in pairs:
        assert bool(set(letters[pair[0]]) & set(letters[pair[1]])) == (pair not in different)
    assert letters["A"].startswith("a")


def test_seeds_help_where_the_luck_is_theirs() -> None:
    # The variance is 4e-5 at 5 seeds, 2e-4 / n at n, and 1e-8 of the units. For a difference of 0.01, t = 0.01 / root:
    # 8 seeds bring 2.00 of the 2.145 needed, 9 seeds 2.121 of 2.120: four more.
    more = judge.required_to_separate(_difference(0.01, seed_variance=4e-5, cluster_variance=1e-8))
    assert more.least_seeds == 4
    assert more.most_seeds is not None
    assert more.most_seeds > more.least_seeds
    assert more.times_tracks is None


def test_no_number_of_seeds_helps_where_the_tracks_hide_it() -> None:
    # Units alone leave a standard error of 0.01 for a difference of 0.01: (1.96 * 0.01 / 0.01)^2 = 3.84 times.
    more = judge.required_to_separate(_difference(0.01, seed_variance=1e-8, cluster_variance=1e-4))
    assert (more.least_seeds, more.most_seeds) == (None, None)
    assert more.times_tracks == pytest.approx(3.8415, abs=1e-3)


def test_no_number_of_seeds_helps_where_too_few_units_differ() -> None:
    # Four units cannot give a p-value below 2 ** -3; six can give one below 5 %: half as many again.
    difference = replace(_difference(0.01, seed_variance=4e-5, cluster_variance=1e-8), num_differing_clusters=4)
    more = judge.required_to_separate(difference)
    assert (more.least_seeds, more.most_seeds, more.times_tracks) == (None, None, 1.5)


def test_of_different_numbers_of_seeds_each_networks_luck_shrinks_by_its_own() -> None:
    # all luck is b's, which has ten seeds already: 1e-3 / (10 + k), a's three seeds bring none; t has 11 + 2 k degrees
    # of freedom: 18 more seeds bring 2.008 of 2.012, 19 bring 2.044 of 2.010
    lopsided = replace(_difference(0.012, num_seeds=3, seed_variance=1e-4), seeds_each=((3, 0.0), (10, 1e-4)))
    assert judge.required_to_separate(lopsided).least_seeds == 19
    even = replace(lopsided, seeds_each=((3, 0.5e-4), (3, 0.5e-4)))  # 9 seeds bring 2.078 of 2.120, 10 2.191 of 2.101
    assert judge.required_to_separate(even).least_seeds == 7


def test_what_shows_a_network_to_be_close_enough_knows_how_far_few_differing_images_reach() -> None:
    # three folds of 20 tracks, one image apart: 3.689 / 60 tracks leave 5.96 points; half a point takes 736 tracks
    folds = {
        "statement": judge.ON_NEW_FOLDS,
        "num_seeds": 3,
        "seed_variance": 1e-8,
        "seeds_each": ((3, 1e-8),),
        "cluster_variance": 0.0,
        "num_differing_clusters": 1,
        "rule_of_three_bound": 1 - 0.025 ** (1 / 60),
    }
    near = replace(_difference(-0.0003), **folds)  # type: ignore[arg-type]
    found = judge.required_to_show(near, 0.005)
    assert found is not None and found.least_seeds == 15  # six images differ in 18 folds: nearer than 37 folds
    many = judge.required_to_show(replace(near, num_differing_clusters=6), 0.005)
    assert many is not None and many.least_seeds == 1
    assert judge.required_to_show(near, 0.0002) is None  # it looks worse than that


def test_on_one_set_seeds_do_not_help_where_few_units_differ() -> None:
    near = _difference(-0.0003, cluster_variance=1e-8)
    few = replace(near, num_differing_clusters=2, rule_of_three_bound=1 - 0.025 ** (1 / 100))
    found = judge.required_to_show(few, 0.005)
    assert found is not None and found.least_seeds is None
    assert found.times_tracks == pytest.approx(3.0)  # six units must differ where two do; by width it were 7.4 times
    unequal = judge.required_to_show(replace(few, num_differing_clusters=0), 0.005)
    assert unequal is not None and unequal.times_tracks == pytest.approx(7.36, abs=0.01)


def test_more_pairs_ask_for_more() -> None:
    difference = _difference(0.01, seed_variance=4e-5, cluster_variance=1e-6)
    alone, among_15 = (judge.required_to_separate(difference, num_pairs=n).least_seeds for n in (1, 15))
    assert alone is not None and among_15 is not None and among_15 > alone


def test_no_difference_needs_no_plan() -> None:
    more = judge.required_to_separate(_difference(0.0))
    assert more == judge.RequiredSampleSize()

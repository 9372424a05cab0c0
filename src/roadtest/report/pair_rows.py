"""Every pair of networks as the page needs it: the verdict's row, and beside it what seeds alone would say."""

from typing import Any

from roadtest.record import row_label
from roadtest.summarise import Results, judge_networks, retrained_difference, verdict_rows

Row = dict[str, Any]


def judged_pairs(results: Results) -> list[Row]:
    """The rows of `verdict_rows` with labels `a` and `b`, a plain `finding`, and the interval of seeds alone.

    `seeds_low` and `seeds_high` are None where seeds are too few, or each had a fold of its own.
    """
    judged = judge_networks(results)
    by_label = {variant.label: variant for variant in judged.variants}
    rows = []
    for row in verdict_rows(results):
        a, b = (row_label(row, side) for side in ("_a", "_b"))
        again = None
        if results.metric == "accuracy":
            again = retrained_difference(results, by_label[a], by_label[b], judged.part)
        more = {"a": a, "b": b, "seeds_low": again and again.low, "seeds_high": again and again.high}
        rows.append(row | more | {"finding": _finding(row)})
    return rows


def _finding(row: Row) -> str:
    """`separated`, `not separated`, or `not judged`."""
    if row["p_adjusted"] is None:
        return "not judged"
    return "separated" if row["better"] else "not separated"

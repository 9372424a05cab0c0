"""Many records become tables: leaderboard, verdicts, runs, latency, the STN's effect, and where a network errs.

Reads study folders only, imports no torch and computes nothing that a folder does not hold. Tables are lists of
dictionaries, ready for `pandas.DataFrame(rows)`; a function takes the study's folder, or the `Results` read from it
once where several tables are wanted.
"""

from roadtest.summarise.classes import class_rows, confusion_rows, error_part, pair_rows
from roadtest.summarise.costs import latency_rows, pareto_front
from roadtest.summarise.intervals import Estimate, difference_between, estimate_accuracy
from roadtest.summarise.leaderboard import best_variant, leaderboard_rows, ranked_variants, seed_rows
from roadtest.summarise.more import GOOD_NUM_SEEDS, More, MoreSeeds, more_for, more_seeds
from roadtest.summarise.pairs import (
    NOT_JUDGED,
    Judged,
    estimate_difference,
    judge_networks,
    judged_part,
    letter_rows,
    verdict_rows,
)
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.stn import TOLERANCE_POINTS, stn_rows, stn_worth
from roadtest.summarise.tables import FORMATS, format_cell, render_table

__all__ = [
    "FORMATS",
    "GOOD_NUM_SEEDS",
    "NOT_JUDGED",
    "TOLERANCE_POINTS",
    "Estimate",
    "Judged",
    "More",
    "MoreSeeds",
    "Results",
    "Variant",
    "best_variant",
    "class_rows",
    "confusion_rows",
    "difference_between",
    "error_part",
    "estimate_accuracy",
    "estimate_difference",
    "format_cell",
    "judge_networks",
    "judged_part",
    "latency_rows",
    "leaderboard_rows",
    "letter_rows",
    "more_for",
    "more_seeds",
    "pair_rows",
    "pareto_front",
    "ranked_variants",
    "read_results",
    "render_table",
    "seed_rows",
    "stn_rows",
    "stn_worth",
    "verdict_rows",
]

"""Many records become tables: leaderboard, verdicts, runs, latency, the STN's effect, and where a network errs.

Reads study folders only, imports no torch and computes nothing that a folder does not hold. Tables are lists of
dictionaries, ready for `pandas.DataFrame(rows)`; a function takes the study's folder, or the `Results` read from it
once where several tables are wanted.
"""

from roadtest.summarise.again import retrained_accuracy, retrained_difference
from roadtest.summarise.budgets import budget_rows, has_branches, target_rows
from roadtest.summarise.claims import claim_rows
from roadtest.summarise.classes import class_rows, confusion_rows, error_part, pair_rows
from roadtest.summarise.costs import device_column, devices_of, latency_rows, pareto_front
from roadtest.summarise.crossings import budget_sentences, crossover_rows
from roadtest.summarise.incumbents import incumbent_difference_rows, incumbent_rows, rows_with_incumbents
from roadtest.summarise.intervals import (
    Estimate,
    difference_between,
    estimate_accuracy,
    estimate_score,
    why_not_compared,
)
from roadtest.summarise.leaderboard import leaderboard_rows, seed_rows
from roadtest.summarise.metrics import ACCURACY, METRICS, Metric, check_metric
from roadtest.summarise.more import GOOD_NUM_SEEDS, More, more_for, more_seeds, more_to_show, repeat_commands
from roadtest.summarise.pairs import NOT_JUDGED, Judged, estimate_difference, judge_networks, judged_part, verdict_rows
from roadtest.summarise.pretraining import pretraining_rows
from roadtest.summarise.ranking import best_variant, order_words, ranked_variants
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.scores import mean_score, unseen_words, weakest_classes
from roadtest.summarise.standing import leading_words, standing_words
from roadtest.summarise.stn import stn_rows, stn_worth
from roadtest.summarise.tables import render_table

__all__ = [
    "ACCURACY",
    "GOOD_NUM_SEEDS",
    "METRICS",
    "NOT_JUDGED",
    "Estimate",
    "Judged",
    "Metric",
    "More",
    "Results",
    "Variant",
    "best_variant",
    "budget_rows",
    "budget_sentences",
    "check_metric",
    "claim_rows",
    "class_rows",
    "confusion_rows",
    "crossover_rows",
    "device_column",
    "devices_of",
    "difference_between",
    "error_part",
    "estimate_accuracy",
    "estimate_difference",
    "estimate_score",
    "has_branches",
    "incumbent_difference_rows",
    "incumbent_rows",
    "judge_networks",
    "judged_part",
    "latency_rows",
    "leaderboard_rows",
    "leading_words",
    "mean_score",
    "more_for",
    "more_seeds",
    "more_to_show",
    "order_words",
    "pair_rows",
    "pareto_front",
    "pretraining_rows",
    "ranked_variants",
    "read_results",
    "render_table",
    "repeat_commands",
    "retrained_accuracy",
    "retrained_difference",
    "rows_with_incumbents",
    "seed_rows",
    "standing_words",
    "stn_rows",
    "stn_worth",
    "target_rows",
    "unseen_words",
    "verdict_rows",
    "weakest_classes",
    "why_not_compared",
]

"""Many records become tables: leaderboard, verdicts, runs, latency, the STN's effect, and where a network errs.

Reads study folders only, imports no torch and computes nothing that a folder does not hold. Tables are lists of
dictionaries, ready for `pandas.DataFrame(rows)`; a function takes the study's folder, or the `Results` read from it
once where several tables are wanted.
"""

from roadtest.analysis.budgets import budget_rows, budget_sentences, crossover_rows, has_branches, target_rows
from roadtest.analysis.comparisons import (
    NOT_JUDGED,
    Estimate,
    Judged,
    best_variant,
    difference_between,
    estimate_accuracy,
    estimate_difference,
    estimate_score,
    judge_networks,
    judged_part,
    order_words,
    ranked_variants,
    retrained_accuracy,
    retrained_difference,
    verdict_rows,
    why_not_compared,
)
from roadtest.analysis.costs import device_column, devices_of, latency_rows, pareto_front
from roadtest.analysis.errors import class_rows, confusion_rows, error_part, pair_rows
from roadtest.analysis.factors import pretraining_rows, stn_rows, stn_worth
from roadtest.analysis.leaderboard import (
    incumbent_difference_rows,
    incumbent_rows,
    leaderboard_rows,
    leading_words,
    rows_with_incumbents,
    seed_rows,
    standing_words,
)
from roadtest.analysis.metrics import ACCURACY, METRICS, Metric, check_metric
from roadtest.analysis.results import Results, Variant, mean_score, read_results, unseen_words, weakest_classes
from roadtest.analysis.sample_size import GOOD_NUM_SEEDS, More, more_for, more_seeds, more_to_show, repeat_commands
from roadtest.format import render_table

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

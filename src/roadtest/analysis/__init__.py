"""Many records become tables: leaderboard, verdicts, runs, latency, the STN's effect, and where a network errs.

Reads study folders only, imports no torch and computes nothing that a folder does not hold. Tables are lists of
dictionaries, ready for `pandas.DataFrame(rows)`; a function takes the study's folder, or the `Results` read from it
once where several tables are wanted.
"""

from roadtest.analysis.budgets import budget_rows, budget_sentences, crossover_rows, has_branches, target_rows
from roadtest.analysis.comparisons import (
    NEEDS_SEEDS,
    Estimate,
    Judged,
    best_variant,
    estimate_difference,
    estimate_score,
    judge_networks,
    judged_split,
    order_sentence,
    ranked_variants,
    seed_only_accuracy,
    seed_only_difference,
    verdict_rows,
)
from roadtest.analysis.costs import device_column, devices_of, latency_rows, pareto_front
from roadtest.analysis.errors import class_rows, confusion_rows, error_split, pair_rows
from roadtest.analysis.external import external_difference_rows, rows_with_externals
from roadtest.analysis.factors import pretraining_rows, stn_rows
from roadtest.analysis.leaderboard import leaderboard_rows, leading_sentence, seed_rows, summary_sentences
from roadtest.analysis.metrics import ACCURACY, METRICS, check_metric
from roadtest.analysis.results import Results, Variant, missing_class_sentence, read_results
from roadtest.analysis.sample_size import GOOD_NUM_SEEDS, plan_more_seeds, repeat_commands
from roadtest.format import render_table

__all__ = [
    "ACCURACY",
    "GOOD_NUM_SEEDS",
    "METRICS",
    "NEEDS_SEEDS",
    "Estimate",
    "Judged",
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
    "error_split",
    "estimate_difference",
    "estimate_score",
    "external_difference_rows",
    "has_branches",
    "judge_networks",
    "judged_split",
    "latency_rows",
    "leaderboard_rows",
    "leading_sentence",
    "missing_class_sentence",
    "order_sentence",
    "pair_rows",
    "pareto_front",
    "plan_more_seeds",
    "pretraining_rows",
    "ranked_variants",
    "read_results",
    "render_table",
    "repeat_commands",
    "rows_with_externals",
    "seed_only_accuracy",
    "seed_only_difference",
    "seed_rows",
    "stn_rows",
    "summary_sentences",
    "target_rows",
    "verdict_rows",
]

"""Many records become tables: leaderboard, runs, latency, the STN's effect, and where a network errs.

Reads study folders only, imports no torch and computes nothing that a folder does not hold. Tables are lists of
dictionaries, ready for `pandas.DataFrame(rows)`; a function takes the study's folder, or the `Results` read from it
once where several tables are wanted.
"""

from roadtest.summarise.classes import class_rows, confusion_rows, error_part, pair_rows
from roadtest.summarise.costs import latency_rows, pareto_front
from roadtest.summarise.intervals import Estimate, estimate_accuracy, estimate_difference
from roadtest.summarise.leaderboard import best_variant, leaderboard_rows, ranked_variants, seed_rows
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.stn import stn_rows
from roadtest.summarise.tables import FORMATS, format_cell, render_table

__all__ = [
    "FORMATS",
    "Estimate",
    "Results",
    "Variant",
    "best_variant",
    "class_rows",
    "confusion_rows",
    "error_part",
    "estimate_accuracy",
    "estimate_difference",
    "format_cell",
    "latency_rows",
    "leaderboard_rows",
    "pair_rows",
    "pareto_front",
    "ranked_variants",
    "read_results",
    "render_table",
    "seed_rows",
    "stn_rows",
]

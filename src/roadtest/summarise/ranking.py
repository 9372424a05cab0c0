"""Which network comes first: validation puts them in order by the study's metric, and test never does.

Seeds validate on different folds, and folds differ in difficulty: a network that misses a seed is placed by the seeds
that all have in common. Networks with a seed that diverged come after the others, then undertrained ones, failed and
waiting ones last.
"""

import statistics

from roadtest.summarise.results import Results, Variant
from roadtest.summarise.scores import run_scores


def ranked_variants(results: Results) -> list[Variant]:
    """The networks in the order of the leaderboard: compared ones by validation, then those that are not."""
    seeds = _compared_seeds(results)
    common = set.intersection(*seeds) if seeds else set()
    return sorted(results.variants, key=lambda variant: _rank(results, variant, common))


def order_words(results: Results) -> str:
    """By which seeds the order goes, where networks have different ones; empty where all have the same."""
    seeds = _compared_seeds(results)
    if not seeds or all(one == seeds[0] for one in seeds):
        return ""
    common = sorted(set.intersection(*seeds))
    if not common:
        return "The networks have no seed in common, and folds differ in difficulty: the order means little."
    which = f"seed{'s' if len(common) > 1 else ''} {', '.join(map(str, common))}"
    return f"The order goes by {which}, which all networks have; the means are over all of a network's own."


def _compared_seeds(results: Results) -> list[set[int]]:
    return [{record.seed for record in variant.records} for variant in results.variants if variant.is_compared]


def best_variant(results: Results) -> Variant | None:
    """The network that validation chooses; None where none was trained enough."""
    first = next(iter(ranked_variants(results)), None)
    return first if first is not None and first.is_compared else None


def _rank(results: Results, variant: Variant, common_seeds: set[int]) -> tuple[int, float]:
    if not variant.records:
        return (3 if variant.failures else 4, 0.0)
    chosen = [record for record in variant.records if record.seed in common_seeds] or variant.records
    values = run_scores(results, chosen, "val", results.metric)
    place = 2 if variant.is_undertrained else 0 if variant.is_compared else 1
    return (place, -statistics.fmean(values) if values else 1.0)

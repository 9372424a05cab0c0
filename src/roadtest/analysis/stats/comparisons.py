"""The judge: which differences are real, in verdicts, letters and a leading set, and what would decide the others.

All pairs of networks shown are compared and their p-values corrected together (Holm 1979). A pair is `different`, `not
separated` (never written as "equal"), or `not judged` where a network has fewer than three seeds. The judge does not
choose what to show, reads no file and writes no sentence; docs/statistics.md defines each word.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from roadtest.analysis.stats.folds import ON_NEW_FOLDS
from roadtest.analysis.stats.intervals import CONFIDENCE, MIN_SEEDS, Difference

DIFFERENT, NOT_SEPARATED, NOT_JUDGED = "different", "not separated", "not judged"
"""The verdict on a pair."""
NOT_DECIDED = "not decided"
"""An interval that lies on both sides of a tolerance."""
MAX_SEEDS = 1000
"""Beyond this many seeds per network "no number of seeds" is the honest word."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said of two networks."""

    a: str
    b: str
    word: str
    """`different`, `not separated` or `not judged`."""
    difference: Difference
    """a minus b; its interval is uncorrected."""
    p_adjusted: float | None
    """Holm's, over all judged pairs; None where not judged."""

    @property
    def better(self) -> str | None:
        """The network shown to be better, if one is."""
        if self.word != DIFFERENT:
            return None
        return self.a if self.difference.estimate > 0 else self.b


@dataclass(frozen=True, kw_only=True)
class RequiredSampleSize:
    """What it would take to separate two networks, if the difference seen is the true one."""

    least_seeds: int | None = None
    """More seeds per network for an even chance; None where no number of seeds gives it on this test set."""
    most_seeds: int | None = None
    """More seeds per network for a chance of 90 %; None likewise."""
    times_tracks: float | None = None
    """Where seeds do not help: about this many times as many clusters would, with seeds enough."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being many (Holm 1979): reject those at most alpha, and any false one has chance alpha."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def judge_pairs(differences: Mapping[tuple[str, str], Difference]) -> list[Verdict]:
    """Give the verdict on every pair (a, b) from its difference a minus b, corrected together; in the given order."""
    judged = [pair for pair, difference in differences.items() if difference.num_seeds >= MIN_SEEDS]
    adjusted = dict(zip(judged, holm([differences[pair].p_value for pair in judged]), strict=True))
    verdicts = []
    for (a, b), difference in differences.items():
        p_value = adjusted.get((a, b))
        word = NOT_JUDGED if p_value is None else DIFFERENT if p_value <= 1 - CONFIDENCE else NOT_SEPARATED
        verdicts.append(Verdict(a=a, b=b, word=word, difference=difference, p_adjusted=p_value))
    return verdicts


def leading_set(accuracies: Mapping[str, float], verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The leader and every network judged against it and not shown to be worse; the leader first, then best first.

    The leader is the most accurate judged network that no other is shown to be better than: where networks have
    different seeds, the order by means and a verdict over common seeds may disagree. Nothing judged, nobody leads.
    """
    judged = [verdict for verdict in verdicts if verdict.word != NOT_JUDGED]
    known = {name for verdict in judged for name in (verdict.a, verdict.b)}
    ranked = sorted((name for name in accuracies if name in known), key=lambda name: -accuracies[name])
    if not ranked:
        return ()
    beaten = {v.b if v.better == v.a else v.a for v in judged if v.better}
    leader = next((name for name in ranked if name not in beaten), ranked[0])
    against = {v.b if v.a == leader else v.a for v in judged if leader in (v.a, v.b) and v.better != leader}
    return (leader, *(name for name in ranked if name in against))


def compact_letters(accuracies: Mapping[str, float], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Letters, `a` for the best: networks that share one are not separated (insert and absorb, Piepho 2004).

    Only networks that were judged against each other get letters: of two that were not, the more accurate one does.
    """
    judged = {frozenset((v.a, v.b)) for v in verdicts if v.word != NOT_JUDGED}
    ranked: list[str] = []
    for name in sorted(accuracies, key=lambda name: -accuracies[name]):
        if any(name in pair for pair in judged) and all(frozenset((name, other)) in judged for other in ranked):
            ranked.append(name)
    groups = [set(ranked)] if ranked else []
    for verdict in verdicts:
        if verdict.word == DIFFERENT and {verdict.a, verdict.b} <= set(ranked):
            groups = _split(groups, verdict.a, verdict.b)
    groups.sort(key=lambda group: [ranked.index(name) for name in sorted(group, key=ranked.index)])
    letters = dict.fromkeys(accuracies, "")
    for number, group in enumerate(groups):
        for name in group:
            letters[name] += _letter(number)
    return letters


def required_to_separate(difference: Difference, *, num_pairs: int = 1) -> RequiredSampleSize:
    """Estimate what would separate two networks at Holm's strictest level, from the components of the variance.

    It takes the difference seen, and the components, for the true ones: an order of magnitude, not a promise. Where the
    numbers of seeds differ, both networks get so many more.
    """
    if difference.estimate == 0:
        return RequiredSampleSize()
    alpha = (1 - difference.confidence) / num_pairs
    is_by_clusters = difference.statement != ON_NEW_FOLDS
    if is_by_clusters and difference.num_differing_clusters < _fewest(alpha):
        times = _fewest(alpha) / max(difference.num_differing_clusters, 1)
        return RequiredSampleSize(times_tracks=times)
    return _more(difference, alpha)


def required_to_show(difference: Difference, tolerance: float) -> RequiredSampleSize | None:
    """Estimate what would show that a is at most the tolerance worse than b; None where a was seen to be worse by it.

    As required_to_separate, but while too few clusters differ, a bound reaches as far as the rule of three.
    """
    ahead = difference.estimate + tolerance
    if ahead <= 0:
        return None
    found, times = _more(replace(difference, estimate=ahead), 1 - difference.confidence), _edge(difference, tolerance)
    if times <= 1:
        return found
    if difference.statement != ON_NEW_FOLDS:
        return RequiredSampleSize(times_tracks=max(times, found.times_tracks or 0.0))
    more = math.ceil(difference.num_seeds * (times - 1))
    least, most = (None if number is None else max(number, more) for number in (found.least_seeds, found.most_seeds))
    return RequiredSampleSize(least_seeds=least, most_seeds=most)


def _split(groups: list[set[str]], a: str, b: str) -> list[set[str]]:
    """Divide each group that holds both, then drop a group that lies inside another."""
    divided: list[set[str]] = []
    for group in groups:
        divided += [group - {a}, group - {b}] if {a, b} <= group else [group]
    return [
        group
        for number, group in enumerate(divided)
        if not any(group < other or (group == other and number > i) for i, other in enumerate(divided))
    ]


def _letter(number: int) -> str:
    """a to z, then A to Z, then letters with a number."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    round_number, place = divmod(number, len(alphabet))
    return alphabet[place] + (str(round_number) if round_number else "")


def _fewest(alpha: float) -> int:
    """Clusters that must differ: no test gives less than 2 ** (1 - their number)."""
    return math.ceil(1 - math.log2(alpha))


def _edge(difference: Difference, tolerance: float) -> float:
    """How many times as many clusters would bring the least width of the interval within the tolerance, or end it."""
    fewest, num_differing = _fewest(1 - difference.confidence), difference.num_differing_clusters
    if num_differing >= fewest or difference.rule_of_three_bound <= tolerance:
        return 1.0
    by_width = math.log1p(-difference.rule_of_three_bound) / math.log1p(-tolerance) if tolerance > 0 else math.inf
    return min(by_width, fewest / num_differing if num_differing else math.inf)


def _more(difference: Difference, alpha: float) -> RequiredSampleSize:
    """What would separate a difference from zero at this level, the edge aside."""
    least = _seeds_for(difference, alpha, power=0.5)
    most = _seeds_for(difference, alpha, power=0.9)
    lasting = max(difference.cluster_variance - difference.cell_variance, 0.0)
    times = lasting * (_quantile(1 - alpha / 2, 1e9) / difference.estimate) ** 2
    return RequiredSampleSize(least_seeds=least, most_seeds=most, times_tracks=times if least is None else None)


def _seeds_for(difference: Difference, alpha: float, *, power: float) -> int | None:
    """More seeds per network until the difference seen would be found with this chance; None beyond MAX_SEEDS."""
    lasting = max(difference.cluster_variance - difference.cell_variance, 0.0)
    chance = _quantile(power, 1e9)

    def is_enough(more: int) -> bool:
        variance = sum(part * num / (num + more) for num, part in difference.seeds_each) + lasting
        freedom = sum(num + more - 1 for num, _ in difference.seeds_each)
        return abs(difference.estimate) >= (_quantile(1 - alpha / 2, freedom) + chance) * math.sqrt(variance)

    # What is enough stays enough with more seeds: variance and quantile only fall.
    numbers = range(1, MAX_SEEDS - difference.num_seeds + 1)
    place = bisect_left(numbers, True, key=is_enough)
    return numbers[place] if place < len(numbers) else None


def _quantile(probability: float, degrees_of_freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, probability))

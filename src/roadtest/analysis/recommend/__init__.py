"""The network to use under the user's limits, and why.

Of the networks that meet the limits, the most accurate one in validation leads, or the best by the metric that
chooses. The answer is the cheapest network that is **shown** to be at most the tolerance worse than it: the lower
bound of the paired difference over the validation folds does not lie below minus the tolerance. Where only the leader
passes, it is the answer, and the cheaper ones are not decided. One or two seeds give the same table as an observation.
An undertrained network is never recommended; failed ones are listed.

Validation chooses, test confirms: test labels are read only for the figures in `test` and in the `test_` columns.
choice.py holds the rule, limits.py limits and the order of costs, choice.py what test
says, explain.py sentences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis.metrics import Metric
from roadtest.analysis.recommend.choice import Candidate, Choice, choose, confirm, figure, line_up
from roadtest.analysis.recommend.explain import Answer, agreement_words, change_words, sentences
from roadtest.analysis.recommend.limits import BY_NAME, choose_preference, misses, read_limits, read_tolerance
from roadtest.analysis.results import Results, read_results
from roadtest.format import Row
from roadtest.records import row_label

RECOMMENDED, NOTHING_MEETS, NOTHING_COMPARED = "recommended", "nothing meets the limits", "nothing to compare"


MISSES = "misses a limit"


MAX_NEAREST = 3


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The answer of `recommend`, with everything it rests on; `to_dict` gives plain values."""

    status: str
    """`recommended`, `nothing meets the limits` or `nothing to compare`."""
    recommended: Row | None
    """`network` and `has_stn`."""
    certainty: str | None
    """`judged` from three seeds on, else `observed`; None without an answer."""
    leader: Row | None
    """The most accurate network that meets the limits, or the best by another metric."""
    runner_up: Row | None
    """What the answer would be if the recommended network were not there."""
    limits: dict[str, float]
    """In the units of their names, accuracies and recalls as fractions."""
    metric: str
    """What chose: a key of METRICS."""
    tolerance_points: float
    prefer: str
    """What cheapest means: a key of PREFERENCES."""
    device: str | None
    """The other computer whose latency and memory count; None is the study's own."""
    binding: tuple[Row, ...]
    """Limits without which the answer would be another: `limits`, that answer, and what it has (`found`)."""
    would_change: tuple[str, ...]
    """What would change the answer: a limit, a tolerance, or more seeds."""
    nearest_misses: tuple[Row, ...]
    """Where nothing meets the limits: the networks nearest to doing so, with what they miss."""
    networks: tuple[Row, ...]
    """One row for each network of the study, in the order of the leaderboard."""
    failures: tuple[Row, ...]
    """Runs that failed: `network`, `has_stn`, `seed`, `reason`."""
    sentences: tuple[str, ...]
    """The answer in words, without test."""
    test: Row | None
    """Test figures of the recommended network, and whether test agrees; None where test was not read."""
    test_sentence: str

    @property
    def label(self) -> str | None:
        """`lenet5+stn`; None where nothing is recommended."""
        return row_label(self.recommended) if self.recommended else None

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def recommend(
    study: Path | Results,
    *,
    max_params: float | str | None = None,
    max_macs: float | str | None = None,
    max_size_mb: float | str | None = None,
    max_latency_ms: float | str | None = None,
    max_train_minutes: float | str | None = None,
    max_memory_mb: float | str | None = None,
    min_accuracy: float | str | None = None,
    min_class_recall: float | str | None = None,
    metric: str | None = None,
    tolerance: float | str | None = None,
    prefer: str | None = None,
    device: str | None = None,
) -> Recommendation:
    """Name the cheapest network within the limits that is shown to be at most `tolerance` points worse than the best.

    `min_accuracy` and `min_class_recall` (of every class, over the answers of all seeds) are fractions or texts such as
    `98%`. `metric` is a key of METRICS, None the study's own; `tolerance` None is half a point; `prefer` is a key of
    PREFERENCES, None is latency where it was measured; `device` is a computer that `add-device` brought, whose latency
    and memory then count instead of this one's. A ValueError says what is wrong with a limit.
    """
    given = {name: value for name, value in locals().items() if name in BY_NAME}
    limits, points = read_limits(given), None if tolerance is None else read_tolerance(tolerance)
    results = read_results(study, metric=metric, tolerance_points=points)
    lines = line_up(results, device)
    compared = [one for one in lines if one.variant.is_compared and figure(one.row) is not None]
    cheapest = choose_preference(prefer, [one.row for one in compared])
    rule = _Rule(results=results, compared=compared, tolerance=results.tolerance_points / 100, prefer=cheapest)
    choice = rule.answer(limits)
    binding = _binding(rule, choice, limits)
    changes = change_words(results, choice, binding) if choice else ()
    runner_up = rule.answer(limits, without=choice.recommended.label) if choice else None
    answer = Answer(choice=choice, runner_up=runner_up, limits=limits, binding=binding, prefer=cheapest, device=device)
    networks = tuple(_network_row(one.row, choice, limits, results.chosen_by) for one in lines)
    nearest = () if choice else _nearest(compared, limits)
    test = confirm(results, choice, rule.admissible(limits)) if choice else None
    if choice and test:
        test |= {name: choice.recommended.row[name] for name in _figure_columns("test", results.chosen_by)}
    return Recommendation(
        status=RECOMMENDED if choice else NOTHING_MEETS if compared else NOTHING_COMPARED,
        recommended=_name(choice.recommended.row) if choice else None,
        certainty=("judged" if choice.is_judged else "observed") if choice else None,
        leader=_name(choice.leader.row) if choice else None,
        runner_up=_name(runner_up.recommended.row) if runner_up else None,
        limits=limits,
        metric=results.metric,
        tolerance_points=results.tolerance_points,
        prefer=cheapest,
        device=device,
        binding=binding,
        would_change=changes,
        nearest_misses=nearest,
        networks=networks,
        failures=_failures(results),
        sentences=sentences(results, answer, nearest, networks, is_order_asked=prefer is not None),
        test=test,
        test_sentence=agreement_words(test, choice.recommended.label, results.chosen_by) if choice else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """The rule with all that stays the same while limits are tried."""

    results: Results
    compared: Sequence[Candidate]
    tolerance: float
    prefer: str

    def admissible(self, limits: Mapping[str, float]) -> list[Candidate]:
        """The networks that meet the limits, best first."""
        return [one for one in self.compared if not misses(one.row, limits)]

    def answer(self, limits: Mapping[str, float], *, without: str | None = None) -> Choice | None:
        """The choice under these limits, perhaps as if one network were not there."""
        candidates = [one for one in self.admissible(limits) if one.label != without]
        return choose(self.results, candidates, tolerance=self.tolerance, prefer=self.prefer)


def _binding(rule: _Rule, choice: Choice | None, limits: Mapping[str, float]) -> tuple[Row, ...]:
    """The limits without which the answer would be another: each alone, or where none is, several together."""
    alone = [_other_answer(rule, choice, limits, [name]) for name in limits]
    if any(alone):
        return tuple(row for row in alone if row)
    free = rule.answer({})
    together = [miss.limit for miss in misses(free.recommended.row, limits)] if free else []
    row = _other_answer(rule, choice, limits, together) if together else None
    return (row,) if row else ()


def _other_answer(rule: _Rule, choice: Choice | None, limits: Mapping[str, float], names: Sequence[str]) -> Row | None:
    """What the answer would be without these limits; None where it would be the same."""
    other = rule.answer({name: value for name, value in limits.items() if name not in names})
    if other is None or (choice is not None and other.recommended.label == choice.recommended.label):
        return None
    row = other.recommended.row
    found = {name: BY_NAME[name].found(row) for name in names}
    return {"limits": {name: limits[name] for name in names}, **_name(row), "found": found}


def _nearest(compared: Sequence[Candidate], limits: Mapping[str, float]) -> tuple[Row, ...]:
    """The networks with the fewest missed limits, and of these the ones least far off."""
    found = [(one, misses(one.row, limits)) for one in compared]
    found.sort(key=lambda pair: (len(pair[1]), pair[1][0].factor))
    return tuple(
        {**_name(one.row), "misses": [miss.to_dict() for miss in missed]} for one, missed in found[:MAX_NEAREST]
    )


def _failures(results: Results) -> tuple[Row, ...]:
    found = [failure for variant in results.variants for failure in variant.failures]
    return tuple(
        {"network": one.network, "has_stn": one.has_stn, "seed": one.seed, "reason": one.reason} for one in found
    )


def _network_row(row: Row, choice: Choice | None, limits: Mapping[str, float], metric: Metric) -> Row:
    verdict, reason = _verdict(row, choice, limits, metric)
    difference = choice.differences.get(row_label(row)) if choice else None
    costs = ("latency_p50_ms", "num_parameters", "macs", "size_bytes", "train_seconds_mean", "peak_memory_bytes")
    return {
        **_name(row),
        "verdict": verdict,
        "reason": reason,
        "num_runs": row["num_runs"],
        **{name: row[name] for name in _figure_columns("val", metric)},
        "val_gain": difference and difference.estimate,
        "val_gain_low": difference and difference.low,
        "val_gain_high": difference and difference.high,
        **{column: row[column] for column in costs},
        "status": row["status"],
        **{name: row[name] for name in _figure_columns("test", metric)},
        "weakest_class": row["val_weakest_class"],
        "weakest_label": row["val_weakest_label"],
        "weakest_recall": row["val_weakest_recall"],
    }


def _figure_columns(split: str, metric: Metric) -> list[str]:
    """Accuracy and, where another metric chooses, that one; each with its interval."""
    columns = dict.fromkeys(("accuracy", metric.column))
    return [f"{split}_{column}_{end}" for column in columns for end in ("mean", "low", "high")]


def _verdict(row: Row, choice: Choice | None, limits: Mapping[str, float], metric: Metric) -> tuple[str, str]:
    """One word for a network, and the reason."""
    if row["status"] not in ("complete", "incomplete"):
        reasons = {
            "undertrained": "less than two epochs: too little training to compare",
            "diverged": "a seed diverged: the mean over the others would flatter",
        }
        return row["status"], reasons.get(row["status"], "no finished run")
    missed = misses(row, limits)
    if missed or choice is None:
        return MISSES, "; ".join(miss.words for miss in missed)
    label = row_label(row)
    if label in {one.label for one in choice.cheaper}:
        verdict, reason = choice.verdict(label)
        return (RECOMMENDED if label == choice.recommended.label else verdict), reason
    by = "" if metric.column == "accuracy" else f" by {metric.words}"
    if label == choice.leader.label:
        verdict = RECOMMENDED if choice.is_leader else metric.superlative
        return verdict, f"the {metric.superlative}{by} in validation that meets the limits"
    better = metric.comparative
    is_tie = figure(row) == figure(choice.leader.row)
    as_good = f"not worse{by}" if is_tie else f"{better}{by}"
    return f"dearer, not {better}", f"{choice.leader.label} is cheaper and {as_good} in validation"


def _name(row: Row) -> Row:
    return {"network": row["network"], "has_stn": row["has_stn"]}

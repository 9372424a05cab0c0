"""The network to use under the user's limits, and why.

Of the networks that meet the limits, the most accurate one in validation leads, or the best by the metric that
chooses. The answer is the cheapest network that is **shown** to be at most the tolerance worse than it: the lower
bound of the paired difference over the validation folds does not lie below minus the tolerance. Where only the leader
passes, it is the answer, and the cheaper ones are not decided. One or two seeds give the same table as an observation.
An undertrained network is never recommended; failed ones are listed.

Validation chooses, test confirms: test labels are read only for the figures in `test` and in the `test_` columns.
choice.py holds the rule and what test says, limits.py limits and the order of costs, explain.py sentences. `find_run`
resolves the path of a study to a run of the recommended network, for predicting, evaluating and exporting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis.metrics import ACCURACY, METRICS
from roadtest.analysis.recommend.choice import Candidate, Choice, Confirmation, check_on_test, choose, line_up
from roadtest.analysis.recommend.explain import Answer, Binding, agreement_sentence, change_words, sentences
from roadtest.analysis.recommend.limits import (
    BY_NAME,
    Miss,
    choose_preference,
    misses,
    read_limits,
    read_tolerance,
)
from roadtest.analysis.results import Results, read_results
from roadtest.format import Row
from roadtest.records import is_finished, read_study_info, row_label

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

    `min_accuracy` and `min_class_recall` (of every class, over the predictions of all seeds) are fractions or texts
    like `98%`. `metric` is a key of METRICS, None the study's own; `tolerance` None is half a point; `prefer` is a key
    of PREFERENCES, None is latency where it was measured; `device` is a computer that `add-device` added, whose latency
    and memory then count instead of this one's. A ValueError says what is wrong with a limit.
    """
    given = {name: value for name, value in locals().items() if name in BY_NAME}
    limits, points = read_limits(given), None if tolerance is None else read_tolerance(tolerance)
    results = read_results(study, metric=metric, tolerance_points=points)
    candidates = line_up(results, device)
    compared = [one for one in candidates if one.variant.is_compared and one.score() is not None]
    cheapest = choose_preference(prefer, compared)
    rule = _Rule(results=results, compared=compared, prefer=cheapest)
    choice = rule.answer(limits)
    answer = Answer(
        results=results,
        candidates=candidates,
        choice=choice,
        runner_up=rule.answer(limits, without=choice.recommended.label) if choice else None,
        limits=limits,
        binding=_binding(rule, choice, limits),
        nearest=() if choice else _nearest(compared, limits),
        prefer=cheapest,
        is_order_asked=prefer is not None,
        device=device,
    )
    return _recommendation(answer, check_on_test(results, choice, rule.admissible(limits)) if choice else None)


def _recommendation(answer: Answer, check: Confirmation | None) -> Recommendation:
    results, choice = answer.results, answer.choice
    return Recommendation(
        status=RECOMMENDED if choice else NOTHING_MEETS if answer.nearest else NOTHING_COMPARED,
        recommended=choice.recommended.name if choice else None,
        certainty=("judged" if choice.is_judged else "observed") if choice else None,
        leader=choice.leader.name if choice else None,
        runner_up=answer.runner_up.recommended.name if answer.runner_up else None,
        limits=dict(answer.limits),
        metric=results.metric,
        tolerance_points=results.tolerance_points,
        prefer=answer.prefer,
        device=answer.device,
        binding=tuple(one.to_row() for one in answer.binding),
        would_change=change_words(answer),
        nearest_misses=tuple(
            {**one.name, "misses": [miss.to_dict() for miss in missed]} for one, missed in answer.nearest
        ),
        networks=tuple(_network_row(one, choice, answer.limits) for one in answer.candidates),
        failures=tuple(
            {"network": one.network, "has_stn": one.has_stn, "seed": one.seed, "reason": one.reason}
            for variant in results.variants
            for one in variant.failures
        ),
        sentences=sentences(answer),
        test=check.to_row() | _figure_columns(choice.recommended, "test") if choice and check else None,
        test_sentence=agreement_sentence(check, choice.recommended) if choice else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """The rule with all that stays the same while limits are tried."""

    results: Results
    compared: Sequence[Candidate]
    prefer: str

    def admissible(self, limits: Mapping[str, float]) -> list[Candidate]:
        """The networks that meet the limits, best first."""
        return [one for one in self.compared if not misses(one, limits)]

    def answer(self, limits: Mapping[str, float], *, without: str | None = None) -> Choice | None:
        """The choice under these limits, perhaps as if one network were not there."""
        candidates = [one for one in self.admissible(limits) if one.label != without]
        return choose(self.results, candidates, tolerance=self.results.tolerance_points / 100, prefer=self.prefer)


def _binding(rule: _Rule, choice: Choice | None, limits: Mapping[str, float]) -> tuple[Binding, ...]:
    """The limits without which the answer would be another: each alone, or if no single one, several together."""
    alone = [_other_answer(rule, choice, limits, [name]) for name in limits]
    if any(alone):
        return tuple(one for one in alone if one)
    free = rule.answer({})
    together = [miss.limit for miss in misses(free.recommended, limits)] if free else []
    found = _other_answer(rule, choice, limits, together) if together else None
    return (found,) if found else ()


def _other_answer(
    rule: _Rule, choice: Choice | None, limits: Mapping[str, float], names: Sequence[str]
) -> Binding | None:
    """What the answer would be without these limits; None where it would be the same."""
    other = rule.answer({name: value for name, value in limits.items() if name not in names})
    if other is None or (choice is not None and other.recommended.label == choice.recommended.label):
        return None
    return Binding(limits={name: limits[name] for name in names}, other=other.recommended)


def _nearest(compared: Sequence[Candidate], limits: Mapping[str, float]) -> list[tuple[Candidate, list[Miss]]]:
    """The networks with the fewest missed limits, and of these the ones least far off."""
    found = [(one, misses(one, limits)) for one in compared]
    return sorted(found, key=lambda pair: (len(pair[1]), pair[1][0].factor))[:MAX_NEAREST]


def _network_row(one: Candidate, choice: Choice | None, limits: Mapping[str, float]) -> Row:
    verdict, reason = _verdict(one, choice, limits)
    difference = choice.differences.get(one.label) if choice else None
    costs = {"latency_p50_ms": one.costs.latency_p50_ms} | vars(one.costs)
    weakest = next(iter(one.weakest_classes), None)
    return {
        **one.name,
        "verdict": verdict,
        "reason": reason,
        "num_runs": len(one.variant.records),
        **_figure_columns(one, "val"),
        "val_gain": difference and difference.estimate,
        "val_gain_low": difference and difference.low,
        "val_gain_high": difference and difference.high,
        **costs,
        "status": one.variant.status,
        **_figure_columns(one, "test"),
        "weakest_class": weakest and weakest.class_name,
        "weakest_label": weakest and weakest.label,
        "weakest_recall": weakest and weakest.recall,
    }


def _figure_columns(one: Candidate, split: str) -> Row:
    """Accuracy and, where another metric chooses, that one; each with its interval."""
    metrics = dict.fromkeys((METRICS[ACCURACY], one.row.metric))
    figures = {metric.column: one.row.figure(split, metric.name) for metric in metrics}
    return {f"{split}_{column}_{end}": value for column, fig in figures.items() for end, value in vars(fig).items()}


def _verdict(one: Candidate, choice: Choice | None, limits: Mapping[str, float]) -> tuple[str, str]:
    """One word for a network, and the reason."""
    status, metric = one.variant.status, one.row.metric
    if status not in ("complete", "incomplete"):
        reasons = {
            "undertrained": "less than two epochs: too little training to compare",
            "diverged": "a seed diverged: the mean over the others would flatter",
        }
        return status, reasons.get(status, "no finished run")
    missed = misses(one, limits)
    if missed or choice is None:
        return MISSES, "; ".join(miss.words for miss in missed)
    if one.label in {other.label for other in choice.cheaper}:
        verdict, reason = choice.verdict(one.label)
        return (RECOMMENDED if one.label == choice.recommended.label else verdict), reason
    by = "" if metric.name == ACCURACY else f" by {metric.words}"
    if one.label == choice.leader.label:
        verdict = RECOMMENDED if choice.is_leader else metric.superlative
        return verdict, f"the {metric.superlative}{by} in validation that meets the limits"
    better = metric.comparative
    as_good = f"not worse{by}" if one.score() == choice.leader.score() else f"{better}{by}"
    return f"dearer, not {better}", f"{choice.leader.label} is cheaper and {as_good} in validation"


WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A run's folder, and how it was found."""

    path: Path
    words: str
    """One line for people: which run is taken, and why; empty where the run itself was named."""


def find_run(path: str | Path) -> FoundRun:
    """Resolve a path to a finished run; a ValueError in one line where there is none."""
    folder = Path(path).expanduser()
    if is_finished(folder) or not (folder / "study.json").exists():
        _check_is_run(folder)
        return FoundRun(path=folder, words="")
    return _recommended_run(folder)


def _check_is_run(folder: Path) -> None:
    if is_finished(folder):
        return
    if not folder.exists():
        what = "does not exist"
    elif not folder.is_dir():
        what = "is a file"
    elif runs := sorted(folder.glob("seed-*/record.json")):
        what = f"holds {len(runs)} runs, such as {runs[0].parent.name}"
    elif (folder / "log.txt").exists():
        what = "is a run that is not finished"
    else:
        what = "holds neither a record.json nor a study.json"
    raise ValueError(
        f"{folder} {what}: give the folder of a finished run (STUDY/lenet5/seed-0), or of a study, which means its "
        "recommended network; `roadtest leaderboard STUDY` lists them"
    )


def _recommended_run(study_dir: Path) -> FoundRun:
    found = recommend(study_dir)
    if found.recommended is None:
        raise ValueError(
            f"{study_dir} recommends no network ({found.status}): finish it with the same compare command, or name a "
            "run in it, such as lenet5/seed-0"
        )
    label = row_label(found.recommended)
    planned = [run for run in read_study_info(study_dir).runs if run.label == label]
    finished = sorted((run for run in planned if is_finished(study_dir / run.folder)), key=lambda run: run.seed)
    chosen = next((run for run in finished if (study_dir / run.folder / WEIGHTS).exists()), finished[0])
    words = f"{study_dir} recommends {label} ({found.certainty}): its run with seed {chosen.seed} is taken"
    return FoundRun(path=study_dir / chosen.folder, words=words)

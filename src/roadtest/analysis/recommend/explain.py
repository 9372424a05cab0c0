"""The sentences of a recommendation, each computed from the choice; nothing is chosen here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadtest.analysis import stats
from roadtest.analysis.comparisons import order_sentence
from roadtest.analysis.costs import devices_of
from roadtest.analysis.metrics import ACCURACY, Metric
from roadtest.analysis.recommend.choice import Candidate, Choice, Confirmation, corrected
from roadtest.analysis.recommend.limits import BY_NAME, Miss, render_cost
from roadtest.analysis.results import Results, missing_class_sentence
from roadtest.analysis.sample_size import plan_more_seeds, required_to_show
from roadtest.format import (
    Row,
    format_about,
    format_gain_interval,
    format_interval,
    format_percent,
    format_points,
    plural,
)
from roadtest.records.measurements import is_exported


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Limits without which the answer would be another."""

    limits: Mapping[str, float]
    other: Candidate
    """The answer without them."""

    @property
    def found(self) -> dict[str, float | None]:
        """What the other answer has where the limits are, in their units."""
        return {name: BY_NAME[name].found(self.other) for name in self.limits}

    def to_row(self) -> Row:
        """Plain values, ready for JSON."""
        return {"limits": dict(self.limits), **self.other.name, "found": self.found}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the sentences speak of: the choice, and what was asked for."""

    results: Results
    candidates: Sequence[Candidate]
    """Every network, best first."""
    choice: Choice | None
    runner_up: Choice | None
    limits: Mapping[str, float]
    binding: Sequence[Binding]
    nearest: Sequence[tuple[Candidate, list[Miss]]]
    """Where nothing meets the limits: the networks nearest to doing so."""
    prefer: str
    is_order_asked: bool
    """The user named what to prefer."""
    device: str | None


def sentences(answer: Answer) -> tuple[str, ...]:
    """Return the answer first, then what else to know, in the order a reader asks."""
    if answer.choice is None:
        parts = [_why_nothing(answer)]
    else:
        parts = [_use(answer.choice, answer), _undecided(answer.choice), _runner_up(answer), _binding(answer)]
        parts += [_edge(answer.choice, answer.limits)]
        parts += [order_sentence(answer.results), missing_class_sentence(answer.results)]
    parts += [_left_out(answer.candidates), _latency_note(answer)]
    return tuple(sentence for sentence in parts if sentence)


def change_words(answer: Answer) -> tuple[str, ...]:
    """Say what would change the answer: a limit that binds, a wider tolerance, more seeds."""
    choice, binding = answer.choice, answer.binding
    if choice is None:
        return ()
    changes = [f"without {_option_words(one.limits)}: {one.other.label} ({_found_words(one)})" for one in binding]
    place = [one.label for one in choice.cheaper].index(choice.recommended.label) if not choice.is_leader else None
    closer = choice.cheaper[:place]
    return (*changes, *_tolerance_words(choice, closer), *_seed_words(answer.results, choice, closer))


def agreement_sentence(check: Confirmation | None, own: Candidate) -> str:
    """Say what test says of the recommended network."""
    if check is None:
        return "Test was not read: nothing confirms the choice."
    figure = own.row.figure("test")
    interval = format_interval(figure.low, figure.high)
    reached = f"On test {own.label} reached {_named(own.row.metric)}{format_percent(figure.mean)}"
    reached += f" ({interval})" if interval else ""
    if check.against is None:
        return f"{reached}; there is nothing to compare it with."
    if check.gap is None:
        return f"{reached}; test does not decide: {check.why_open}."
    bounds = f"{format_gain_interval(check.gap.low, check.gap.high)}{corrected(check.num_pairs)}"
    few = ", observed for these trained weights" if check.statement == stats.THESE_WEIGHTS else ""
    which = "the best other there" if check.is_best else "which is nearest to that"
    gap = f"{format_points(check.gap.estimate)} points ({bounds}) from {check.against.label}, {which}"
    return f"{reached}. Test {check.agreement}{few}: {gap}."


def _use(choice: Choice, answer: Answer) -> str:
    own, leader = choice.recommended, choice.leader
    few = "" if choice.is_judged else f"Observed only; {choice.remark}. "
    best = f"the {own.row.metric.superlative}"
    asked = " that meets the limits" if answer.limits else ""
    within = f"at most {100 * choice.tolerance:g} points worse"
    figures = _figures(own, answer.prefer)
    if choice.is_leader and not choice.cheaper:
        return f"{few}Use {own.label}: {best}{asked}, and the cheapest ({figures})."
    if choice.is_leader:
        return f"{few}Use {own.label}: {best}{asked} ({figures}); no cheaper one is shown to be {within}."
    difference = choice.differences[own.label]
    shown = "shown" if choice.is_judged else "observed"
    others = f"{len(choice.cheaper)} cheaper networks against {leader.label}"
    correction = f" (after correction for all pairs: {others})" if choice.correction else ""
    return (
        f"{few}Use {own.label} ({figures}): the cheapest{asked} that is {shown} to be {within} "
        f"than {leader.label}, {best} ({_figures(leader, answer.prefer)}): "
        f"{format_points(difference.estimate)} points, not below {format_points(difference.low)}{correction}."
    )


def _figures(one: Candidate, prefer: str) -> str:
    """`98.72 % in validation, latency 10.15 ms`."""
    before = {"latency": "latency ", "size": "weights of ", "train-time": "trained in "}.get(prefer, "")
    named = f"{_named(one.row.metric)}{format_percent(one.score())}"
    return f"{named} in validation, {before}{render_cost(one, prefer)}"


def _undecided(choice: Choice) -> str:
    labels = [one.label for one in choice.cheaper if choice.verdict(one.label)[0] == stats.NOT_DECIDED]
    return f"Cheaper than {choice.leader.label}, but not decided: {', '.join(labels)}." if labels else ""


def _runner_up(answer: Answer) -> str:
    if answer.runner_up is None:
        return "There is no runner-up: no other network meets what is asked."
    own = answer.runner_up.recommended
    return f"Runner-up: {own.label} ({_figures(own, answer.prefer)})."


def _binding(answer: Answer) -> str:
    """Which limit decides the answer."""
    if not answer.limits:
        return ""
    if not answer.binding:
        return "No limit binds: without them the answer is the same."
    together = ", together" if len(answer.binding[0].limits) > 1 else ""
    return f"What binds: {', '.join(_option_words(one.limits) for one in answer.binding)}{together}."


def _edge(choice: Choice, limits: Mapping[str, float]) -> str:
    """A limit on accuracy that the mean meets and the interval does not."""
    least, low = limits.get("min_accuracy"), choice.recommended.row.figure("val", ACCURACY).low
    if least is None or low is None or low >= least:
        return ""
    return f"Its mean meets {format_percent(least)}, its interval reaches down to {format_percent(low)}."


def _why_nothing(answer: Answer) -> str:
    if not answer.nearest:
        return "Nothing to recommend: no network was trained long enough to be compared."
    words = [f"{one.label} ({'; '.join(miss.words for miss in missed)})" for one, missed in answer.nearest]
    return f"No network meets {_option_words(answer.limits)}. The nearest misses: {', '.join(words)}."


def _left_out(candidates: Sequence[Candidate]) -> str:
    """Every network that could not be compared, with why."""
    status = {one.label: one.variant.status for one in candidates}
    out = [f"{label} ({word})" for label, word in status.items() if word not in ("complete", "incomplete")]
    partial = [label for label, word in status.items() if word == "incomplete"]
    text = f"Not compared: {', '.join(out)}." if out else ""
    return " ".join(filter(None, [text, f"With runs missing: {', '.join(partial)}." if partial else ""]))


def _latency_note(answer: Answer) -> str:
    """Where the latencies come from."""
    results, device = answer.results, answer.device
    trained = [one for one in answer.candidates if one.variant.records]
    unmeasured = ", ".join(one.label for one in trained if one.costs.latency_p50_ms is None)
    if device is not None:
        measured = devices_of(results)[device]
        samples = [sample for one in measured for sample in one.samples]
        cpus = ", ".join(dict.fromkeys(one.machine.cpu_name for one in measured))
        threads = plural(max(sample.num_threads for sample in samples), "thread")
        missing = f" Not measured there: {unmeasured}." if unmeasured else ""
        where = f"Latency on {device} ({cpus}; ONNX Runtime, {threads}): the median of one image alone."
        return f"{where}{_busy(any(sample.is_busy for sample in samples))}{missing}"
    rows = [row for row in results.latency_rows if not is_exported(row)]
    if not rows:
        return "Latency was not measured: cheapest means the fewest parameters." if not answer.is_order_asked else ""
    if answer.prefer != "latency" and "max_latency_ms" not in answer.limits:
        return ""
    cpus = ", ".join(dict.fromkeys(record.machine.cpu_name for record in results.records))
    where = f"{rows[0]['runtime']}, {rows[0]['device']}, {rows[0]['num_threads']} threads"
    missing = f" Not measured: {unmeasured}." if unmeasured else ""
    return (
        f"Latency on this computer, the study's ({cpus}; {where}): the median of one image alone. "
        f"Another computer may order the networks otherwise.{_busy(any(r['is_busy'] == 'True' for r in rows))}{missing}"
    )


def _busy(is_busy: bool) -> str:
    return " Some samples were taken while it was busy." if is_busy else ""


def _tolerance_words(choice: Choice, closer: Sequence[Candidate]) -> list[str]:
    """The least tolerance with which a cheaper network would pass."""
    found = {one.label: choice.differences[one.label] for one in closer if one.label in choice.differences}
    needed = {label: -one.low for label, one in found.items() if one.num_seeds >= stats.MIN_SEEDS}
    if not needed:
        return []
    label = min(needed, key=lambda one: needed[one])
    points = math.ceil(100 * 100 * needed[label]) / 100
    return [f"with --tolerance {points:g}: {label}"] if points < 100 else []


def _seed_words(results: Results, choice: Choice, closer: Sequence[Candidate]) -> list[str]:
    """More seeds: the command where there are too few for a verdict, else how many might decide."""
    if not choice.is_judged:
        words = _command_words(results, "with more seeds the answer would be judged")
        return [words] if words and choice.needs_seeds else []
    undecided = {
        one.label: choice.differences[one.label]
        for one in closer
        if one.label in choice.differences and choice.verdict(one.label)[0] == stats.NOT_DECIDED
    }
    few = [label for label, difference in undecided.items() if difference.num_seeds < stats.MIN_SEEDS]
    changes = [_command_words(results, f"with more seeds {label} would be judged too") for label in few[:1]]
    for label, difference in undecided.items():
        needed = required_to_show(results, difference, choice.tolerance) if label not in few else None
        if needed is not None:
            might = "might be shown to be within the tolerance by" if needed.least_seeds else "stays undecided:"
            changes.append(f"{label} {might} {needed.words}")
    return [words for words in changes if words]


def _command_words(results: Results, what: str) -> str:
    """The command that adds the seeds, and its time; empty where all networks have them."""
    plan = plan_more_seeds(results)
    if plan is None:
        return ""
    time = f" ({format_about(plan.train_seconds)} of training)" if plan.train_seconds else ""
    return f"{what}: {plan.command}{time}"


def _option_words(limits: Mapping[str, float]) -> str:
    """`--max-latency-ms 5 and --max-params 1000000`, as typed."""
    return " and ".join(f"{BY_NAME[name].option} {BY_NAME[name].typed(value)}" for name, value in limits.items())


def _found_words(binding: Binding) -> str:
    """What the other answer has where the limits are."""
    found = [(BY_NAME[name], value) for name, value in binding.found.items()]
    return ", ".join("not measured" if value is None else limit.render(value) for limit, value in found)


def _named(metric: Metric) -> str:
    """`macro-F1 ` before a figure; an accuracy is understood."""
    return "" if metric.name == ACCURACY else f"{metric.words} "

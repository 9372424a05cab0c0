"""The sentences of a recommendation, each computed from the choice; nothing is chosen here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadtest.analysis import stats
from roadtest.analysis.comparisons import NEEDS_SEEDS, order_sentence
from roadtest.analysis.costs import devices_of
from roadtest.analysis.metrics import METRICS, Metric
from roadtest.analysis.recommend.choice import NOT_DECIDED, Candidate, Choice, corrected, figure
from roadtest.analysis.recommend.limits import BY_NAME, PREFERENCES, render_cost
from roadtest.analysis.results import Results, missing_class_sentence
from roadtest.analysis.sample_size import plan_more_seeds, required_for_tolerance
from roadtest.format import Row
from roadtest.records.measurements import is_exported


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the sentences tell of: the choice, and what was asked for."""

    choice: Choice | None
    runner_up: Choice | None
    limits: Mapping[str, float]
    binding: Sequence[Row]
    prefer: str
    device: str | None = None


def sentences(
    results: Results, answer: Answer, nearest: Sequence[Row], networks: Sequence[Row], *, is_order_asked: bool
) -> tuple[str, ...]:
    """The answer first, then what else to know, in the order a reader asks."""
    if answer.choice is None:
        told = [_why_nothing(answer.limits, nearest)]
    else:
        told = [_use(answer.choice, answer), _undecided(answer.choice), _runner_up(answer), _binding(answer)]
        told += [_edge(answer.choice, answer.limits), order_sentence(results), missing_class_sentence(results)]
    told += [_left_out(networks), _latency_note(results, answer, networks, is_order_asked=is_order_asked)]
    return tuple(sentence for sentence in told if sentence)


def change_words(results: Results, choice: Choice, binding: Sequence[Row]) -> tuple[str, ...]:
    """What would change the answer: a limit that binds, a wider tolerance, more seeds."""
    changes = [f"without {_option_words(row['limits'])}: {_label(row)} ({_found_words(row)})" for row in binding]
    place = [one.label for one in choice.cheaper].index(choice.recommended.label) if not choice.is_leader else None
    open_ones = choice.cheaper[:place]
    changes += _tolerance_words(choice, open_ones)
    return (*changes, *_seed_words(results, choice, open_ones))


def agreement_words(test: Row | None, label: str, metric: Metric) -> str:
    """What test says of the recommended network."""
    if test is None:
        return "Test was not read: nothing confirms the choice."
    mean, low, high = (test[f"test_{metric.column}_{end}"] for end in ("mean", "low", "high"))
    reached = f"On test {label} reached {_named(metric)}{_percent(mean)}{_interval(low, high)}"
    if test["against"] is None:
        return f"{reached}; there is nothing to compare it with."
    if test["agreement"] is None:
        return f"{reached}; test does not decide: {test['why_open']}."
    bounds = f"{_points(test['test_gain_low'])} to {_points(test['test_gain_high'])}{corrected(test['num_pairs'])}"
    gap = f"{_points(test['test_gain'])} points ({bounds})"
    said = f"Test {test['agreement']}"
    few = ", observed for these trained weights" if test["statement"] == stats.THESE_WEIGHTS else ""
    against = f"{_label(test['against'])}, {'the best other there' if test['is_best'] else 'which is nearest to that'}"
    return f"{reached}. {said}{few}: {gap} from {against}."


def _use(choice: Choice, answer: Answer) -> str:
    own, leader = choice.recommended, choice.leader
    few = "" if choice.is_judged else f"Observed only; {choice.remark}. "
    best = f"the {METRICS[own.row['metric']].superlative}"
    asked = " that meets the limits" if answer.limits else ""
    within = f"at most {100 * choice.tolerance:g} points worse"
    if choice.is_leader and not choice.cheaper:
        return f"{few}Use {own.label}: {best}{asked}, and the cheapest ({_figures(own, answer.prefer)})."
    if choice.is_leader:
        most = f"{few}Use {own.label}: {best}{asked} ({_figures(own, answer.prefer)})"
        return f"{most}; no cheaper one is shown to be {within}."
    difference = choice.differences[own.label]
    shown = "shown" if choice.is_judged else "observed"
    others = f"{len(choice.cheaper)} cheaper networks against {leader.label}"
    correction = f" (after correction for all pairs: {others})" if choice.correction else ""
    return (
        f"{few}Use {own.label} ({_figures(own, answer.prefer)}): the cheapest{asked} that is {shown} to be {within} "
        f"than {leader.label}, {best} ({_figures(leader, answer.prefer)}): "
        f"{_points(difference.estimate)} points, not below {_points(difference.low)}{correction}."
    )


def _figures(one: Candidate, prefer: str) -> str:
    """`98.72 % in validation, latency 10.15 ms`."""
    before = {"latency": "latency ", "size": "weights of ", "train-time": "trained in "}.get(prefer, "")
    value = figure(one.row)
    assert value is not None, "a candidate has a figure"
    named = _named(METRICS[one.row["metric"]])
    return f"{named}{_percent(value)} in validation, {before}{render_cost(one.row, prefer)}"


def _undecided(choice: Choice) -> str:
    labels = [one.label for one in choice.cheaper if choice.verdict(one.label)[0] == NOT_DECIDED]
    if not labels:
        return ""
    return f"Cheaper than {choice.leader.label}, but not decided: {', '.join(labels)}."


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
    together = ", together" if len(answer.binding[0]["limits"]) > 1 else ""
    return f"What binds: {', '.join(_option_words(row['limits']) for row in answer.binding)}{together}."


def _edge(choice: Choice, limits: Mapping[str, float]) -> str:
    """A limit on accuracy that the mean meets and the interval does not."""
    least, low = limits.get("min_accuracy"), choice.recommended.row["val_accuracy_low"]
    if least is None or low is None or low >= least:
        return ""
    return f"Its mean meets {_percent(least)}, its interval reaches down to {_percent(low)}."


def _why_nothing(limits: Mapping[str, float], nearest: Sequence[Row]) -> str:
    if not nearest:
        return "Nothing to recommend: no network was trained long enough to be compared."
    words = [f"{_label(row)} ({'; '.join(miss['words'] for miss in row['misses'])})" for row in nearest]
    return f"No network meets {_option_words(limits)}. The nearest misses: {', '.join(words)}."


def _left_out(networks: Sequence[Row]) -> str:
    """Every network that could not be compared, with why."""
    out = [f"{_label(row)} ({row['status']})" for row in networks if row["status"] not in ("complete", "incomplete")]
    partial = [_label(row) for row in networks if row["status"] == "incomplete"]
    text = f"Not compared: {', '.join(out)}." if out else ""
    return " ".join(filter(None, [text, f"With runs missing: {', '.join(partial)}." if partial else ""]))


def _latency_note(results: Results, answer: Answer, networks: Sequence[Row], *, is_order_asked: bool) -> str:
    if answer.device is not None:
        return _device_note(results, answer.device, networks)
    rows = [row for row in results.latency_rows if not is_exported(row)]
    if not rows:
        return "Latency was not measured: cheapest means the fewest parameters." if not is_order_asked else ""
    if answer.prefer != "latency" and "max_latency_ms" not in answer.limits:
        return ""
    where = f"{rows[0]['runtime']}, {rows[0]['device']}, {rows[0]['num_threads']} threads"
    cpus = dict.fromkeys(record.machine.cpu_name for record in results.records)
    busy = " Some samples were taken while it was busy." if any(row["is_busy"] == "True" for row in rows) else ""
    unmeasured = [_label(row) for row in networks if row["num_runs"] and row[PREFERENCES["latency"]] is None]
    missing = f" Not measured: {', '.join(unmeasured)}." if unmeasured else ""
    return (
        f"Latency on this computer, the study's ({', '.join(cpus)}; {where}): the median of one image alone. "
        f"Another computer may order the networks otherwise.{busy}{missing}"
    )


def _device_note(results: Results, device: str, networks: Sequence[Row]) -> str:
    """Where the latencies come from that another computer measured."""
    measured = devices_of(results)[device]
    cpus = ", ".join(dict.fromkeys(one.machine.cpu_name for one in measured))
    num_threads = max(sample.num_threads for one in measured for sample in one.samples)
    threads = f"{num_threads} thread{'s' if num_threads > 1 else ''}"
    is_busy = any(sample.is_busy for one in measured for sample in one.samples)
    busy = " Some samples were taken while it was busy." if is_busy else ""
    unmeasured = [_label(row) for row in networks if row["num_runs"] and row[PREFERENCES["latency"]] is None]
    missing = f" Not measured there: {', '.join(unmeasured)}." if unmeasured else ""
    where = f"Latency on {device} ({cpus}; ONNX Runtime, {threads})"
    return f"{where}: the median of one image alone.{busy}{missing}"


def _tolerance_words(choice: Choice, open_ones: Sequence[Candidate]) -> list[str]:
    """The least tolerance with which a cheaper network would pass."""
    found = {one.label: choice.differences.get(one.label) for one in open_ones}
    needed = {
        label: -difference.low
        for label, difference in found.items()
        if difference is not None and difference.num_seeds >= stats.MIN_SEEDS
    }
    if not needed:
        return []
    label = min(needed, key=lambda one: needed[one])
    points = math.ceil(100 * 100 * needed[label]) / 100
    return [f"with --tolerance {points:g}: {label}"] if points < 100 else []


def _seed_words(results: Results, choice: Choice, open_ones: Sequence[Candidate]) -> list[str]:
    """More seeds: the command where there are too few for a verdict, else how many might decide."""
    if not choice.is_judged:
        words = _command_words(results, "with more seeds the answer would be judged")
        return [words] if words and choice.remark == NEEDS_SEEDS else []
    open_differences = {
        one.label: choice.differences[one.label]
        for one in open_ones
        if one.label in choice.differences and choice.verdict(one.label)[0] == NOT_DECIDED
    }
    few = [label for label, difference in open_differences.items() if difference.num_seeds < stats.MIN_SEEDS]
    changes = [_command_words(results, f"with more seeds {label} would be judged too") for label in few[:1]]
    for label, difference in open_differences.items():
        needed = required_for_tolerance(results, difference, choice.tolerance) if label not in few else None
        if needed is not None:
            might = "might be shown to be within the tolerance by" if needed.least_seeds else "stays undecided:"
            changes.append(f"{label} {might} {needed.words}")
    return [words for words in changes if words]


def _command_words(results: Results, what: str) -> str:
    """The command that adds the seeds, and its time; empty where all networks have them."""
    more = plan_more_seeds(results)
    if more is None:
        return ""
    time = f" ({_duration(more.train_seconds)} of training)" if more.train_seconds else ""
    return f"{what}: {more.command}{time}"


def _option_words(limits: Mapping[str, float]) -> str:
    """`--max-latency-ms 5 and --max-params 1000000`, as typed."""
    return " and ".join(f"{BY_NAME[name].option} {BY_NAME[name].typed(value)}" for name, value in limits.items())


def _found_words(row: Row) -> str:
    """What the other answer has where the limits are."""
    found = [(BY_NAME[name], value) for name, value in row["found"].items()]
    return ", ".join("not measured" if value is None else limit.render(value) for limit, value in found)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 60 else f"about {minutes // 60} h {minutes % 60:02d} min"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({100 * low:.2f} to {100 * high:.2f})"


def _named(metric: Metric) -> str:
    """`macro-F1 ` before a figure; an accuracy is understood."""
    return "" if metric.column == "accuracy" else f"{metric.words} "


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _points(fraction: float) -> str:
    text = f"{100 * abs(fraction):.2f}"
    return text if float(text) == 0 else ("−" if fraction < 0 else "+") + text


def _label(row: Row) -> str:
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])

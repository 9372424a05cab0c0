"""The result of a study in a few sentences: who leads, what a verdict needs, and where the STN is beneficial."""

from pathlib import Path

from roadtest.analysis import stats
from roadtest.analysis.comparisons import judge_networks, order_sentence
from roadtest.analysis.factors import BENEFICIAL, NOT_BENEFICIAL, Factor, stn_factors
from roadtest.analysis.metrics import ACCURACY
from roadtest.analysis.results import Results, missing_class_sentence, read_results
from roadtest.analysis.sample_size import GOOD_NUM_SEEDS, plan_more_seeds
from roadtest.format import WHERE, capitalise, render_duration


def summary_sentences(study: Path | Results) -> list[str]:
    """Return the leading set, or what a verdict needs; what the order goes by; the STN's benefit."""
    results = read_results(study)
    told = [leading_sentence(results), _needed(results), order_sentence(results), missing_class_sentence(results)]
    told += [_benefit(factor, _by(results)) for factor in stn_factors(results)]
    return [sentence for sentence in told if sentence]


def leading_sentence(results: Results) -> str:
    """Say who leads, or why nothing was judged; empty where there is nothing to compare."""
    judged = judge_networks(results)
    if not judged.is_judged:
        return f"{capitalise(judged.remark)}." if judged.remark else ""
    best, *others = judged.leading
    where = f"{WHERE[judged.split]}{_by(results)}"
    corrected = f" after correction for all {judged.num_judged} pairs" if judged.num_judged > 1 else ""
    against = {v.a if v.b == best else v.b: v for v in judged.verdicts if best in (v.a, v.b)}
    apart = [variant.label for variant in judged.variants if variant.label not in judged.leading]
    few = [label for label in apart if label in against and against[label].word == stats.NOT_JUDGED]
    groups = {
        f"not separated from it{corrected}": others,
        "with too few seeds to be judged against it": few,
        "not compared with it": [label for label in apart if label not in against],
    }
    parts = [f"{words}: {', '.join(labels)}" for words, labels in groups.items() if labels]
    if not others:
        beaten = [label for label in apart if label in against and against[label].better == best]
        them = "every other network" if len(beaten) == len(results.variants) - 1 else ", ".join(beaten)
        parts.insert(0, f"shown to be better than {them}{corrected}")
        return f"Leading {where}: {best}, {'; '.join(parts)}."
    return f"Leading {where}: {'; '.join([best, *parts])}."


def _needed(results: Results) -> str:
    """The command that adds the seeds a verdict needs, and its time."""
    plan = plan_more_seeds(results) if judge_networks(results).needs_seeds else None
    if plan is None:
        return ""
    time = f", {render_duration(plan.train_seconds)} of training" if plan.train_seconds else ""
    return f"{GOOD_NUM_SEEDS} seeds each{time}: {plan.command}"


def _by(results: Results) -> str:
    return "" if results.metric == ACCURACY else f" by {results.chosen_by.words}"


def _benefit(factor: Factor, by: str) -> str:
    name, gain = factor.without.network, factor.val
    sentences = {
        BENEFICIAL: f"The STN pays for {name}",
        NOT_BENEFICIAL: f"The STN does not pay for {name}",
        stats.NOT_DECIDED: f"Whether the STN pays for {name} is not decided",
    }
    if gain is None or factor.benefit not in sentences:
        return ""
    value, low, high = (f"{100 * one:+.2f}" for one in (gain.value, gain.low, gain.high))
    span = f"{value} points in validation{by} ({low} to {high})"
    return f"{sentences[factor.benefit]}: {span}, with a tolerance of {factor.tolerance_points:g}."

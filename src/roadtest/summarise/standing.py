"""What the judge says of a study, in a few sentences: who leads, and for which networks the STN pays."""

from pathlib import Path
from typing import Any

from roadtest import judge
from roadtest.summarise.more import GOOD_NUM_SEEDS, more_seeds
from roadtest.summarise.pairs import judge_networks
from roadtest.summarise.ranking import order_words
from roadtest.summarise.results import Results, read_results
from roadtest.summarise.scores import unseen_words
from roadtest.summarise.stn import DOES_NOT_PAY, NOT_DECIDED, PAYS, stn_rows
from roadtest.summarise.words import WHERE, render_duration

Row = dict[str, Any]


def standing_words(study: Path | Results) -> list[str]:
    """The leading set, or what a verdict needs; what the order goes by; the STN's worth; as far as there is any."""
    results = read_results(study)
    told = [leading_words(results), _needed(results), order_words(results), unseen_words(results)]
    told += [_worth(row, _by(results)) for row in stn_rows(results)]
    return [sentence for sentence in told if sentence]


def leading_words(results: Results) -> str:
    """Who leads, or why nothing was judged; empty where there is nothing to compare."""
    judged = judge_networks(results)
    if not judged.is_judged:
        return f"{judged.remark[0].upper()}{judged.remark[1:]}." if judged.remark else ""
    best, *others = judged.leading
    where = f"{WHERE[judged.part]}{_by(results)}"
    num_pairs = sum(verdict.word != judge.NOT_JUDGED for verdict in judged.verdicts)
    corrected = f" after correction for all {num_pairs} pairs" if num_pairs > 1 else ""
    against = {v.a if v.b == best else v.b: v for v in judged.verdicts if best in (v.a, v.b)}
    apart = [variant.label for variant in judged.variants if variant.label not in (best, *others)]
    beaten = [label for label in apart if label in against and against[label].better == best]
    told = {
        f"not separated from it{corrected}": others,
        "with too few seeds to be judged against it": [
            label for label in apart if label in against and against[label].word == judge.NOT_JUDGED
        ],
        "not compared with it": [label for label in apart if label not in against],
    }
    parts = [f"{words}: {', '.join(labels)}" for words, labels in told.items() if labels]
    if not others:
        them = "every other network" if len(beaten) == len(results.variants) - 1 else ", ".join(beaten)
        parts.insert(0, f"shown to be better than {them}{corrected}")
        return f"Leading {where}: {best}, {'; '.join(parts)}."
    return f"Leading {where}: {'; '.join([best, *parts])}."


def _needed(results: Results) -> str:
    """The command that adds the seeds a verdict needs, and its time."""
    more = more_seeds(results) if judge_networks(results).needs_seeds else None
    if more is None:
        return ""
    time = f", {render_duration(more.train_seconds)} of training" if more.train_seconds else ""
    return f"{GOOD_NUM_SEEDS} seeds each{time}: {more.command}"


def _by(results: Results) -> str:
    return "" if results.metric == "accuracy" else f" by {results.chosen_by.words}"


def _worth(row: Row, by: str) -> str:
    if row["worth"] not in (PAYS, DOES_NOT_PAY, NOT_DECIDED):
        return ""
    gain, low, high = (f"{100 * row[name]:+.2f}" for name in ("val_gain", "val_gain_low", "val_gain_high"))
    said = {
        PAYS: f"The STN pays for {row['network']}",
        DOES_NOT_PAY: f"The STN does not pay for {row['network']}",
        NOT_DECIDED: f"Whether the STN pays for {row['network']} is not decided",
    }
    span = f"{gain} points in validation{by} ({low} to {high})"
    return f"{said[row['worth']]}: {span}, with a tolerance of {row['tolerance_points']:g}."

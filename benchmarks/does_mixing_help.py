"""Does mixing help? Real images alone against real and drawn ones: two studies of the same images, judged pair by pair.

    roadtest compare gtsrb --networks lenet5+stn,resnet34 --stn off --seeds 5 --epochs 30 --patience 0 -o runs/alone
    roadtest compare gtsrb --networks lenet5+stn,resnet34 --stn off --seeds 5 --epochs 30 --patience 0 -o runs/mixed \
        --mix signs:0.3
    python benchmarks/does_mixing_help.py runs/alone runs/mixed

`--epochs` with `--patience 0`, and no `--budget` or `--budget-total`, makes the number of steps equal: an epoch has as
many with drawn signs as without, and nothing ends it early. (`--stn off`: no second `resnet34` with an STN.) Each run
reads the test set once; with `--no-test` none does, and the answer rests on validation alone.

The two studies may differ in the mix and in nothing else: images, folds, protocol, seeds and steps are compared first.
A network's gain is mixed minus alone, on the same images: in validation the paired t over folds; on test, where both
have read it, seeds crossed with tracks. Verdicts are corrected for the number of networks, on each set by itself; the
answer rests on test where it was read. It reads folders alone.

It prints a table and writes it to benchmarks/results/does-mixing-help.md, all figures to does-mixing-help.json.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadtest.analysis import Results, Variant, estimate_accuracy, read_results, render_table
from roadtest.analysis import stats as judge
from roadtest.analysis.comparisons import answers_difference, gather_answers
from roadtest.data.dataset import DRAWN
from roadtest.data.split import split_fingerprint
from roadtest.protocol import Protocol

Row = dict[str, Any]
SHOWN = "network part num_seeds num_steps alone_accuracy mixed_accuracy gain gain_low gain_high p_adjusted verdict"


def check_studies(alone: Results, mixed: Results) -> float:
    """Refuse two studies that differ in more than the mix, in one line; the share of drawn signs where they do not."""
    control, protocol = (Protocol.from_dict(study.info.protocol) for study in (alone, mixed))
    if control.drawn_fraction or not protocol.drawn_fraction:
        raise ValueError(
            f"{alone.study_dir} has {control.drawn_fraction:.0%} drawn signs in every batch and {mixed.study_dir} "
            f"{protocol.drawn_fraction:.0%}: the first must have none and the second some; name them in that order"
        )
    difference = control.first_difference(replace(protocol, drawn_fraction=0.0))
    if difference is not None:
        raise ValueError(
            f"{mixed.study_dir} differs from {alone.study_dir} in more than the mix: {difference}; repeat one of them "
            "with the other's options"
        )
    # a study with --mix keeps the fingerprint of the real images, test images and all, as that of its test set
    theirs, ours = alone.info.data_fingerprint, mixed.info.test_fingerprint
    if theirs != ours:
        raise ValueError(
            f"{mixed.study_dir} has other real images than {alone.study_dir}: fingerprint {ours[:8]} against "
            f"{theirs[:8]}; compare the same source, without --test-on or --validate-on"
        )
    real_rows = [row for row in mixed.split_rows if row["split"] != DRAWN]
    if split_fingerprint(real_rows) != split_fingerprint(alone.split_rows):
        raise ValueError(
            f"{mixed.study_dir} deals the images over other folds than {alone.study_dir}: its split.csv must have the "
            "same rows before the drawn ones; repeat one of them with the other's options and version"
        )
    return protocol.drawn_fraction


def check_runs(alone: Variant, mixed: Variant) -> None:
    """Refuse a network whose runs are no pairs: a seed in one study only, or another number of steps."""
    theirs, ours = ({record.seed: record.cost.num_steps for record in one.records} for one in (alone, mixed))
    if theirs.keys() != ours.keys():
        raise ValueError(
            f"{alone.label} has the seeds {sorted(theirs)} alone and {sorted(ours)} mixed: each needs its pair; finish "
            "both studies with the same --seeds"
        )
    for seed, num_steps in sorted(theirs.items()):
        if ours[seed] != num_steps:
            raise ValueError(
                f"{alone.label}, seed {seed} took {num_steps:,} steps alone and {ours[seed]:,} mixed: they must be "
                "equal; bound both studies by --epochs and --patience 0, without --budget"
            )


def pair_networks(alone: Results, mixed: Results) -> tuple[list[tuple[Variant, Variant]], list[str]]:
    """The networks that both studies can compare, and why others are left out; a ValueError for runs without a pair."""
    pairs, left_out = [], []
    for label in dict.fromkeys(variant.label for study in (alone, mixed) for variant in study.variants):
        found = [variant for study in (alone, mixed) for variant in study.variants if variant.label == label]
        if len(found) < 2:
            left_out.append(f"{label} is in one study only")
        elif not all(variant.is_compared for variant in found):
            left_out.append(f"{label} is {found[0].status} alone and {found[1].status} mixed")
        else:
            check_runs(*found)
            pairs.append((found[0], found[1]))
    return pairs, left_out


def judge_part(alone: Results, mixed: Results, pairs: Sequence[tuple[Variant, Variant]], part: str) -> list[Row]:
    """A row for each network that was judged on `val` or `test`; verdicts are corrected for the number of them."""
    found, kept = {}, []
    for pair in pairs:
        of_alone, of_mixed = (
            gather_answers(study, sorted(variant.records, key=lambda record: record.seed), part)
            for study, variant in zip((alone, mixed), pair, strict=True)
        )
        if of_alone is None or of_mixed is None:
            continue
        assert of_mixed.has_images_of(of_alone), "equal splits and seeds have equal images"
        difference = answers_difference(of_mixed, of_alone)
        if difference is not None:
            found["mixed", pair[0].label] = difference
            kept.append(pair)
    return [
        _row(alone, mixed, pair, part, verdict) for pair, verdict in zip(kept, judge.judge_pairs(found), strict=True)
    ]


def _row(alone: Results, mixed: Results, pair: tuple[Variant, Variant], part: str, verdict: judge.Verdict) -> Row:
    of_alone, of_mixed = (
        estimate_accuracy(study, variant, part) for study, variant in zip((alone, mixed), pair, strict=True)
    )
    assert of_alone is not None and of_mixed is not None, "what has a difference has two figures"
    gain = verdict.difference
    accuracies = {
        f"{name}_accuracy{end}": getattr(estimate, field)
        for name, estimate in (("alone", of_alone), ("mixed", of_mixed))
        for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    steps = sorted({record.cost.num_steps for record in pair[0].records})  # folds differ a little in size
    rates = [sorted({record.learning_rate for record in variant.records}) for variant in pair]
    return {
        "network": pair[0].label,
        "part": part,
        "num_seeds": len(pair[0].records),
        "num_units": of_alone.num_units,
        "unit_name": of_alone.unit_name,
        "num_steps": steps[0] if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}",
        "alone_learning_rates": rates[0],
        "mixed_learning_rates": rates[1],
        **accuracies,
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "p_value": gain.p_value,
        "p_adjusted": verdict.p_adjusted,
        "verdict": _words(verdict),
        "statement": gain.statement,
    }


def _words(verdict: judge.Verdict) -> str:
    if verdict.word == judge.DIFFERENT:
        return "mixing helps" if verdict.difference.estimate > 0 else "mixing hurts"
    return verdict.word if verdict.word == judge.NOT_SEPARATED else f"{verdict.word}: {verdict.reason}"


def render(alone: Path, mixed: Path, share: float, rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """The table in Markdown, and the answer for each network: on test where it was read, else in validation."""
    lines = [f"`python benchmarks/does_mixing_help.py {alone.name} {mixed.name}`: {share:.0%} of each batch drawn.", ""]
    lines += [render_table([{name: row[name] for name in SHOWN.split()} for row in rows], "md")]
    last = {row["network"]: row for row in rows}  # test rows come last
    lines += [
        f"- {row['network']}: {row['verdict']}; {100 * row['gain']:+.2f} points "
        f"({100 * row['gain_low']:+.2f} to {100 * row['gain_high']:+.2f}), on {row['part']}, {row['statement']}."
        for row in last.values()
    ]
    swept = [name for name, row in last.items() if row["alone_learning_rates"] != row["mixed_learning_rates"]]
    remarks = [f"Trained at another rate in each study: {name}." for name in swept]
    return "\n".join([*lines, *("\n" + text for text in [*remarks, *(f"Left out: {one}." for one in left_out)])]) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Judge, print the table, write it; 1 where no network could be judged, 2 where the studies are no pair."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("alone", type=Path, help="the control: the study of real images alone")
    arguments.add_argument("mixed", type=Path, help="the same study with --mix")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = arguments.parse_args(words)
    try:
        alone, mixed = (read_results(study, metric="accuracy") for study in (given.alone, given.mixed))
        share = check_studies(alone, mixed)
        pairs, left_out = pair_networks(alone, mixed)
        rows = [row for part in ("val", "test") for row in judge_part(alone, mixed, pairs, part)]
    except ValueError as error:
        arguments.error(str(error))
    text = render(given.alone, given.mixed, share, rows, left_out)
    print(text, end="")
    if not rows:
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "does-mixing-help.md").write_text(text, encoding="utf-8")
    plain = {"drawn_fraction": share, "rows": rows, "left_out": left_out}
    (given.out / "does-mixing-help.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

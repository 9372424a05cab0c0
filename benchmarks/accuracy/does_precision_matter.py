"""Does precision change the answer? Two studies of the same images that differ in precision alone, judged pair by pair.

    roadtest compare gtsrb --networks lenet5+stn --seeds 5 --epochs 30 --precision float32 -o runs/float32
    roadtest compare gtsrb --networks lenet5+stn --seeds 5 --epochs 30 --precision bfloat16 -o runs/bfloat16
    python -m benchmarks.accuracy.does_precision_matter runs/float32 runs/bfloat16

No `--budget`: in equal seconds the faster precision takes more steps. Each run reads the test set once; with
`--no-test` none does, and the answer rests on validation alone.

The two studies may differ in precision and in nothing else: protocol, images, folds, networks' files, learning rates
and seeds are compared first. The difference is bfloat16 minus float32, on the same images: in validation the paired t
over folds; on test seeds crossed with tracks. Equivalent is what lies within 0.3 percentage points with its whole 90 %
interval, which is two one-sided tests at 5 % (Schuirmann 1987, https://doi.org/10.1007/BF01068419); anything else is
`not shown`, which is not `different`. The judge's confidence of 95 % would be a stricter test; it is not the rule here.
It reads folders alone.

It prints a table and writes it to benchmarks/results/does-precision-matter.md, all figures to .json.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.result_files import RESULTS
from roadtest.analysis import ACCURACY, Results, Variant, estimate_score, read_results, render_table
from roadtest.analysis import stats as judge
from roadtest.analysis.predictions import difference_of, gather_predictions
from roadtest.data.split import split_fingerprint
from roadtest.protocol import Protocol

Row = dict[str, Any]
MARGIN = 0.003
"""As a fraction: less than a seed's luck. Fixed beforehand."""
CONFIDENCE = 0.90
FLOAT32, BFLOAT16 = "float32", "bfloat16"
EQUIVALENT, NOT_SHOWN = "equivalent", "not shown"
SHOWN = "network part num_seeds float32_accuracy bfloat16_accuracy gain gain_low gain_high verdict"
SAME = ("learning_rate", "batch_size", "pretrained_weights", "own_network_digest")
"""What the records of a pair of runs must agree in, besides what the studies do."""


def check_studies(studies: Sequence[Results]) -> None:
    """Refuse, in one line, two studies that differ in more than precision."""
    float32, bfloat16 = studies
    for study, precision in ((float32, FLOAT32), (bfloat16, BFLOAT16)):
        others = sorted({record.precision for record in study.records} - {precision})
        if others:
            raise ValueError(
                f"{study.study_dir} has runs in {', '.join(others)}: all must be {precision}; name the study in "
                f"{FLOAT32} first and train each with its --precision"
            )
    protocols = [Protocol.from_dict(study.info.protocol) for study in studies]
    difference = protocols[0].first_difference(protocols[1])
    if difference is not None:
        raise ValueError(
            f"{bfloat16.study_dir} differs from {float32.study_dir} in more than precision: {difference}; repeat one "
            "of them with the other's options"
        )
    if protocols[0].budget_seconds is not None:
        raise ValueError(
            f"{float32.study_dir} was bounded by a budget of {protocols[0].budget_seconds:g} s, in which the faster "
            "precision takes more steps: bound both studies by --epochs"
        )
    for name in ("data_fingerprint", "test_fingerprint"):
        theirs, ours = (getattr(study.info, name) for study in studies)
        if theirs != ours:
            raise ValueError(
                f"{bfloat16.study_dir} has other images than {float32.study_dir}: {name} {ours[:8]} against "
                f"{theirs[:8]}; compare the same source"
            )
    if split_fingerprint(float32.split_rows) != split_fingerprint(bfloat16.split_rows):
        raise ValueError(
            f"{bfloat16.study_dir} deals the images over other folds than {float32.study_dir}: repeat one of them with "
            "the other's options and version"
        )


def check_runs(pair: Sequence[Variant]) -> None:
    """Refuse a network whose runs are no pairs."""
    by_seed = [{record.seed: record for record in variant.records} for variant in pair]
    theirs, ours = by_seed
    if theirs.keys() != ours.keys():
        raise ValueError(
            f"{pair[0].label} has the seeds {sorted(theirs)} in {FLOAT32} and {sorted(ours)} in {BFLOAT16}: each needs "
            "its pair; finish both studies with the same --seeds"
        )
    for seed in sorted(theirs):
        for name in SAME:
            mine, other = (getattr(records[seed], name) for records in by_seed)
            if mine != other:
                raise ValueError(
                    f"{pair[0].label}, seed {seed} has the {name} {mine!r} in {FLOAT32} and {other!r} in {BFLOAT16}: "
                    "it must be the same; repeat one of them with the other's options"
                )


def pair_networks(studies: Sequence[Results]) -> tuple[list[list[Variant]], list[str]]:
    """The networks that both studies can compare, and why others are left out; a ValueError for runs without a pair."""
    pairs, left_out = [], []
    for label in dict.fromkeys(variant.label for study in studies for variant in study.variants):
        found = [variant for study in studies for variant in study.variants if variant.label == label]
        if len(found) < 2:
            left_out.append(f"{label} is in one study only")
        elif not all(variant.is_compared for variant in found):
            left_out.append(f"{label} is {found[0].status} in {FLOAT32} and {found[1].status} in {BFLOAT16}")
        else:
            check_runs(found)
            pairs.append(found)
    return pairs, left_out


def judge_part(studies: Sequence[Results], pair: Sequence[Variant], part: str) -> Row | None:
    """A network's difference on `val` or `test`; None where that was not read, or no interval is honest."""
    records = [sorted(variant.records, key=lambda record: record.seed) for variant in pair]
    of_float32, of_bfloat16 = (gather_predictions(*each, part) for each in zip(studies, records, strict=True))
    if of_float32 is None or of_bfloat16 is None:
        return None
    assert of_bfloat16.has_images_of(of_float32), "equal splits and seeds have equal images"
    gain = difference_of(of_bfloat16, of_float32, confidence=CONFIDENCE)
    figures = [estimate_score(*each, part, metric=ACCURACY) for each in zip(studies, pair, strict=True)]
    if gain is None or figures[0] is None or figures[1] is None:
        return None
    num_seeds = len(records[0])
    is_equivalent = num_seeds >= judge.MIN_SEEDS and gain.low >= -MARGIN and gain.high <= MARGIN
    return {
        "network": pair[0].label,
        "part": part,
        "num_seeds": num_seeds,
        "num_units": figures[0].num_clusters,
        "unit_name": figures[0].cluster_noun,
        "float32_accuracy": figures[0].value,
        "bfloat16_accuracy": figures[1].value,
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "verdict": EQUIVALENT if is_equivalent else NOT_SHOWN,
        "statement": gain.statement,
    }


def describe_machines(study: Results) -> list[str]:
    """Where the study ran: processor and versions of torch."""
    machines = [record.machine for record in study.records]
    return sorted({f"{one.cpu_name}, torch {one.versions.get('torch', '?')}" for one in machines})


def render(studies: Sequence[Results], rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """The table in Markdown, and the answer for each network: on test where it was read, else in validation."""
    names = [study.study_dir.name for study in studies]
    command = f"python -m benchmarks.accuracy.does_precision_matter {' '.join(names)}"
    lines = [f"`{command}`: bfloat16 minus float32, 90 % intervals."]
    lines += ["", render_table([{name: row[name] for name in SHOWN.split()} for row in rows], "md")]
    last = {row["network"]: row for row in rows}  # test rows come last
    for row in last.values():
        points = f"{100 * row['gain']:+.2f} points ({100 * row['gain_low']:+.2f} to {100 * row['gain_high']:+.2f})"
        few = "" if row["num_seeds"] >= judge.MIN_SEEDS else f"; fewer than {judge.MIN_SEEDS} seeds show nothing"
        within = f"the margin is {100 * MARGIN:g} points"
        lines.append(f"- {row['network']}: {row['verdict']}; {points}, {within}, on {row['part']}{few}.")
    lines += [f"\nLeft out: {one}." for one in left_out]
    lines += [f"\n{name}: {'; '.join(describe_machines(one))}." for name, one in zip(names, studies, strict=True)]
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Judge, print the table, write it; 1 where no network could be judged, 2 where the studies are no pair."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("float32", type=Path, help="the study with --precision float32")
    arguments.add_argument("bfloat16", type=Path, help="the same study with --precision bfloat16")
    arguments.add_argument("--out", type=Path, default=RESULTS)
    given = arguments.parse_args(words)
    try:
        studies = [read_results(folder, metric="accuracy") for folder in (given.float32, given.bfloat16)]
        check_studies(studies)
        pairs, left_out = pair_networks(studies)
        found = [judge_part(studies, pair, part) for part in ("val", "test") for pair in pairs]
    except ValueError as error:
        arguments.error(str(error))
    rows = [row for row in found if row is not None]
    text = render(studies, rows, left_out)
    print(text, end="")
    if not rows:
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "does-precision-matter.md").write_text(text, encoding="utf-8")
    plain = {"margin": MARGIN, "confidence": CONFIDENCE, "rows": rows, "left_out": left_out}
    plain["machines"] = {study.study_dir.name: describe_machines(study) for study in studies}
    (given.out / "does-precision-matter.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

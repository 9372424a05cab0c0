"""Does the judge keep its promises? Thousands of made-up studies whose truth is known, judged by the judge's own code.

    python -m benchmarks.statistics.judge_simulation --studies 5000  # the committed table, 10 to 15 minutes on one core
    python -m benchmarks.statistics.judge_simulation --studies 500   # a look, a minute and a half

made_up_studies.py draws six networks that are equally good, in two families: *equal* networks of one accuracy that err
on different images, and *identical* ones. Counted are: how often an interval holds the truth (coverage), and how often
any of the 15 pairs is called different although none is (family-wise false positives). Beside the judge stand what
people do instead, with the same correction by Holm: a t interval and Student's t tests over seeds, and McNemar's test
over images, on test with the first seeds, in validation with every seed on its fold.

The truth of an accuracy and of a balanced accuracy is known exactly. That of a macro-F1 and of a worst-class recall is
what such networks reach on a set of this size and these classes: the mean over all trained networks of the cell.

It writes judge-simulation.csv and .md into benchmarks/results; what is done of it stands in a part file, and the same
command goes on from there. The draws of a kind of study (units x seeds) depend on nothing else. A fifth of the time is
saved where glibc keeps its memory: MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824.
B studies, K networks.
"""

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.result_files import RESULTS
from benchmarks.statistics.judge_at_once import judge_studies
from benchmarks.statistics.made_up_studies import (
    CELLS,
    DIFFERENT,
    FAMILIES,
    FOLDS,
    INDEPENDENT,
    KINDS,
    NUM_NETWORKS,
    NUM_UNITS,
    TRACKS,
    Cell,
    Floats,
    count_wrong,
    draw_luck,
    sum_up,
)
from roadtest.analysis.metrics import ACCURACY, BALANCED, MACRO_F1, WORST

Row = dict[str, str]
TIMES_STUDIES = {INDEPENDENT: 1, TRACKS: 1, FOLDS: 4}
"""Studies of folds are cheap and lie nearer to the promised 5 %: more of them make the rates sharper."""
OTHER_METRICS = {INDEPENDENT: (), TRACKS: (BALANCED, MACRO_F1), FOLDS: (BALANCED, MACRO_F1, WORST)}
"""Judged beside accuracy, of equal networks; a worst-class recall has no interval on one set."""
BATCH = {INDEPENDENT: 500_000, TRACKS: 300_000, FOLDS: 300_000}
"""Numbers in an array: what a processor's cache likes."""
KEYS = ("family", "metric", "units", "accuracy", "seed_effect", "num_seeds")
RATES = {
    "coverage": "judge: coverage",
    "half_width_points": "half-width, points",
    "pair_coverage": "coverage, pair",
    "pair_half_width_points": "half-width, pair",
    "false_positives": "judge: false positives",
    "seeds_t_coverage": "t over seeds: coverage",
    "seeds_t_false_positives": "false positives",
    "mcnemar_false_positives": "McNemar: false positives",
}
COLUMNS = {
    "family": "networks",
    "metric": "metric",
    "units": "units",
    "accuracy": "accuracy",
    "seed_effect": "seed effect",
    "num_seeds": "seeds",
    "num_studies": "studies",
    **RATES,
}
WORST_OF = {
    "coverage": min,
    "pair_coverage": min,
    "false_positives": max,
    "seeds_t_coverage": min,
    "seeds_t_false_positives": max,
    "mcnemar_false_positives": max,
}
"""What is worst among cells."""


def simulate(cells: Sequence[Cell], num_studies: int) -> list[Row]:
    """Simulate cells of one kind, on the same draws; rates in percent, widths in percentage points."""
    ((units, num_seeds),) = {(cell.units, cell.num_seeds) for cell in cells}
    rng = np.random.Generator(np.random.SFC64([2026, KINDS.index((units, num_seeds))]))
    per_batch = max(1, BATCH[units] // (NUM_NETWORKS * num_seeds * NUM_UNITS[units]))
    found: dict[tuple[Cell, str], list[dict[str, Floats]]] = {
        (cell, metric): [] for cell in cells for metric in metrics_of(cell)
    }
    for first in range(0, num_studies, per_batch):
        luck = draw_luck(units, num_seeds, min(per_batch, num_studies - first), rng)
        for family in FAMILIES:
            sums_BKSU = sum_up(luck, family, units)
            for cell in (cell for cell in cells if cell.family == family):
                wrong_BKSU = count_wrong(cell, sums_BKSU, luck)
                for metric in metrics_of(cell):
                    found[cell, metric].append(judge_studies(wrong_BKSU, cell, metric))
    return [_row(cell, metric, batches) for (cell, metric), batches in found.items()]


def metrics_of(cell: Cell) -> tuple[str, ...]:
    """What is judged in a cell."""
    return (ACCURACY, *(OTHER_METRICS[cell.units] if cell.family == DIFFERENT else ()))


def _row(cell: Cell, metric: str, batches: Sequence[dict[str, Floats]]) -> Row:
    found = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    truth = cell.accuracy if metric in (ACCURACY, BALANCED) else found["value"].mean()
    found["coverage"] = _holds(found["low"], found["high"], truth)
    found["seeds_t_coverage"] = _holds(found["seeds_t_low"], found["seeds_t_high"], truth)
    row = {name: str(value) for name, value in (asdict(cell) | {"metric": metric}).items()}
    row["num_studies"] = str(len(found["value"]))
    return row | {name: f"{100 * found[name].mean():.2f}" if name in found else "" for name in RATES}


def _holds(low_BK: Floats, high_BK: Floats, truth: float) -> Floats:
    rate: Floats = ((low_BK <= truth) & (truth <= high_BK)).mean(axis=1)
    return rate


def worst_tables(rows: Sequence[Row]) -> list[str]:
    """What docs/statistics.md repeats: accuracies of equal networks over seed effects; all else over accuracies too."""
    main = [row for row in rows if (row["family"], row["metric"]) == (DIFFERENT, ACCURACY)]
    others = [row for row in rows if row not in main]
    first = ("units", "accuracy", "num_seeds")
    second = ("family", "metric", "units", "num_seeds")
    return [*_worst_table(main, first), "", *_worst_table(others, second)]


def _worst_table(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    lines = [_line([COLUMNS[name] for name in (*keys, *WORST_OF)]), "|" + "---|" * (len(keys) + len(WORST_OF))]
    for group, same in groups.items():
        shown = [f"{100 * float(one):g} %" if key == "accuracy" else one for key, one in zip(keys, group, strict=True)]
        lines.append(_line([*shown, *(_worst(same, name, pick) for name, pick in WORST_OF.items())]))
    return lines


def _worst(rows: Sequence[Row], name: str, pick: Callable[[list[float]], float]) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    return f"{pick(values):.1f}" if values else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_tables(rows: Sequence[Row], folder: Path, command: str) -> None:
    """Write the table twice: for programs and, the worst cases first, for readers."""
    write_rows(rows, folder / "judge-simulation.csv")
    lines = [
        f"`{command}`: rates in percent, widths in percentage points; false positives among 15 pairs, after Holm.",
        "",
        "The worst of the three seed effects: accuracies of equal networks; then all else, of both accuracies as well:",
        "",
        *worst_tables(rows),
        "",
        "All cells:",
        "",
        _line(list(COLUMNS.values())),
        "|" + "---|" * len(COLUMNS),
        *(_line([row[name] for name in COLUMNS]) for row in rows),
    ]
    (folder / "judge-simulation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote; nothing where there is no file."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


def _rank(row: Row) -> tuple[int, ...]:
    """Equal networks' accuracies first; within a metric as in CELLS."""
    cell = {key: row[key] for key in KEYS if key != "metric"}
    place = next(i for i, one in enumerate(CELLS) if {k: str(v) for k, v in asdict(one).items()} == cell)
    metrics = (ACCURACY, BALANCED, MACRO_F1, WORST)
    return FAMILIES.index(row["family"]), metrics.index(row["metric"]), place


def main() -> None:
    """Simulate every kind of study that is not done yet, show its rows, and write the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument(
        "--studies", type=int, default=5000, help="per cell; validation folds take four times as many"
    )
    arguments.add_argument("--out", type=Path, default=RESULTS)
    given = arguments.parse_args()
    part = given.out / "judge-simulation.part.csv"
    known, rows = read_rows(part), list[Row]()
    for units, num_seeds in KINDS:
        start, num_studies = time.process_time(), given.studies * TIMES_STUDIES[units]
        cells = [cell for cell in CELLS if (cell.units, cell.num_seeds) == (units, num_seeds)]
        wanted = {"units": units, "num_seeds": str(num_seeds), "num_studies": str(num_studies)}
        done = [row for row in known if wanted.items() <= row.items()]
        is_done = len(done) == sum(len(metrics_of(cell)) for cell in cells)
        rows += done if is_done else simulate(cells, num_studies)
        write_rows(rows, part)
        print(f"{units}, {num_seeds} seeds: {time.process_time() - start:.1f} s", flush=True)
    write_tables(
        sorted(rows, key=_rank),
        given.out,
        f"python -m benchmarks.statistics.judge_simulation --studies {given.studies}",
    )
    part.unlink()


if __name__ == "__main__":
    main()

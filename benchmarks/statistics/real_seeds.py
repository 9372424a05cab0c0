"""Does the judge keep its promise on real trainings? One network against itself, five seeds against five others.

    roadtest compare gtsrb --networks lenet5 --stn off --seeds 30 --epochs 20 --patience 0 --jobs 2 --out runs/thirty
    python -m benchmarks.statistics.real_seeds runs/thirty                 # 2,000 draws, a minute on one core

A study with ten seeds of a network or more is dealt into two disjoint groups of five, many times over, and the two are
judged as two networks of a study would be: on test by seeds crossed with tracks, images paired; in validation by the
paired t over folds, so that each group there has one seed on each of the same five folds (two seeds share a fold from
seed 10 on). There is no difference to find: called different should be at most 5 %. All draws share the same seeds and
images, so the rate is that of one study, not of as many studies as draws: its own luck is larger than its digits say.
The paired t over folds errs in 5 % of studies exactly, so half of them show more; what such a test shows in 95 % of
studies with as many seeds on as many folds is simulated, and stands beside its rate.

It prints a table and writes it to benchmarks/results/real-seeds.md. Shapes: G seeds in a group, N images.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.result_files import RESULTS
from roadtest.analysis import Results, Variant, read_results
from roadtest.analysis import stats as judge

NUM_DRAWS = 2000
GROUP_SIZE = 5
MIN_SEEDS = 2 * GROUP_SIZE
PROMISED_PERCENT = 5.0
NUM_SIMULATED = 300


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of judging one network against itself on one set."""

    network: str
    part: str
    num_seeds: int
    num_draws: int
    num_different: int
    median_half_width: float
    largest_difference: float
    accuracy_deviation: float
    """Of the seeds' accuracies, a fraction."""
    unit_name: str
    luck_percent: tuple[float, float] | None
    """Between which rates 95 % of studies lie whose test errs in exactly 5 %; None where seeds cross with units."""

    @property
    def percent_different(self) -> float:
        """How often two groups of the same network were called different."""
        return 100 * self.num_different / self.num_draws


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the seeds of a network answered on one set."""

    correct: list[np.ndarray]
    ids: list[np.ndarray]
    units: list[np.ndarray]
    folds: np.ndarray

    @property
    def is_crossed(self) -> bool:
        """All seeds answered the same images."""
        return all(np.array_equal(ids_N, self.ids[0]) for ids_N in self.ids)

    def fold(self, place: int) -> judge.FoldResult:
        """One seed's result on its own fold."""
        return judge.FoldResult(
            fold=int(self.folds[place]),
            num_correct=float(self.correct[place].sum()),
            num_seen=len(self.correct[place]),
            num_clusters=len(np.unique(self.units[place])),
        )


def gather(results: Results, variant: Variant, part: str) -> Answers | None:
    """The answers of all seeds; None where one of them has none."""
    outcomes = results.all_predictions(variant, part)
    if len(outcomes) < len(variant.records):
        return None
    num_folds = int(results.info.protocol["num_folds"])
    return Answers(
        correct=[outcome.is_correct_N for outcome in outcomes],
        ids=[outcome.image_ids_N for outcome in outcomes],
        units=[results.clusters_N[outcome.image_ids_N] for outcome in outcomes],
        folds=np.array([record.seed % num_folds for record in variant.records]),
    )


def draw_any(answers: Answers, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint groups of seeds."""
    places = rng.permutation(len(answers.correct))
    return places[:GROUP_SIZE], places[GROUP_SIZE : 2 * GROUP_SIZE]


def draw_by_fold(answers: Answers, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint groups of seeds that validated on the same folds, one seed of each group on each."""
    folds, counts = np.unique(answers.folds, return_counts=True)
    chosen = rng.choice(folds[counts >= 2], GROUP_SIZE, replace=False)
    pairs = [rng.permutation(np.flatnonzero(answers.folds == fold))[:2] for fold in chosen]
    a, b = np.array(pairs).T
    return a, b


def luck_percent(folds: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """How often a paired t over folds calls normal seeds different, in the middle 95 % of simulated studies."""
    limit = stats.t.ppf(1 - PROMISED_PERCENT / 200, GROUP_SIZE - 1)
    made_up = Answers(correct=[np.empty(0)] * len(folds), ids=[], units=[], folds=folds)
    draws = np.array([draw_by_fold(made_up, rng) for _ in range(NUM_DRAWS)])  # [draws, 2, G]
    rates = []
    for _ in range(NUM_SIMULATED):
        apart = -np.diff(rng.standard_normal(len(folds))[draws], axis=1)[:, 0]
        t = apart.mean(axis=1) / (apart.std(axis=1, ddof=1) / math.sqrt(GROUP_SIZE))
        rates.append(100 * np.mean(np.abs(t) > limit))
    low, high = np.percentile(rates, (2.5, 97.5))
    return float(low), float(high)


def judge_crossed(answers: Answers, a: np.ndarray, b: np.ndarray) -> judge.Difference:
    """On images that all seeds saw: seeds crossed with units, images paired."""
    of_a, of_b = (np.stack([answers.correct[place] for place in group]) for group in (a, b))
    return judge.difference_interval(of_a, of_b, answers.units[0])


def judge_folds(answers: Answers, a: np.ndarray, b: np.ndarray) -> judge.Difference:
    """In validation: the paired t over folds."""
    of_a, of_b = ([answers.fold(place) for place in group] for group in (a, b))
    return judge.validation_difference(of_a, of_b)


def judge_itself(label: str, part: str, answers: Answers, num_draws: int) -> Row:
    """Judge a network against itself, many times."""
    rng = np.random.default_rng([2026, len(part)])
    draw: Callable[..., tuple[np.ndarray, np.ndarray]] = draw_any if answers.is_crossed else draw_by_fold
    judged = judge_crossed if answers.is_crossed else judge_folds
    found = [judged(answers, *draw(answers, rng)) for _ in range(num_draws)]
    verdicts = [judge.judge_pairs({("a", "b"): difference})[0] for difference in found]
    accuracies = [float(correct_N.mean()) for correct_N in answers.correct]
    return Row(
        network=label,
        part=part,
        num_seeds=len(answers.correct),
        num_draws=num_draws,
        num_different=sum(verdict.word == judge.DIFFERENT for verdict in verdicts),
        median_half_width=float(np.median([(one.high - one.low) / 2 for one in found])),
        largest_difference=max(abs(one.estimate) for one in found),
        accuracy_deviation=float(np.std(accuracies, ddof=1)),
        unit_name="tracks" if answers.is_crossed else "folds",
        luck_percent=None if answers.is_crossed else luck_percent(answers.folds, rng),
    )


def why_not(answers: Answers | None) -> str | None:
    """Why a network cannot be judged against itself on a set; None where it can."""
    if answers is None:
        return "was not read by all seeds"
    if len(answers.correct) < MIN_SEEDS:
        return f"has {len(answers.correct)} seeds: {MIN_SEEDS} are needed"
    if not answers.is_crossed:
        num_shared = int((np.unique(answers.folds, return_counts=True)[1] >= 2).sum())
        if num_shared < GROUP_SIZE:
            return f"has two seeds on {num_shared} folds: {GROUP_SIZE} are needed, which 15 seeds have"
    return None


def measure(study: Path, num_draws: int) -> tuple[list[Row], list[str]]:
    """One row for each network and set with seeds enough, and why others have none."""
    results = read_results(study)
    rows, left_out = [], []
    for variant in results.variants:
        for part in ("val", "test"):
            answers = gather(results, variant, part) if variant.records else None
            reason = why_not(answers)
            if answers is None or reason is not None:
                left_out.append(f"{variant.label} {part}: {reason}")
            else:
                rows.append(judge_itself(variant.label, part, answers, num_draws))
    return rows, left_out


def render(study: Path, rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """The table in Markdown, and whether the promise was kept."""
    lines = [
        f"`python -m benchmarks.statistics.real_seeds {study.name}`: one network against itself, {GROUP_SIZE} seeds "
        f"against {GROUP_SIZE} others. Half-widths and differences in percentage points.",
        "",
        "| network | set | unit | seeds | draws | called different, % | median half-width | largest difference | "
        "deviation of a seed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.network} | {row.part} | {row.unit_name} | {row.num_seeds} | {row.num_draws:,} | "
        f"{row.percent_different:.2f} | {100 * row.median_half_width:.2f} | {100 * row.largest_difference:.2f} | "
        f"{100 * row.accuracy_deviation:.2f} |"
        for row in rows
    ]
    broken = [f"{row.network} {row.part}" for row in rows if row.percent_different > PROMISED_PERCENT]
    kept = f"more than that: {', '.join(broken)}" if broken else "kept"
    lines += ["", f"Promised: at most {PROMISED_PERCENT:g} % are called different; {kept}."] if rows else []
    lines += [
        f"{row.network} {row.part}: a test that errs in exactly {PROMISED_PERCENT:g} % of studies shows between "
        f"{row.luck_percent[0]:.1f} and {row.luck_percent[1]:.1f} % in one study with these seeds and folds, 95 times "
        "in 100."
        for row in rows
        if row.luck_percent
    ]
    lines += [f"Left out: {'; '.join(left_out)}."] if left_out else []
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it; 1 where the promise was broken or nothing could be judged."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("study", type=Path, help="a study with ten seeds of one network or more")
    arguments.add_argument("--draws", type=int, default=NUM_DRAWS)
    arguments.add_argument("--out", type=Path, default=RESULTS)
    given = arguments.parse_args(words)
    if given.draws < 1:
        arguments.error(f"--draws {given.draws} is too few: give 1 or more")
    rows, left_out = measure(given.study, given.draws)
    text = render(given.study, rows, left_out)
    print(text, end="")
    if not rows:
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "real-seeds.md").write_text(text, encoding="utf-8")
    return int(max(row.percent_different for row in rows) > PROMISED_PERCENT)


if __name__ == "__main__":
    raise SystemExit(main())

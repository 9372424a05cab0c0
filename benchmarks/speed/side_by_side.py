"""Run contenders side by side: each in a process of its own, in alternation, round after round; ratios, not seconds.

A ratio is formed within one round, between neighbours in time, so that whatever slows the machine for minutes slows
both sides; the median over rounds stands with its extremes. Samples are kept raw, and given away after every round. A
contender that fails is left out from then on, and said to be.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.result_files import ROOT, render_run, without_folders
from roadtest.machine import count_usable_cores, others_cpu_seconds
from roadtest.study import launch

PEERS = ROOT / "benchmarks" / "peers"
LIBRARY_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "DNNL_", "ONEDNN_", "LD_PRELOAD", "ATEN_")
"""What changes the speed of libraries; the user's own settings of them are left out for everybody."""
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Set for containers and tests: every process would compile the package anew, which no user's does."""
MAX_OTHERS_CORES = 0.1
"""Cores that others used, above which a sample is called busy: a tenth, as the doctor says."""


class ProcessFailed(RuntimeError):  # noqa: N818
    """A process of a benchmark ended without figures; the text says why, in one line."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to train, as a script in benchmarks/peers."""

    name: str
    script: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set besides the plain environment."""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One contender's epochs in one round."""

    label: str
    contender: str
    round: int
    num_images: int
    seconds: float
    num_threads: int
    """Of torch in the process that trains; a loader's workers come besides."""
    others_cores: float
    """Cores that other processes used meanwhile, start included; above MAX_OTHERS_CORES not to be trusted."""

    @property
    def images_per_second(self) -> float:
        """Training speed."""
        return self.num_images / self.seconds


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A contender that could not do a job, and was left out from there on."""

    label: str
    contender: str
    round: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What there is so far, of one network or of several."""

    samples: tuple[Sample, ...] = ()
    failures: tuple[Failure, ...] = ()

    def of(self, label: str) -> "Measured":
        """What there is of one network."""
        return Measured(
            samples=tuple(sample for sample in self.samples if sample.label == label),
            failures=tuple(failure for failure in self.failures if failure.label == label),
        )

    @property
    def num_rounds(self) -> int:
        """Rounds that are over."""
        return max((sample.round + 1 for sample in self.samples), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Measured":
        """What `to_dict` gave, whatever stands beside it."""
        return cls(
            samples=tuple(Sample(**sample) for sample in plain["samples"]),
            failures=tuple(Failure(**failure) for failure in plain["failures"]),
        )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median over rounds and the extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> "Spread | None":
        """None of nothing."""
        values = list(values)
        return cls(median=statistics.median(values), low=min(values), high=max(values)) if values else None


def render_spread(spread: Spread | None, form: str) -> str:
    """The median, and the extremes in brackets; empty where nothing was measured."""
    return f"{spread.median:{form}} ({spread.low:{form}} to {spread.high:{form}})" if spread else ""


def plain_environment() -> dict[str, str]:
    """What a user has who has set nothing; scripts find `benchmarks`."""
    left_out = (*LIBRARY_VARIABLES, NO_BYTECODE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))}


def worker_environment(num_threads: int) -> dict[str, str]:
    """What roadtest sets for its own workers."""
    ours = launch.worker_environment(num_threads)
    return {name: value for name, value in ours.items() if name.startswith(LIBRARY_VARIABLES)}


def run_process(words: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Run a script on its own: the figures in its last line, and how many cores others used meanwhile."""
    others_before, start = others_cpu_seconds(), time.perf_counter()
    children_before = _children_seconds()
    done = subprocess.run(
        [sys.executable, *words],
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
    )
    others = others_cpu_seconds() - others_before - (_children_seconds() - children_before)
    if done.returncode != 0:
        print(done.stderr[-4000:], file=sys.stderr)
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ProcessFailed(f"code {done.returncode}: {without_folders(last)[:300]}")
    try:
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ProcessFailed("it ended without figures") from None
    return figures, round(max(others, 0.0) / (time.perf_counter() - start), 3)


def run_contender(contender: Contender, job: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """Run one contender once: what it reported, and how many cores others used meanwhile."""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "steps": contender.steps}), encoding="utf-8")
        return run_process([str(PEERS / contender.script), str(path)], contender.environment)


def run_rounds(
    contenders: Sequence[Contender], jobs: Mapping[str, Mapping[str, Any]], num_rounds: int
) -> Iterator[Measured]:
    """Every contender on every job; after each round what there is so far. Each round begins with another contender."""
    measured = Measured()
    for round_index in range(num_rounds):
        first = round_index % len(contenders)
        for label, job in jobs.items():
            for contender in (*contenders[first:], *contenders[:first]):
                if all(failure.contender != contender.name for failure in measured.of(label).failures):
                    measured = _run_once(measured, contender, label, job, round_index)
        yield measured


def _run_once(
    measured: Measured, contender: Contender, label: str, job: Mapping[str, Any], round_index: int
) -> Measured:
    where: dict[str, Any] = {"label": label, "contender": contender.name, "round": round_index}
    said = f"round {round_index + 1} {label:18} {contender.name:28}"
    try:
        figures, others_cores = run_contender(contender, job)
    except ProcessFailed as error:
        print(f"{said} left out: {error}", file=sys.stderr, flush=True)
        return replace(measured, failures=(*measured.failures, Failure(**where, reason=str(error))))
    kept = {name: figures[name] for name in ("num_images", "seconds", "num_threads")}
    sample = Sample(**where, **kept, others_cores=others_cores)
    busy = "  busy" if others_cores > MAX_OTHERS_CORES else ""
    print(f"{said}{sample.images_per_second:10.1f} images/s{busy}", file=sys.stderr, flush=True)
    return replace(measured, samples=(*measured.samples, sample))


def speed_of(samples: Sequence[Sample], contender: str) -> Spread | None:
    """Images per second over the rounds; the samples are of one network."""
    return Spread.over(sample.images_per_second for sample in samples if sample.contender == contender)


def ratio_of(samples: Sequence[Sample], contender: str, other: str) -> Spread | None:
    """How many times as fast a contender is as another, over the rounds in which both ran."""
    speeds = {(sample.contender, sample.round): sample.images_per_second for sample in samples}
    rounds = [index for name, index in speeds if name == contender and (other, index) in speeds]
    return Spread.over(speeds[contender, index] / speeds[other, index] for index in rounds)


def render_measured(measured: Measured, num_images: int, source: str) -> str:
    """What the numbers of one network rest on, and who was left out."""
    busiest = max((sample.others_cores for sample in measured.samples), default=0.0)
    lines = [
        f"{num_images:,} images of {'GTSRB' if source == 'gtsrb' else 'drawn signs'} an epoch, "
        f"{measured.num_rounds} rounds; other processes used up to {busiest:.2f} cores meanwhile."
    ]
    lines += [f"- left out from round {one.round + 1}: {one.contender} ({one.reason})" for one in measured.failures]
    return "\n".join(lines)


def render_runs(networks: Mapping[str, Mapping[str, Any]]) -> str:
    """Command, machine and environments of each call that measured some of the networks."""
    calls: dict[str, list[str]] = {}
    for label, block in networks.items():
        calls.setdefault(json.dumps([block["about"], block["environments"]]), []).append(label)
    parts = []
    for labels in calls.values():
        samples = [one for label in labels for one in Measured.from_dict(networks[label]).samples]
        block = networks[labels[0]]
        parts.append(f"**{', '.join(labels)}**: " + render_run(block["about"]))
        parts.append(_render_environments(block["environments"], samples))
    return "\n\n".join(parts)


def _render_environments(environments: Mapping[str, Mapping[str, str]], samples: Sequence[Sample]) -> str:
    lines = []
    for name, variables in environments.items():
        counts = sorted({sample.num_threads for sample in samples if sample.contender == name})
        threads = f"{' or '.join(map(str, counts))} threads; " if counts else ""
        text = " ".join(f"{key}={value}" for key, value in variables.items()) or "nothing set: a user's defaults"
        lines.append(f"- {name}: {threads}{text}")
    return "\n".join(lines)


def usable_threads(num_threads: int | None) -> int:
    """As many threads as cores, unless told."""
    return num_threads or count_usable_cores()


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system

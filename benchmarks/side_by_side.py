"""Run contenders side by side: each in a process of its own, in alternation, round after round; ratios, not seconds.

A ratio is formed within one round, between neighbours in time, so that whatever slows the machine for minutes slows
both sides; the median over rounds stands with its extremes. Samples are kept raw.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from roadtest.machine import count_usable_cores, describe_machine, others_cpu_seconds
from roadtest.record import Machine
from roadtest.study import launch

HERE = Path(__file__).parent
LIBRARY_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "DNNL_", "ONEDNN_", "LD_PRELOAD", "ATEN_")
"""What changes the speed of libraries; the user's own settings of them are left out for everybody."""


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
    others_cores: float
    """Cores that other processes used meanwhile, start included; above 0.1 the sample is not to be trusted."""

    @property
    def images_per_second(self) -> float:
        """Training speed."""
        return self.num_images / self.seconds


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median over rounds and the extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> "Spread":
        """Of at least one value."""
        values = list(values)
        return cls(median=statistics.median(values), low=min(values), high=max(values))

    def render(self, form: str) -> str:
        """The median, and the extremes in brackets."""
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


def plain_environment() -> dict[str, str]:
    """What a user has who has set nothing."""
    return {name: value for name, value in os.environ.items() if not name.startswith(LIBRARY_VARIABLES)}


def worker_environment(num_threads: int) -> dict[str, str]:
    """What roadtest sets for its own workers."""
    ours = launch.worker_environment(num_threads)
    return {name: value for name, value in ours.items() if name.startswith(LIBRARY_VARIABLES)}


def run_contender(contender: Contender, job: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """Run one contender once: what it reported, and how many cores others used meanwhile."""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "steps": contender.steps}), encoding="utf-8")
        others_before, start = others_cpu_seconds(), time.perf_counter()
        children_before = _children_seconds()
        done = subprocess.run(
            [sys.executable, str(HERE / "peers" / contender.script), str(path)],
            env={**plain_environment(), **contender.environment},
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{contender.name} failed with code {done.returncode}:\n{done.stderr[-4000:]}")
    others = others_cpu_seconds() - others_before - (_children_seconds() - children_before)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures, round(max(others, 0.0) / (time.perf_counter() - start), 3)


def run_rounds(
    contenders: Sequence[Contender], jobs: Mapping[str, Mapping[str, Any]], num_rounds: int
) -> Iterator[Sample]:
    """Every contender on every job, round by round; each round begins with another contender."""
    for round_index in range(num_rounds):
        first = round_index % len(contenders)
        for label, job in jobs.items():
            for contender in (*contenders[first:], *contenders[:first]):
                figures, others_cores = run_contender(contender, job)
                sample = Sample(
                    label=label,
                    contender=contender.name,
                    round=round_index,
                    num_images=figures["num_images"],
                    seconds=figures["seconds"],
                    others_cores=others_cores,
                )
                print(
                    f"round {round_index + 1}/{num_rounds} {label:18} {contender.name:28}"
                    f"{sample.images_per_second:10.1f} images/s{'  busy' if others_cores > 0.1 else ''}",
                    file=sys.stderr,
                    flush=True,
                )
                yield sample


def speed_of(samples: Sequence[Sample], label: str, contender: str) -> Spread:
    """Images per second over the rounds."""
    return Spread.over(s.images_per_second for s in samples if (s.label, s.contender) == (label, contender))


def ratio_of(samples: Sequence[Sample], label: str, contender: str, other: str) -> Spread:
    """How many times as fast a contender is as another, round by round."""
    speeds = {(s.contender, s.round): s.images_per_second for s in samples if s.label == label}
    rounds = {s.round for s in samples if s.label == label}
    return Spread.over(speeds[contender, r] / speeds[other, r] for r in rounds)


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def name_machine(machine: Machine) -> str:
    """A short name for files, such as `amd-epyc-2-cores-avx512-bf16`."""
    best = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in machine.cpu_flags]
    words = f"{machine.cpu_name} {machine.num_cores} cores {best[0] if best else platform.machine()}"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(R\)|\(TM\)|CPU|Processor|@.*GHz", "", words).lower()).strip("-")


def describe_run(contenders: Sequence[Contender]) -> dict[str, Any]:
    """Machine, command and environments: what stands beside every result."""
    return {
        "command": " ".join(["python", *map(_shown, sys.argv)]),
        "machine": asdict(describe_machine()),
        "environments": {each.name: dict(each.environment) for each in contenders},
    }


def render_run(about: Mapping[str, Any]) -> str:
    """The same as text."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = "unknown" if machine["load"] is None else f"{machine['load']:.2f}"
    flags = " ".join(machine["cpu_flags"])
    return (
        f"`{about['command']}`\n\n{machine['cpu_name']}, {machine['num_cores']} cores, flags {flags}; "
        f"{machine['system']}, Python {machine['python']}; {versions}; commit {machine['commit']}; "
        f"load per core before: {load}."
    )


def render_environments(about: Mapping[str, Any]) -> str:
    """Who had which variables set."""
    lines = []
    for name, variables in about["environments"].items():
        text = " ".join(f"{key}={value}" for key, value in variables.items()) or "nothing set: a user's defaults"
        lines.append(f"- {name}: {text}")
    return "\n".join(lines)


def write_results(folder: Path, stem: str, plain: Mapping[str, Any], text: str) -> None:
    """Write `<stem>-<machine>.json` with every sample and `.md` with the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{stem}-{name_machine(Machine(**plain['about']['machine']))}"
    (folder / f"{name}.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    print(f"written: {folder / name}.json and .md", file=sys.stderr)


def usable_threads(num_threads: int | None) -> int:
    """As many threads as cores, unless told."""
    return num_threads or count_usable_cores()


def _shown(word: str) -> str:
    """A word of the command without the folders of this machine."""
    path = Path(word)
    return str(path.relative_to(HERE.parent)) if path.is_absolute() and HERE.parent in path.parents else word


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system

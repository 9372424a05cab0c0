"""What each step from the idiomatic loop to roadtest's gave: the steps are taken one after the other and stay.

    python benchmarks/train_ladder.py --networks lenet5,resnet34 [--source gtsrb --data-dir DIR] [--rounds 5]

A rung's gain depends on the rungs below it: it says what the step gave there, not what it would give alone. Each rung
is a process of its own, rounds are interleaved. Expect 20 minutes per network on two cores with five rounds. Writes
results/train-ladder-<machine>.json and .md.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import train_speed
from side_by_side import (
    Contender,
    Sample,
    describe_run,
    ratio_of,
    render_environments,
    render_run,
    render_table,
    run_rounds,
    speed_of,
    usable_threads,
    worker_environment,
    write_results,
)

STEPS = (
    "images in memory",
    "batched augmentation",
    "channels-last",
    "cheaper forms",
    "chosen precision",
    "fused optimiser",
)
"""What peers/rung.py can do; the environment's steps follow."""
FIRST, LAST, LIMIT = "idiomatic loop", "roadtest itself", "bare step"


def list_rungs(num_threads: int) -> list[Contender]:
    """From the idiomatic loop, step by step, to roadtest; the bare step stands behind it."""
    ours = worker_environment(num_threads)
    kept = {name: value for name, value in ours.items() if name.startswith("MALLOC_")}
    steps = [Contender(name=f"+ {STEPS[i]}", script="rung.py", steps=STEPS[: i + 1]) for i in range(len(STEPS))]
    return [
        Contender(name=FIRST, script="idiomatic.py"),
        *steps,
        Contender(name="+ freed memory is kept", script="rung.py", steps=STEPS, environment=kept),
        Contender(name="+ waiting threads sleep", script="rung.py", steps=STEPS, environment=ours),
        Contender(name=LAST, script="ours.py", environment=ours),
        Contender(name=LIMIT, script="bare_step.py", environment=ours),
    ]


def render_ladder(label: str, rungs: Sequence[Contender], samples: Sequence[Sample]) -> str:
    """One network's ladder."""
    rows = []
    for below, rung in zip([None, *rungs], rungs, strict=False):
        rows.append(
            [
                rung.name,
                speed_of(samples, label, rung.name).render(",.0f"),
                ratio_of(samples, label, rung.name, below.name).render(".2f") if below else "",
                ratio_of(samples, label, rung.name, rungs[0].name).render(".2f") if below else "",
            ]
        )
    header = ["rung", "images/s", "times the rung above", "times the idiomatic loop"]
    return f"### {label}\n\n" + render_table(header, rows)


def render_all(results: Mapping[str, Any], rungs: Sequence[Contender], samples: Sequence[Sample]) -> str:
    """The Markdown page."""
    busiest = max(sample.others_cores for sample in samples)
    precisions = ", ".join(f"{label} {probe['precision']}" for label, probe in results["probes"].items())
    parts = [
        "# What each step gave",
        render_run(results["about"]),
        f"{results['images']}; whole epochs with augmentation, {results['num_rounds']} rounds, interleaved: median "
        f"(least to largest) over the rounds, ratios formed within a round. Precision chosen: {precisions}. Other "
        f"processes used up to {busiest:.2f} cores meanwhile.",
        *(render_ladder(label, rungs, samples) for label in results["probes"]),
        "Environment of each:\n\n" + render_environments(results["about"]),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare, measure, print and write."""
    options = train_speed.read_options(arguments, about=__doc__ or "", has_peers=False)
    rungs = list_rungs(usable_threads(options.num_threads))
    about = describe_run(rungs)
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        jobs, probes = train_speed.prepare_jobs(options.networks, Path(folder), options)
        samples = list(run_rounds(rungs, jobs, options.rounds))
    results = {
        "about": about,
        "images": train_speed.describe_images(options.source, jobs),
        "num_rounds": options.rounds,
        "probes": probes,
        "samples": [asdict(sample) for sample in samples],
    }
    text = render_all(results, rungs, samples)
    print(text)
    write_results(options.out, "train-ladder", results, text)


if __name__ == "__main__":
    main()

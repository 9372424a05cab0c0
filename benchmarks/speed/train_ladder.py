"""What each step from the idiomatic loop to roadtest's gave: the steps are taken one after the other and stay.

    python -m benchmarks.speed.train_ladder --networks lenet5,resnet34 [--source gtsrb --data-dir DIR] [--rounds 5]

A rung's gain depends on the rungs below it: it says what the step gave there, not what it would give alone. Each rung
is a process of its own, rounds are interleaved. Expect 20 minutes per network on two cores with five rounds. Writes
results/train-ladder-<machine>.json and .md after every round; a later call replaces the networks that it names there.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.result_files import describe_run, read_networks, render_table, results_path, write_results
from benchmarks.speed import train_speed
from benchmarks.speed.side_by_side import (
    Contender,
    Measured,
    ratio_of,
    render_measured,
    render_runs,
    render_spread,
    run_rounds,
    speed_of,
    usable_threads,
    worker_environment,
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


def render_ladder(label: str, block: Mapping[str, Any]) -> str:
    """One network's ladder; a rung that failed is not in it, and the next is compared with the one above."""
    measured = Measured.from_dict(block)
    rungs = [name for name in block["environments"] if speed_of(measured.samples, name)]
    rows = [
        [
            rung,
            render_spread(speed_of(measured.samples, rung), ",.0f"),
            render_spread(ratio_of(measured.samples, rung, above), ".2f") if above else "",
            render_spread(ratio_of(measured.samples, rung, FIRST), ".2f") if above else "",
        ]
        for above, rung in zip(["", *rungs], rungs, strict=False)
    ]
    table = render_table(["rung", "images/s", "times the rung above", "times the idiomatic loop"], rows)
    rests_on = render_measured(measured, block["num_images"], block["source"])
    return f"### {label}, {block['probe']['precision']}\n\n{rests_on}\n\n{table}"


def render_page(networks: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown page of all networks that were measured on this machine."""
    parts = [
        "# What each step gave",
        "Whole epochs with augmentation, rounds interleaved: median (least to largest) over the rounds, ratios formed "
        "within a round. Beside a network's name stands the precision that was chosen.",
        *(render_ladder(*each) for each in networks.items()),
        "## Machine, command and environments",
        render_runs(networks),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare, measure, write after every round, print."""
    options = train_speed.read_options(arguments, about=__doc__ or "", has_peers=False)
    rungs = list_rungs(usable_threads(options.num_threads))
    about = describe_run()
    path = results_path(options.out, "train-ladder", about)
    networks, text = read_networks(path), ""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        jobs, probes = train_speed.prepare_jobs(options.networks, Path(folder), options)
        for measured in run_rounds(rungs, jobs, options.rounds):
            for label, job in jobs.items():
                networks[label] = train_speed.describe_network(about, rungs, options.source, job)
                networks[label] |= {"probe": probes[label]} | measured.of(label).to_dict()
            text = render_page(networks)
            write_results(path, {"networks": networks}, text)
    print(text)


if __name__ == "__main__":
    main()

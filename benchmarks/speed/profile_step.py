"""Where the time of a training step goes, by kind of operation: what the limit of roadtest's speed is.

    python -m benchmarks.speed.profile_step resnet34 [--threads 2] [--steps 10]

torch.profiler around steps of the package's own loop, 128 images in memory, augmentation included, in a process and
the environment of roadtest's workers. An operation's time is its own, without what it calls; what calls it decides its
kind: a copy inside a convolution's backward pass is that. "between operations" is the rest of the steps' time: Python,
and the profiler, which makes steps of small networks longer; the unwatched step stands beside.

Writes results/profile-step-<network>-<machine>.json and .md. A minute on two cores.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.result_files import RESULTS, describe_run, render_run, render_table, results_path, write_results
from benchmarks.speed.side_by_side import run_process, usable_threads, worker_environment
from benchmarks.speed.train_speed import NUM_IMAGES, rate_of

AUGMENTATION, EVALUATION, OPTIMISER = "batch and augmentation", "evaluation", "optimiser"
KINDS = {
    AUGMENTATION: f"^{AUGMENTATION}$",
    EVALUATION: f"^{EVALUATION}$",
    OPTIMISER: r"^Optimizer\.",
    "batch norm, backward": r"Batch_?Norm.*Backward|batch_norm_backward",
    "batch norm, forward": r"batch_norm",
    "grid_sample, backward": r"GridSampler.*Backward",
    "grid_sample, forward": r"grid_sampler",
    "pooling, backward": r"Pool.*Backward",
    "pooling, forward": r"pool",
    "activation": r"[Rr]elu|threshold",
    "convolution, backward": r"Convolution\w*Backward|WholeMapConvBackward",
    "convolution, forward": r"conv|WholeMapConv",
    "matrix product, backward": r"(Addmm|Mm|Bmm|Linear)Backward",
    "matrix product, forward": r"aten::(linear|addmm|mm|bmm|matmul)$",
}
"""Patterns of names of operations, the first that fits: of the outermost operation that any fits."""
REST = "rest"


def kind_of(names: Iterable[str]) -> str:
    """The kind of an operation from the names of what it stands in, the outermost first, and its own."""
    found = (kind for name in names for kind, pattern in KINDS.items() if re.search(pattern, name))
    return next(found, REST)


def add_up_ms(events: Iterable[Any]) -> dict[str, float]:
    """Milliseconds of own time by kind; evaluations, which are none of the step's, left out."""
    totals_ms = dict.fromkeys([*KINDS, REST], 0.0)
    for event in events:
        names, above = [event.name], event.cpu_parent
        while above is not None:
            names.append(above.name)
            above = above.cpu_parent
        totals_ms[kind_of(reversed(names))] += event.self_cpu_time_total / 1000
    del totals_ms[EVALUATION]
    return totals_ms


def measure(network: str, num_threads: int, num_steps: int) -> dict[str, Any]:
    """Train, first unwatched and then under the profiler; in this process."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    from benchmarks.peers.contender import Job
    from benchmarks.peers.ours import build_training
    from roadtest.networks import build_network, parse_label
    from roadtest.training import loop
    from roadtest.training import step as steps
    from roadtest.training.precision import probe_precision

    torch.set_num_threads(num_threads)
    name, stn = parse_label(network)
    built = build_network(name, num_classes=43, image_size=32, has_stn=bool(stn), seed=0)
    chosen, _ = probe_precision(built, "auto", device="cpu", image_size=32, num_classes=43)
    more: dict[str, Any] = {"num_images": 1280, "image_size": 32, "num_classes": 43, "batch_size": 128, "folder": ""}
    more |= {"learning_rate": rate_of(network), "num_threads": num_threads, "min_seconds": 0.0, "precision": chosen}
    job = Job(network=name, has_stn=bool(stn), **more)
    pixels_NHWC = torch.randint(0, 256, (job.num_images, 32, 32, 3), dtype=torch.uint8)

    def train(num_steps: int, profiler: Any) -> float:
        """Milliseconds of a step on the loop's own clock, which stands still for evaluations."""
        training = build_training(job, built, pixels_NHWC, torch.arange(job.num_images) % 43, num_steps)
        with profiler:
            for _ in loop.train(training):
                pass
        return 1000 * training.progress.train_seconds / num_steps

    train(3, nullcontext())
    unwatched_ms = train(num_steps, nullcontext())
    # In its own process: nobody else meets the marked functions.
    steps.augment_batch = record_function(AUGMENTATION)(steps.augment_batch)
    loop.evaluate_ids = record_function(EVALUATION)(loop.evaluate_ids)
    profiler = profile(activities=[ProfilerActivity.CPU])
    watched_ms = train(num_steps, profiler)
    kinds_ms = {kind: total_ms / num_steps for kind, total_ms in add_up_ms(profiler.events()).items()}
    return {"precision": chosen, "unwatched_step_ms": unwatched_ms, "step_ms": watched_ms, "kinds_ms": kinds_ms}


def render(about: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The page: kinds of operation, the longest first."""
    kinds_ms = {kind: value for kind, value in found["kinds_ms"].items() if value > 0}
    kinds_ms["between operations"] = found["step_ms"] - sum(kinds_ms.values())
    ordered = sorted(kinds_ms.items(), key=lambda pair: -pair[1])
    rows = [[kind, f"{value:.2f}", f"{value / found['step_ms']:.1%}"] for kind, value in ordered]
    rows.append(["a step under the profiler", f"{found['step_ms']:.2f}", "100.0%"])
    rows.append(["a step unwatched", f"{found['unwatched_step_ms']:.2f}", ""])
    how = (
        f"`{found['network']}`, {found['precision']}, {found['num_threads']} threads, {found['num_steps']} steps of "
        f"128 images; other processes used {found['others_cores']:.2f} cores meanwhile."
    )
    table = render_table(["kind of operation", "ms a step", "share"], rows)
    return "\n\n".join(["# Where a training step's time goes", render_run(about), how, table])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in a worker's environment, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=list(NUM_IMAGES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    threads = usable_threads(options.threads)
    asked = {"network": options.network, "num_threads": threads, "num_steps": options.steps}
    about, environment = describe_run(), worker_environment(threads)
    found, others_cores = run_process([__file__, "--inside", json.dumps(asked)], environment)
    found |= {**asked, "others_cores": others_cores}
    text = render(about, found)
    print(text)
    path = results_path(options.out, f"profile-step-{options.network}", about)
    write_results(path, {"about": about, "environment": environment, **found}, text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(measure(**json.loads(sys.argv[2]))))
    else:
        main()

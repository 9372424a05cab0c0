"""How fast roadtest trains, beside what a user would write or pick instead, and beside the limits.

    python benchmarks/train_speed.py --networks lenet5,resnet34 [--source gtsrb --data-dir DIR] [--rounds 5]

Whole epochs with augmentation, every contender in a process of its own, rounds interleaved:

- idiomatic: torchvision's ImageFolder, transforms and DataLoader (two workers), Pillow at every access, float32, NCHW
- timm: its dataset, loader, transforms and optimiser
- lightning: its Trainer around the idiomatic loader
- strong: under 60 lines by a good engineer: images in memory, whole-batch transforms, channels-last, our precision
- roadtest: its own loop, clocked from outside, in the environment of its workers
- bare step: forward, backward and optimiser on one batch, best layout and precision; the limit of any loop
- matrix product: the limit of the arithmetic; the bare step's share of it is 3 times the forward pass's MACs

The peers run in the plain environment and train the network in its usual form (peers/plain_networks.py). With five
rounds expect 15 minutes per network on two cores. Writes results/train-speed-<machine>.json and .md.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bench_images
from side_by_side import (
    HERE,
    Contender,
    Sample,
    Spread,
    describe_run,
    ratio_of,
    render_environments,
    render_run,
    render_table,
    run_contender,
    run_rounds,
    speed_of,
    usable_threads,
    worker_environment,
    write_results,
)

NUM_IMAGES = {
    "lenet5": 20_480,
    "lenet5+stn": 20_480,
    "resnet34": 2_560,
    "resnet34-imagenet": 5_120,
    "vgg16": 1_280,
}
"""Per epoch: 15 to 30 s for the slowest contender on two cores with native bfloat16."""
PEERS = {
    "idiomatic": "idiomatic.py",
    "timm": "with_timm.py",
    "lightning": "with_lightning.py",
    "strong": "strong.py",
}
OURS, BARE = "roadtest", "bare step"


def list_contenders(names: Sequence[str], num_threads: int) -> list[Contender]:
    """The peers that are asked for, roadtest, and the bare step."""
    ours = worker_environment(num_threads)
    return [
        *(Contender(name=name, script=PEERS[name]) for name in names),
        Contender(name=OURS, script="ours.py", environment=ours),
        Contender(name=BARE, script="bare_step.py", environment=ours),
    ]


def build_job(
    label: str, folder: Path, num_classes: int, num_images: int, options: argparse.Namespace
) -> dict[str, Any]:
    """What every contender is told about one network, before the probe."""
    name, _, stn = label.partition("+")
    return {
        "network": name,
        "has_stn": stn == "stn",
        "num_images": num_images,
        "image_size": 32,
        "num_classes": num_classes,
        "batch_size": 128,
        "num_threads": options.num_threads,
        "min_seconds": options.min_seconds,
        "folder": str(folder),
    }


def prepare_jobs(
    labels: Sequence[str], folder: Path, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Write the images, probe every network, and return jobs and what the probes found."""
    listing = bench_images.list_images(options.source, options.data_dir)
    threads = usable_threads(options.num_threads)
    probe = Contender(name="probe", script="probe.py", environment=worker_environment(threads))
    jobs, probes = {}, {}
    for label in labels:
        num_images = max(round((options.num_images or NUM_IMAGES[label]) / 128), 1) * 128
        images = folder / str(num_images)
        if not images.exists():
            bench_images.write_images(images, listing, num_images=num_images, image_size=32)
        job = build_job(label, images, len(listing.class_names), num_images, options)
        probes[label], _ = run_contender(probe, job)
        chosen = {key: probes[label][key] for key in ("precision", "bare_precision", "bare_layout")}
        jobs[label] = {**job, **chosen}
    return jobs, probes


def measure_peaks(num_rounds: int, job: Mapping[str, Any], num_threads: int) -> list[dict[str, float]]:
    """The matrix product's rounds; they come after the others, a second each."""
    contender = Contender(name="peak", script="matrix_product.py", environment=worker_environment(num_threads))
    return [run_contender(contender, job)[0] for _ in range(num_rounds)]


def render_network(label: str, names: Sequence[str], samples: Sequence[Sample]) -> str:
    """One network's table: speed, roadtest's ratio to each peer, roadtest's share of the bare step."""
    rows = []
    for name in names:
        speed = speed_of(samples, label, name)
        faster = ratio_of(samples, label, OURS, name).render(".2f") if name != OURS else ""
        rows.append([name, speed.render(",.0f"), faster])
    return f"### {label}\n\n" + render_table(["contender", "images/s", "roadtest is so many times as fast"], rows)


def render_limits(
    label: str,
    peers: Sequence[str],
    samples: Sequence[Sample],
    probe: Mapping[str, Any],
    peaks: Sequence[Mapping[str, float]],
) -> list[str]:
    """One line of the summary."""
    speeds = {name: speed_of(samples, label, name).median for name in peers}
    best = max(speeds, key=speeds.__getitem__) if speeds else None
    share = ratio_of(samples, label, OURS, BARE)
    bare = speed_of(samples, label, BARE)
    peak = Spread.over(each[f"{probe['bare_precision']}_gmacs_per_second"] for each in peaks)
    return [
        label,
        ratio_of(samples, label, OURS, "idiomatic").render(".1f") if "idiomatic" in peers else "",
        f"{ratio_of(samples, label, OURS, best).render('.1f')}, {best}" if best else "",
        share.render(".0%"),
        f"{probe['precision']}; {probe['bare_precision']}, {probe['bare_layout']}",
        f"{3 * probe['macs_computed'] * bare.median / 1e9 / peak.median:.0%} of {peak.median:,.0f}",
    ]


def render_all(results: Mapping[str, Any], samples: Sequence[Sample], peers: Sequence[str]) -> str:
    """The Markdown page."""
    labels = list(results["probes"])
    header = [
        "network",
        "roadtest / idiomatic",
        "roadtest / best peer",
        "roadtest's share of the bare step",
        "precision: ours; bare step",
        "bare step's share of the matrix product, GMAC/s",
    ]
    limits = [render_limits(each, peers, samples, results["probes"][each], results["peaks"]) for each in labels]
    busiest = max(sample.others_cores for sample in samples)
    parts = [
        "# Training speed, side by side",
        render_run(results["about"]),
        f"{results['images']}; whole epochs with augmentation, {results['num_rounds']} rounds, interleaved: median "
        f"(least to largest) over the rounds, ratios formed within a round. Other processes used up to {busiest:.2f} "
        "cores meanwhile.",
        render_table(header, limits),
        *(render_network(label, [*peers, OURS, BARE], samples) for label in labels),
        "Environment of each:\n\n" + render_environments(results["about"]),
    ]
    return "\n\n".join(parts)


def describe_images(source: str, jobs: Mapping[str, Mapping[str, Any]]) -> str:
    """What was trained on."""
    sizes = ", ".join(f"{label} {job['num_images']:,}" for label, job in jobs.items())
    return f"{'GTSRB' if source == 'gtsrb' else 'Drawn signs'}, images per epoch: {sizes}"


def read_options(arguments: Sequence[str] | None, *, about: str, has_peers: bool) -> argparse.Namespace:
    """The command line, for this script and the ladder."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NUM_IMAGES), help=f"of {', '.join(NUM_IMAGES)}")
    if has_peers:
        parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; empty is none")
    parser.add_argument("--source", choices=("signs", "gtsrb"), default="signs")
    parser.add_argument("--data-dir", type=Path, help="GTSRB; else ROADTEST_GTSRB")
    parser.add_argument("--num-images", type=int, help="per epoch, rounded to batches of 128; default: by network")
    parser.add_argument("--min-seconds", type=float, default=5.0, help="whole epochs are repeated for so long")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num-threads", type=int, help="default: all cores for roadtest, torch's own for the peers")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args(arguments)
    options.networks = options.networks.split(",")
    options.peers = [name for name in options.peers.split(",") if name] if has_peers else []
    for words, known in ((options.networks, NUM_IMAGES), (options.peers, PEERS)):
        for word in words:
            if word not in known:
                parser.error(f"{word!r} is not known: choose from {', '.join(known)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare, measure, print and write."""
    options = read_options(arguments, about=__doc__ or "", has_peers=True)
    threads = usable_threads(options.num_threads)
    contenders = list_contenders(options.peers, threads)
    about = describe_run(contenders)
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        jobs, probes = prepare_jobs(options.networks, Path(folder), options)
        samples = list(run_rounds(contenders, jobs, options.rounds))
        peaks = measure_peaks(options.rounds, next(iter(jobs.values())), threads)
    results = {
        "about": about,
        "images": describe_images(options.source, jobs),
        "num_rounds": options.rounds,
        "probes": probes,
        "peaks": peaks,
        "samples": [asdict(sample) for sample in samples],
    }
    text = render_all(results, samples, options.peers)
    print(text)
    write_results(options.out, "train-speed", results, text)


if __name__ == "__main__":
    main()

"""How fast roadtest trains, beside what a user would write or pick instead, and beside the limits.

    python -m benchmarks.speed.train_speed --networks lenet5,resnet34 [--source gtsrb --data-dir DIR] [--rounds 5]

Whole epochs with augmentation, every contender in a process of its own, rounds interleaved:

- idiomatic: torchvision's ImageFolder, transforms and DataLoader (two workers), Pillow at every access, float32, NCHW
- timm: its dataset, loader, transforms and optimiser
- lightning: its Trainer around the idiomatic loader
- strong: under 60 lines by a good engineer: images in memory, whole-batch transforms, channels-last, our precision
- roadtest: its own loop, clocked from outside, in the environment of its workers
- bare step: forward, backward and optimiser on one batch, best layout and precision; the limit of any loop
- matrix product: the limit of the arithmetic; the bare step's share of it counts the MACs that its step really computes

The peers run in the plain environment and train the network in its usual form (peers/plain_networks.py). With five
rounds expect 15 minutes per network on two cores. Writes results/train-speed-<machine>.json, .md and .svg after every
round; a later call replaces the networks that it names there and leaves the others. A contender that fails, such as
lightning where it is not installed, is left out and said to be. With `--held-to avx2` every library uses what a
processor without AVX-512 has, on one that has it: another file, and the page says so.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.result_files import RESULTS, describe_run, read_networks, render_table, results_path, write_results
from benchmarks.speed import bench_images
from benchmarks.speed.side_by_side import (
    Contender,
    Measured,
    Spread,
    ratio_of,
    render_measured,
    render_runs,
    render_spread,
    run_contender,
    run_rounds,
    speed_of,
    usable_threads,
    worker_environment,
)
from benchmarks.speed.speed_plot import write_plot
from roadtest.protocol import GTSRB_V1

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
HELD_TO = {
    "": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
"""What holds torch, MKL and oneDNN to an instruction set."""


def list_contenders(names: Sequence[str], num_threads: int, held_to: str = "") -> list[Contender]:
    """The peers that are asked for, roadtest, and the bare step."""
    ours = worker_environment(num_threads) | HELD_TO[held_to]
    return [
        *(Contender(name=name, script=PEERS[name], environment=HELD_TO[held_to]) for name in names),
        Contender(name=OURS, script="ours.py", environment=ours),
        Contender(name=BARE, script="bare_step.py", environment=ours),
    ]


def rate_of(label: str) -> float:
    """The protocol's rate; for a network without one the lowest of all, because none must diverge within an epoch."""
    return GTSRB_V1.learning_rate(label) or min(rate for _, rate in GTSRB_V1.learning_rates)


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
        "learning_rate": rate_of(label),
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
    environment = worker_environment(threads) | HELD_TO[options.held_to]
    probe = Contender(name="probe", script="probe.py", environment=environment)
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


def measure_peaks(
    num_rounds: int, job: Mapping[str, Any], environment: Mapping[str, str]
) -> list[dict[str, float | None]]:
    """The matrix product's rounds, a second in each precision."""
    contender = Contender(name="peak", script="matrix_product.py", environment=environment)
    return [run_contender(contender, job)[0] for _ in range(num_rounds)]


def render_network(label: str, block: Mapping[str, Any]) -> str:
    """One network's table: speed, and roadtest's ratio to each."""
    measured = Measured.from_dict(block)
    rows = []
    for name in block["environments"]:
        speed = render_spread(speed_of(measured.samples, name), ",.0f")
        faster = render_spread(ratio_of(measured.samples, OURS, name), ".2f") if name != OURS else ""
        if speed:
            rows.append([name, speed, faster])
    table = render_table(["contender", "images/s", "roadtest is so many times as fast"], rows)
    return f"### {label}\n\n{render_measured(measured, block['num_images'], block['source'])}\n\n{table}"


def render_limits(label: str, block: Mapping[str, Any]) -> list[str]:
    """One line of the summary; what was not measured stays empty."""
    samples, probe = Measured.from_dict(block).samples, block["probe"]
    speeds = {name: speed_of(samples, name) for name in block["environments"] if name not in (OURS, BARE)}
    medians = {name: speed.median for name, speed in speeds.items() if speed}
    best = max(medians, key=medians.__getitem__) if medians else ""
    bare = speed_of(samples, BARE)
    peaks = [each[f"{probe['bare_precision']}_gmacs_per_second"] for each in block["peaks"]]
    peak = Spread.over(value for value in peaks if value is not None)
    used = probe["step_macs_computed"] * bare.median / 1e9 if bare else 0.0
    return [
        label,
        render_spread(ratio_of(samples, OURS, "idiomatic"), ".1f"),
        f"{render_spread(ratio_of(samples, OURS, best), '.1f')}, {best}" if best else "",
        render_spread(ratio_of(samples, OURS, BARE), ".0%"),
        f"{probe['precision']}; {probe['bare_precision']}, {probe['bare_layout']}",
        f"{used / peak.median:.0%} of {peak.median:,.0f}" if peak and bare else "",
    ]


def render_page(networks: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown page of all networks that were measured on this machine."""
    header = [
        "network",
        "roadtest / idiomatic",
        "roadtest / best peer",
        "roadtest's share of the bare step",
        "precision: ours; bare step",
        "bare step's share of the matrix product, GMAC/s",
    ]
    held = [words for words in HELD_TO if words and any(_is_held(block, words) for block in networks.values())]
    parts = [
        "# Training speed, side by side",
        *(f"Every library was held to {words.upper()}, which the processor has more than." for words in held),
        "Whole epochs with augmentation, rounds interleaved: median (least to largest) over the rounds, ratios formed "
        "within a round.",
        render_table(header, [render_limits(*each) for each in networks.items()]),
        *(render_network(*each) for each in networks.items()),
        "## Machine, command and environments",
        render_runs(networks),
    ]
    return "\n\n".join(parts)


def _is_held(block: Mapping[str, Any], words: str) -> bool:
    return all(HELD_TO[words].items() <= environment.items() for environment in block["environments"].values())


def describe_network(
    about: Mapping[str, Any], contenders: Sequence[Contender], source: str, job: Mapping[str, Any]
) -> dict[str, Any]:
    """What stands in the results beside a network's samples."""
    return {
        "about": about,
        "environments": {each.name: dict(each.environment) for each in contenders},
        "source": source,
        "num_images": job["num_images"],
    }


def read_options(arguments: Sequence[str] | None, *, about: str, has_peers: bool) -> argparse.Namespace:
    """The command line, for this script and the ladder."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NUM_IMAGES), help=f"of {', '.join(NUM_IMAGES)}")
    if has_peers:
        parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; empty is none")
        parser.add_argument("--held-to", choices=[words for words in HELD_TO if words], default="", help="see above")
    parser.add_argument("--source", choices=("signs", "gtsrb"), default="signs")
    parser.add_argument("--data-dir", type=Path, help="GTSRB; else ROADTEST_GTSRB")
    parser.add_argument("--num-images", type=int, help="per epoch, rounded to batches of 128; default: by network")
    parser.add_argument("--min-seconds", type=float, default=5.0, help="whole epochs are repeated for so long")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num-threads", type=int, help="default: all cores for roadtest, torch's own for the peers")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.networks = options.networks.split(",")
    options.held_to = options.held_to if has_peers else ""
    options.peers = [name for name in options.peers.split(",") if name] if has_peers else []
    for words, known in ((options.networks, NUM_IMAGES), (options.peers, PEERS)):
        for word in words:
            if word not in known:
                parser.error(f"{word!r} is not known: choose from {', '.join(known)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare, measure, write after every round, print."""
    options = read_options(arguments, about=__doc__ or "", has_peers=True)
    threads = usable_threads(options.num_threads)
    contenders = list_contenders(options.peers, threads, options.held_to)
    about = describe_run()
    stem = f"train-speed-held-to-{options.held_to}" if options.held_to else "train-speed"
    path = results_path(options.out, stem, about)
    networks, text = read_networks(path), ""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        jobs, probes = prepare_jobs(options.networks, Path(folder), options)
        peaks = measure_peaks(options.rounds, next(iter(jobs.values())), contenders[-1].environment)
        for measured in run_rounds(contenders, jobs, options.rounds):
            for label, job in jobs.items():
                more = {"probe": probes[label], "peaks": peaks}
                networks[label] = describe_network(about, contenders, options.source, job) | more
                networks[label] |= measured.of(label).to_dict()
            text = render_page(networks)
            write_results(path, {"networks": networks}, text)
            write_plot(path.with_suffix(".svg"), networks)
    print(text)


if __name__ == "__main__":
    main()

"""Find out once per network what everybody is then told: roadtest's precision, and the bare step's best setting.

It also counts the multiply-accumulates of a forward pass as it is really computed (VGG-16 folded), not as the network
is defined: they are compared with the machine's peak.
"""

import time

import torch
from bare_step import LAYOUTS, prepare_step, take_step
from contender import Job, read_job, report
from torch.utils.flop_counter import FlopCounterMode

from roadtest.evaluate import PRECISIONS
from roadtest.networks import build_network
from roadtest.precision import choose_precision

NUM_STEPS = 3
"""Timed steps per setting, after one that is not."""
HOPELESS = 3.0
"""A setting whose first step takes this many times the best step is not tried further."""


def main() -> None:
    """Choose, try, count."""
    job = read_job()
    network = build_network(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn, seed=0
    )
    precision, probe_ms = choose_precision(
        network, "auto", device="cpu", image_size=job.image_size, num_classes=job.num_classes
    )
    step_ms: dict[tuple[str, str], float] = {}
    for layout in LAYOUTS:
        for each in PRECISIONS:
            step_ms[each, layout] = measure_step_ms(job, each, layout, best_ms=min(step_ms.values(), default=1e9))
    bare_precision, bare_layout = min(step_ms, key=step_ms.__getitem__)
    report(
        precision=precision,
        probe_ms=probe_ms,
        bare_precision=bare_precision,
        bare_layout=bare_layout,
        step_ms={" ".join(setting): round(value, 3) for setting, value in step_ms.items()},
        macs_computed=count_computed_macs(job),
    )


def measure_step_ms(job: Job, precision: str, layout: str, *, best_ms: float) -> float:
    """The fastest of a few steps."""
    parts = prepare_step(job, layout)
    samples_ms = []
    for _ in range(NUM_STEPS + 1):
        start = time.perf_counter()
        take_step(*parts, precision)
        samples_ms.append((time.perf_counter() - start) * 1e3)
        if samples_ms[-1] > HOPELESS * best_ms and len(samples_ms) > 1:
            break
    return min(samples_ms[1:])


def count_computed_macs(job: Job) -> int:
    """Multiply-accumulates of one image's forward pass in convolutions and matrix products."""
    network, images_NCHW, *_ = prepare_step(job, "contiguous")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images_NCHW)
    return int(counter.get_total_flops()) // 2 // job.batch_size


if __name__ == "__main__":
    main()

"""Find out once per network what everybody is then told: roadtest's precision, and the bare step's best setting.

It also counts the multiply-accumulates of a training step as it is really computed (VGG-16 folded, convolutions on maps
of 2 x 2 as linear layers), not as the network is defined: they are compared with the machine's peak.
"""

import math
import time
from collections.abc import Mapping

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers.bare_step import LAYOUTS, prepare_step, take_step
from benchmarks.peers.contender import Job, read_job, report
from roadtest.networks import build_network
from roadtest.training.precision import probe_precision
from roadtest.training.predict import PRECISIONS

NUM_STEPS = 3
"""Timed steps per setting, after one that is not."""
MAX_SLOWDOWN = 3.0
"""A setting that takes this many times as long as the best one is not tried further."""
SLOW_MS = 2000.0
"""A first step that takes so long, and is hopeless, is the last: choosing kernels takes far less."""


def main() -> None:
    """Choose, try, count."""
    job = read_job()
    network = build_network(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn, seed=0
    )
    precision, probe_ms = probe_precision(
        network, "auto", device="cpu", image_size=job.image_size, num_classes=job.num_classes
    )
    step_ms: dict[tuple[str, str], float] = {}
    for layout in LAYOUTS:
        for each in worth_trying(probe_ms):
            best_ms = min(step_ms.values(), default=math.inf)
            step_ms[each, layout] = measure_step_ms(job, each, layout, best_ms=best_ms)
    bare_precision, bare_layout = min(step_ms, key=step_ms.__getitem__)
    report(
        precision=precision,
        probe_ms=probe_ms,
        bare_precision=bare_precision,
        bare_layout=bare_layout,
        step_ms={" ".join(setting): round(value, 3) for setting, value in step_ms.items()},
        step_macs_computed=count_step_macs(job, bare_precision),
    )


def worth_trying(probe_ms: Mapping[str, float]) -> list[str]:
    """The precisions without those that the network cannot run in, or that the package's own probe found hopeless."""
    return [each for each in PRECISIONS if probe_ms.get(each, math.inf) <= MAX_SLOWDOWN * probe_ms["float32"]]


def measure_step_ms(job: Job, precision: str, layout: str, *, best_ms: float) -> float:
    """The fastest of a few steps."""
    parts = prepare_step(job, layout)
    samples_ms = []
    for _ in range(NUM_STEPS + 1):
        start = time.perf_counter()
        take_step(*parts, precision)
        samples_ms.append((time.perf_counter() - start) * 1e3)
        if samples_ms[-1] > MAX_SLOWDOWN * best_ms and (len(samples_ms) > 1 or samples_ms[-1] > SLOW_MS):
            break
    return min(samples_ms[1:] or samples_ms)


def count_step_macs(job: Job, precision: str) -> int:
    """Multiply-accumulates for one image, forward and backward, in convolutions and matrix products.

    Of a real step: without gradients some networks compute their layers in another way.
    """
    parts = prepare_step(job, "channels_last")
    with FlopCounterMode(display=False) as counter:
        take_step(*parts, precision)
    return int(counter.get_total_flops()) // 2 // job.batch_size


if __name__ == "__main__":
    main()

"""What a study is about to spend, said in one line before it spends anything: runs, time and disk.

Networks are counted on paper, without memory for their weights. A user's own network is code: it is run by its worker
and nowhere else, so its size is not known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roadtest.networks.own import is_own
from roadtest.protocol import Protocol
from roadtest.record import PlannedRun
from roadtest.schedule import BRANCH_FRACTIONS
from roadtest.summarise.words import plural, render_duration


@dataclass(frozen=True, kw_only=True)
class Size:
    """What one run of a network keeps on disk."""

    weights_bytes: int
    state_bytes: int
    """Of `state.pt` while it trains: weights and momentum."""


def measure_networks(
    runs: Iterable[PlannedRun], *, num_classes: int, image_size: int
) -> tuple[dict[str, Size], dict[str, str]]:
    """Return the sizes of the runs' networks, and why others cannot be built, both by label."""
    sizes: dict[str, Size] = {}
    reasons: dict[str, str] = {}
    for run in {run.label: run for run in runs}.values():
        if is_own(run.network):
            continue
        try:
            sizes[run.label] = _measure(run, num_classes, image_size)
        except Exception as error:  # whatever a library's network does not like
            reasons[run.label] = " ".join(str(error).split()) or type(error).__name__
    return sizes, reasons


def _measure(run: PlannedRun, num_classes: int, image_size: int) -> Size:
    from roadtest.cost import count_parameters
    from roadtest.networks import build_on_paper

    network = build_on_paper(run.network, num_classes=num_classes, image_size=image_size, has_stn=run.has_stn)
    weights_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    return Size(weights_bytes=weights_bytes, state_bytes=weights_bytes + 4 * count_parameters(network))


def count_disk_bytes(
    missing: Sequence[PlannedRun],
    sizes: Mapping[str, Size],
    *,
    num_parallel: int,
    keeps_weights: bool,
    anneals: bool = False,
) -> int:
    """Bytes that the missing runs need at most: all weights, and the states of those that train at the same time."""
    known = [sizes[run.label] for run in missing if run.label in sizes]
    states = sorted((size.state_bytes for size in known), reverse=True)[:num_parallel]
    kept_bytes = sum(size.weights_bytes for size in known) if keeps_weights else 0
    # A state is replaced by a whole new one; beside a branch's two lies that of the run.
    return kept_bytes + (3 if anneals else 2) * sum(states)


def plan_text(
    runs: Sequence[PlannedRun],
    missing: Sequence[PlannedRun],
    protocol: Protocol,
    *,
    num_parallel: int,
    num_swept: int,
    disk_bytes: int,
    anneals: bool = False,
) -> str:
    """`12 runs, about 2 h 05 min of training, 6.4 GB`: what is about to be spent."""
    words = [plural(len(runs), "run")]
    if len(missing) < len(runs):
        words.append(f"{len(runs) - len(missing)} of them finished")
    if missing and protocol.budget_seconds is None:
        words.append(f"at most {protocol.max_epochs} epochs each")
    elif missing and protocol.budget_seconds is not None:
        rounds = -(-len(missing) // num_parallel)
        seconds = rounds * protocol.budget_seconds
        words.append(f"about {render_duration(seconds)} of training")
        if anneals:
            words.append(f"about {render_duration(seconds * branch_share(protocol))} of annealed copies beside it")
    if num_swept:
        tried = f"{len(protocol.sweep_rates)} learning rates for {plural(num_swept, 'network')}"
        words.append(f"before it {tried}, {render_duration(protocol.sweep_seconds)} each")
    if missing and disk_bytes:
        is_all_known = not any(is_own(run.network) for run in missing)
        words.append(render_bytes(disk_bytes) if is_all_known else f"at least {render_bytes(disk_bytes)}")
    return ", ".join(words)


def branch_share(protocol: Protocol) -> float:
    """What the branches of a run take, over the steps that its whole budget pays for."""
    return protocol.decay_fraction * sum(BRANCH_FRACTIONS)


def render_bytes(num_bytes: float) -> str:
    """`850 kB`, `6.4 GB`: two digits at least."""
    for unit in ("kB", "MB", "GB"):
        num_bytes /= 1000
        if num_bytes < 999.5 or unit == "GB":
            break
    return f"{num_bytes:.1f} {unit}" if num_bytes < 9.95 else f"{num_bytes:.0f} {unit}"

"""What a study is about to spend, said in one line before it spends anything: runs, time and disk.

Networks are counted by shape inference, without memory for their weights. A user's own network is code: it is run by
its worker and nowhere else, so its size is not known here.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roadtest.format import plural, render_duration
from roadtest.networks.user_file import is_user_defined
from roadtest.protocol import BRANCH_FRACTIONS, Protocol
from roadtest.records import PlannedRun
from roadtest.records.events import Event
from roadtest.study.resolve import StudyContext


@dataclass(frozen=True, kw_only=True)
class Size:
    """What one run of a network keeps on disk."""

    weights_bytes: int
    state_bytes: int
    """Of `state.pt` while it trains: weights and momentum."""


def announce_study(
    context: StudyContext, missing: Sequence[PlannedRun], sizes: Mapping[str, Size], num_swept: int
) -> None:
    """Emit the line, a warning where the disk is too full, and every run with its status."""
    emit = context.emit
    disk_bytes = count_disk_bytes(context, missing, sizes)
    text = plan_text(context, missing, num_swept=num_swept, disk_bytes=disk_bytes)
    emit(Event(kind="planned", text=text, num_total=len(context.runs)))
    free_bytes = shutil.disk_usage(context.study_dir).free
    if free_bytes < disk_bytes:
        need, there = render_bytes(disk_bytes), render_bytes(free_bytes)
        text = f"the runs need {need} and the disk of {context.study_dir} has {there} free"
        emit(Event(kind="warning", text=text))
    for run in context.runs:
        status = "waiting" if run in missing else "finished"
        emit(Event(kind="queued", label=run.label, seed=run.seed, status=status))


def measure_networks(
    runs: Iterable[PlannedRun], *, num_classes: int, image_size: int
) -> tuple[dict[str, Size], dict[str, str]]:
    """Return the sizes of the runs' networks, and why others cannot be built, both by label."""
    sizes: dict[str, Size] = {}
    reasons: dict[str, str] = {}
    for run in {run.label: run for run in runs if not is_user_defined(run.network)}.values():
        from roadtest.networks import build_on_meta  # imports torch, which a finished study does not need
        from roadtest.training.profile import count_parameters

        try:
            network = build_on_meta(run.network, num_classes=num_classes, image_size=image_size, has_stn=run.has_stn)
        except Exception as error:  # whatever a library's network does not like
            reasons[run.label] = " ".join(str(error).split()) or type(error).__name__
            continue
        weights_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
        state_bytes = weights_bytes + 4 * count_parameters(network)
        sizes[run.label] = Size(weights_bytes=weights_bytes, state_bytes=state_bytes)
    return sizes, reasons


def count_disk_bytes(context: StudyContext, missing: Sequence[PlannedRun], sizes: Mapping[str, Size]) -> int:
    """Bytes that the missing runs need at most: all weights, and the states of those that train at the same time."""
    options = context.options
    known = [sizes[run.label] for run in missing if run.label in sizes]
    states = sorted((size.state_bytes for size in known), reverse=True)[: options.jobs]
    kept_bytes = sum(size.weights_bytes for size in known) if options.keep_weights != "none" else 0
    # A state is replaced by a whole new one; beside a cooldown copy's two lies that of the run.
    return kept_bytes + (3 if options.anneal else 2) * sum(states)


def plan_text(context: StudyContext, missing: Sequence[PlannedRun], *, num_swept: int, disk_bytes: int) -> str:
    """`12 runs, about 2 h 05 min of training, 6.4 GB`: what is about to be spent."""
    protocol, options, runs = context.protocol, context.options, context.runs
    words = [plural(len(runs), "run")]
    if len(missing) < len(runs):
        words.append(f"{len(runs) - len(missing)} of them finished")
    if missing and protocol.budget_seconds is None:
        words.append(f"at most {protocol.max_epochs} epochs each")
    elif missing and protocol.budget_seconds is not None:
        rounds = -(-len(missing) // options.jobs)
        seconds = rounds * protocol.budget_seconds
        words.append(f"about {render_duration(seconds)} of training")
        if options.anneal:
            words.append(f"about {render_duration(seconds * cooldown_share(protocol))} of annealed copies beside it")
    if num_swept:
        tried = f"{len(protocol.sweep_rates)} learning rates for {plural(num_swept, 'network')}"
        words.append(f"before it {tried}, {render_duration(protocol.sweep_seconds)} each")
    if missing and disk_bytes:
        is_all_known = not any(is_user_defined(run.network) for run in missing)
        words.append(render_bytes(disk_bytes) if is_all_known else f"at least {render_bytes(disk_bytes)}")
    return ", ".join(words)


def cooldown_share(protocol: Protocol) -> float:
    """What the cooldown copies of a run take, over the steps that its whole budget pays for."""
    return protocol.decay_fraction * sum(BRANCH_FRACTIONS)


def render_bytes(num_bytes: float) -> str:
    """`850 kB`, `6.4 GB`: two digits at least."""
    for unit in ("kB", "MB", "GB"):
        num_bytes /= 1000
        if num_bytes < 999.5 or unit == "GB":
            break
    return f"{num_bytes:.1f} {unit}" if num_bytes < 9.95 else f"{num_bytes:.0f} {unit}"

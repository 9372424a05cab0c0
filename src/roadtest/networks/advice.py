"""Networks whose feature maps shrink to 1 x 1 too early at an image size, and what helps.

Shapes are inferred on the meta device, in a fraction of a second for each network, before anything is trained. A change
is proposed only where it helps. A user-defined network is code: its worker runs it, and nothing else does.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from roadtest.networks import build
from roadtest.networks.names import why_no_stem
from roadtest.networks.registry import NETWORKS, ORIGINAL_STEM, STEMS, parse_network
from roadtest.networks.shapes import Probe, probe_network
from roadtest.networks.user_file import is_user_defined
from roadtest.records import PlannedRun

if TYPE_CHECKING:
    from torch import nn

LARGER_SIZES = (64, 128, 224)


def remark_on_networks(runs: Iterable[PlannedRun], *, num_classes: int, image_size: int) -> list[str]:
    """One sentence per network whose maps shrink to 1 x 1 too early, with what helps; or that cannot be looked at."""
    remarks = []
    for name in dict.fromkeys(run.network for run in runs if not is_user_defined(run.network)):
        try:
            network = build.build_on_meta(name, num_classes=num_classes, image_size=image_size, has_stn=False)
            remark = remark_on_maps(name, network, num_classes=num_classes, image_size=image_size)
        except Exception as error:  # whatever a library's network raises; if it cannot train, its run says so
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            remark = f"{name}: its maps could not be looked at before training: {reason}"
        remarks += [remark] if remark is not None else []
    return remarks


def remark_on_maps(name: str, network: "nn.Module", *, num_classes: int, image_size: int) -> str | None:
    """One sentence about a network that is given too small images for its maps, with what helps; None for others."""
    probe = probe_network(network, image_size)
    if not probe.is_too_small:
        return None
    sides = ", ".join(map(str, probe.sides))
    share = probe.num_blind_weights / max(sum(parameter.numel() for parameter in network.parameters()), 1)
    wasted = f"{share:.0%} of its weights are" if share >= 0.005 else "some of its weights are"
    sees = "convolution sees" if probe.num_blind == 1 else "convolutions see"
    return (
        f"{name}: at {image_size} x {image_size} its maps shrink to {sides}; {probe.num_blind} {sees} a single pixel, "
        f"and {wasted} never trained: {_find_help(name, num_classes, image_size)}"
    )


def _find_help(name: str, num_classes: int, image_size: int) -> str:
    model = parse_network(name)
    for stem in STEMS if why_no_stem(model) is None else ():
        other = str(replace(model, stem=stem))
        if stem != ORIGINAL_STEM and (probe := _large_enough(other, num_classes, image_size)) is not None:
            return f"--stem {stem} ({other}) ends at {probe.sides[-1]} x {probe.sides[-1]}"
    family = name.partition("-")[0]
    if name in NETWORKS and family != name and _large_enough(family, num_classes, image_size) is not None:
        return f"{family} does not"
    for size in LARGER_SIZES:
        if size > image_size and _large_enough(name, num_classes, size) is not None:
            return f"use --image-size {size}"
    return "use larger images or leave it out"


def _large_enough(name: str, num_classes: int, image_size: int) -> Probe | None:
    """The maps of a network; None where they shrink too early or cannot be found."""
    try:
        network = build.build_on_meta(name, num_classes=num_classes, image_size=image_size, has_stn=False)
        probe = probe_network(network, image_size)
    except Exception:  # whatever a library's network raises
        return None
    return None if probe.is_too_small else probe

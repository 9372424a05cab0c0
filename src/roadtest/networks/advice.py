"""What to do about a network whose maps shrink to 1 x 1 too early: another stem, one of ours, or larger images.

Everything is found on paper, by building what is proposed and looking at its maps; nothing is proposed that does not
help. A user's own network is code and is not looked at here.

A look at every network before it is trained: are its maps still maps at this image size?

On paper, in a fraction of a second each. A user's own network is code: it is run by its worker and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from roadtest.networks.build import build_on_meta
from roadtest.networks.names import why_no_stem
from roadtest.networks.registry import NETWORKS, ORIGINAL_STEM, STEMS, parse_network
from roadtest.networks.shapes import Probe, probe_network
from roadtest.networks.user_file import is_user_defined
from roadtest.records import PlannedRun

if TYPE_CHECKING:
    from torch import nn

LARGER_SIZES = (64, 128, 224)


def remark_on_maps(name: str, network: "nn.Module", *, num_classes: int, image_size: int) -> str | None:
    """One sentence about a network that is given too small images for its maps, with what helps; None for others."""
    probe = probe_network(network, image_size)
    if not probe.is_too_small:
        return None
    sides = ", ".join(map(str, probe.sides))
    num_weights = sum(parameter.numel() for parameter in network.parameters())
    share = probe.num_blind_weights / max(num_weights, 1)
    wasted = f"{share:.0%} of its weights are" if share >= 0.005 else "some of its weights are"
    sees = "convolution sees" if probe.num_blind == 1 else "convolutions see"
    return (
        f"{name}: at {image_size} x {image_size} its maps shrink to {sides}; {probe.num_blind} {sees} a single pixel, "
        f"and {wasted} never trained: {_find_help(name, num_classes, image_size)}"
    )


def _find_help(name: str, num_classes: int, image_size: int) -> str:
    model = parse_network(name)
    if why_no_stem(model) is None:
        for stem in STEMS:
            variant = replace(model, stem=stem)
            if stem != ORIGINAL_STEM and (probe := _probe(str(variant), num_classes, image_size)) is not None:
                return f"--stem {stem} ({variant}) ends at {probe.sides[-1]} x {probe.sides[-1]}"
    family = name.partition("-")[0]
    if name in NETWORKS and family != name and _probe(family, num_classes, image_size) is not None:
        return f"{family} does not"
    for size in LARGER_SIZES:
        if size > image_size and _probe(name, num_classes, size) is not None:
            return f"use --image-size {size}"
    return "use larger images or leave it out"


def _probe(name: str, num_classes: int, image_size: int) -> Probe | None:
    """The maps of a network, where they do not shrink too early."""
    try:
        network = build_on_meta(name, num_classes=num_classes, image_size=image_size, has_stn=False)
        probe = probe_network(network, image_size)
    except Exception:  # whatever a library's network does not like
        return None
    return None if probe.is_too_small else probe


def remark_on_networks(runs: Iterable[PlannedRun], *, num_classes: int, image_size: int) -> list[str]:
    """One sentence per network whose maps shrink to 1 x 1 too early, with what helps; or that cannot be looked at."""
    networks = dict.fromkeys(run.network for run in runs if not is_user_defined(run.network))
    if not networks:
        return []
    remarks = [_remark(network, num_classes, image_size) for network in networks]
    return [remark for remark in remarks if remark is not None]


def _remark(network: str, num_classes: int, image_size: int) -> str | None:
    from roadtest.networks.build import build_on_meta

    try:
        on_paper = build_on_meta(network, num_classes=num_classes, image_size=image_size, has_stn=False)
        return remark_on_maps(network, on_paper, num_classes=num_classes, image_size=image_size)
    except Exception as error:  # whatever a library's network does not like; if it cannot train, its run says so
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"{network}: its maps could not be looked at before training: {reason}"

"""What to do about a network whose maps shrink to 1 x 1 too early: another stem, one of ours, or larger images.

Everything is found on paper, by building what is proposed and looking at its maps; nothing is proposed that does not
help. A user's own network is code and is not looked at here.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from roadtest.networks.build import build_on_paper
from roadtest.networks.names import why_no_stem
from roadtest.networks.registry import NETWORKS, OWN_STEM, STEMS, parse_network
from roadtest.networks.stages import Probe, probe_network

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
    spelling = parse_network(name)
    if why_no_stem(spelling) is None:
        for stem in STEMS:
            variant = replace(spelling, stem=stem)
            if stem != OWN_STEM and (probe := _probe(str(variant), num_classes, image_size)) is not None:
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
        network = build_on_paper(name, num_classes=num_classes, image_size=image_size, has_stn=False)
        probe = probe_network(network, image_size)
    except Exception:  # whatever a library's network does not like
        return None
    return None if probe.is_too_small else probe

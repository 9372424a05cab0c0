"""A look at every network before it is trained: are its maps still maps at this image size?

On paper, in a fraction of a second each. A user's own network is code: it is run by its worker and nowhere else.
"""

from collections.abc import Iterable

from roadtest.networks.own import is_own
from roadtest.record import PlannedRun


def remark_on_networks(runs: Iterable[PlannedRun], *, num_classes: int, image_size: int) -> list[str]:
    """One sentence per network whose maps shrink to 1 x 1 too early, with what helps."""
    networks = dict.fromkeys(run.network for run in runs if not is_own(run.network))
    if not networks:
        return []
    from roadtest.networks.advice import remark_on_maps
    from roadtest.networks.build import build_on_paper

    remarks = []
    for network in networks:
        on_paper = build_on_paper(network, num_classes=num_classes, image_size=image_size, has_stn=False)
        remarks.append(remark_on_maps(network, on_paper, num_classes=num_classes, image_size=image_size))
    return [remark for remark in remarks if remark is not None]

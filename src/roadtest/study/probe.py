"""A look at every network before it is trained: are its maps still maps at this image size?

On paper, in a fraction of a second each. A user's own network is code: it is run by its worker and nowhere else.
"""

from collections.abc import Iterable

from roadtest.networks.own import is_own
from roadtest.record import PlannedRun


def remark_on_networks(runs: Iterable[PlannedRun], *, num_classes: int, image_size: int) -> list[str]:
    """One sentence per network whose maps shrink to 1 x 1 too early, with what helps; or that cannot be looked at."""
    networks = dict.fromkeys(run.network for run in runs if not is_own(run.network))
    if not networks:
        return []
    remarks = [_remark(network, num_classes, image_size) for network in networks]
    return [remark for remark in remarks if remark is not None]


def _remark(network: str, num_classes: int, image_size: int) -> str | None:
    from roadtest.networks.advice import remark_on_maps
    from roadtest.networks.build import build_on_paper

    try:
        on_paper = build_on_paper(network, num_classes=num_classes, image_size=image_size, has_stn=False)
        return remark_on_maps(network, on_paper, num_classes=num_classes, image_size=image_size)
    except Exception as error:  # whatever a library's network does not like; if it cannot train, its run says so
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"{network}: its maps could not be looked at before training: {reason}"

"""The table of networks: what each has, does and sees at one image size, before anything is trained."""

import sys
from collections.abc import Sequence

from roadtest.cli.terminal import MINUS, Column, Row, count, print_rows, print_table
from roadtest.record import row_label

MANY = 20
"""So many networks take long enough for a word about it."""
COLUMNS = (
    Column(title="network", text=row_label, is_right=False),
    Column(
        title="parameters", text=lambda row: MINUS if row["num_parameters"] is None else f"{row['num_parameters']:,}"
    ),
    Column(title="MACs", text=lambda row: count(row["macs"])),
    Column(title="maps", text=lambda row: str(row["map_sides"] or MINUS), rank=1, is_right=False),
    Column(title="what it is", text=lambda row: str(row["about"]), is_right=False, is_folding=True),
)


def print_networks(rows: Sequence[Row], format: str) -> None:
    """Print what can be compared."""
    if format != "table":
        print_rows(rows, format)
    else:
        print_table(COLUMNS, [("", list(rows))])


def network_rows(names: Sequence[str], *, image_size: int, num_classes: int) -> tuple[list[Row], list[str]]:
    """Count the named networks (all of our own where none is named), STN off and on; and a sentence on small maps.

    Of several networks one that cannot run at this size is a row with the reason; a ValueError where none can.
    """
    from roadtest.networks import NETWORKS, default_stn, parse_label, resolve_networks

    labels = resolve_networks(list(names) or list(NETWORKS))
    if len(labels) > MANY:
        print(f"building and counting {len(labels):,} networks: a second or more each", file=sys.stderr)
    rows: list[Row] = []
    remarks: dict[str, None] = {}
    first_error: ValueError | None = None
    for word in labels:
        name, asked = parse_label(word)
        for has_stn in [asked] if asked is not None else [False, True] if default_stn(name) == "both" else [False]:
            try:
                row, remark = _count(name, has_stn, image_size=image_size, num_classes=num_classes)
            except ValueError as error:
                first_error = first_error or error
                nothing = {"num_parameters": None, "macs": None, "map_sides": None}
                row, remark = {"network": name, "has_stn": has_stn, **nothing, "about": str(error)}, None
            rows.append(row)
            remarks |= {remark: None} if remark is not None else {}
    if first_error is not None and all(row["num_parameters"] is None for row in rows):
        raise first_error
    return rows, list(remarks)


def _count(name: str, has_stn: bool, *, image_size: int, num_classes: int) -> tuple[Row, str | None]:
    from roadtest.cost import count_macs, count_parameters  # brings torch in: not before the names are known
    from roadtest.networks import build_on_paper, describe_network
    from roadtest.networks.advice import remark_on_maps
    from roadtest.networks.own import is_own
    from roadtest.networks.stages import probe_network

    network = build_on_paper(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn)
    bare = build_on_paper(name, num_classes=num_classes, image_size=image_size, has_stn=False) if has_stn else network
    probe = probe_network(bare, image_size)
    row: Row = {
        "network": name,
        "has_stn": has_stn,
        "num_parameters": count_parameters(network),
        "macs": count_macs(network, image_size),
        "map_sides": " ".join(map(str, probe.sides)),
        "about": describe_network(name) if not has_stn else "the same behind a spatial transformer",
    }
    is_looked_at = not is_own(name)
    remark = remark_on_maps(name, bare, num_classes=num_classes, image_size=image_size) if is_looked_at else None
    return row, remark

"""The networks: a literal dict of the comparison's own, and any other by `timm:`, `torchvision:` or `file.py:build`.

What they are called stands in registry.py, how people's words become names in names.py, and how a name becomes a
network in build.py. Importing this package is light; torch comes with the first network that is built, torchvision and
timm with the first of theirs. docs/networks.md has sources, deviations and counts.
"""

from roadtest.networks.build import build_network, build_on_meta
from roadtest.networks.names import resolve_networks, why_no_stem, why_not_pretrained
from roadtest.networks.registry import (
    NETWORKS,
    STEMS,
    ModelName,
    build_lenet5,
    default_stn,
    describe_network,
    parse_label,
    parse_network,
)

__all__ = [
    "NETWORKS",
    "STEMS",
    "ModelName",
    "build_lenet5",
    "build_network",
    "build_on_meta",
    "default_stn",
    "describe_network",
    "parse_label",
    "parse_network",
    "resolve_networks",
    "why_no_stem",
    "why_not_pretrained",
]

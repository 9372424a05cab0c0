"""The networks: a literal dict of the built-in ones, and any other by `timm:`, `torchvision:` or `file.py:build`.

registry.py has the names, names.py turns what people type into names, build.py makes a network of a name. Importing
this package is light: torch comes with the first network that is built. docs/networks.md has sources, deviations and
counts.
"""

from roadtest.networks.build import build_network, build_on_meta
from roadtest.networks.names import resolve_networks, why_no_stem, why_not_pretrained
from roadtest.networks.registry import (
    NETWORKS,
    ModelName,
    build_lenet5,
    default_stn,
    describe_network,
    parse_label,
    parse_network,
)

__all__ = [
    "NETWORKS",
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

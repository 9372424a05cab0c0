"""What was typed, and what a config file says, as the arguments of `roadtest.compare`."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from roadtest.cli.options import CompareOptions

_TURNED = {"networks", "seeds", "budget", "budget_total", "no_test", "no_images", "config"}
"""Options whose text is turned into something else; all others pass as they are."""
_PLAIN = tuple(one.name for one in fields(CompareOptions) if one.name not in _TURNED)


def chosen_options(given: CompareOptions) -> dict[str, Any]:
    """The arguments of `roadtest.compare`: those of the config file, overruled by what was typed."""
    from roadtest.cli.values import parse_duration, parse_seeds, split_list

    chosen: dict[str, Any] = {}
    if given.config is not None:
        from roadtest.config import read_config

        chosen |= read_config(given.config)
        if given.networks is None:
            _refuse_unnamed_code(chosen.get("networks", ()), given.config)
    typed = {name: getattr(given, name) for name in _PLAIN}
    chosen |= {name: value for name, value in typed.items() if value is not None and value is not False}  # but 0 counts
    if given.networks is not None:
        chosen["networks"] = split_list(given.networks, "--networks")
    if given.seeds is not None:
        chosen["seeds"] = parse_seeds(given.seeds)
    budgets = {"budget": given.budget, "budget_total": given.budget_total}
    if any(text is not None for text in budgets.values()):
        chosen = {name: value for name, value in chosen.items() if not name.startswith("budget")}
    for name, text in budgets.items():
        if text is not None:
            chosen[f"{name}_seconds"] = parse_duration(text, f"--{name.replace('_', '-')}")
    if given.no_test and chosen.get("test_on"):
        raise ValueError(f"--no-test and --test-on {chosen['test_on']} contradict each other: leave one out")
    chosen |= {"reads_test": False} if given.no_test else {}
    return chosen | ({"has_images": False} if given.no_images else {})


def _refuse_unnamed_code(networks: Iterable[str], config: Path) -> None:
    """A config file may be anybody's, and a network of one's own is a program: it runs where it was typed."""
    from roadtest.networks.own import is_own

    own = [name for name in networks if is_own(name)]
    if own:
        raise ValueError(
            f"{config} names {own[0]!r}, which is code: it runs only where it is named on the command line; if you "
            f"trust the file, add --networks {','.join(networks)}"
        )

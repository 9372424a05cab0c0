"""Which networks run, with which stem, from which start, with or without a spatial transformer; and where weights lie.

`--stem`, `--pretrained` and `--stn` speak for networks whose own name says nothing: `torchvision:resnet18@small`,
`timm:resnet18+pretrained` and `lenet5+stn` overrule them. Where a switch cannot hold for a network, one line says so.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from roadtest.events import Event
from roadtest.networks import (
    Spelling,
    default_stn,
    parse_label,
    parse_network,
    resolve_networks,
    why_no_stem,
    why_not_pretrained,
)
from roadtest.networks.registry import OWN_STEM
from roadtest.record import PlannedRun, is_finished
from roadtest.study.options import Options, default_networks

Tell = Callable[[Event], None]
SWITCHES: dict[str, tuple[bool, ...]] = {"off": (False,), "on": (True,), "both": (False, True)}


def choose_variants(source: str, options: Options, tell: Tell) -> list[tuple[str, bool]]:
    """(network, has_stn) in the order they were asked for, each once; a name that says so overrules the switches."""
    labels = resolve_networks(options.networks or default_networks(source))
    asked = [(parse_network(network), has_stn) for network, has_stn in map(parse_label, labels)]
    asked = [(_with_stem(spelling, options.stem), has_stn) for spelling, has_stn in asked]
    _check_stem(options.stem, [spelling for spelling, _ in asked])
    starts = _starts([spelling for spelling, _ in asked], options.pretrained, tell)
    pairs: list[tuple[str, bool]] = []
    for spelling, has_stn in asked:
        switch = SWITCHES[options.stn or default_stn(str(spelling))] if has_stn is None else (has_stn,)
        for is_pretrained in starts[spelling]:
            stem = None if spelling.stem == OWN_STEM else spelling.stem
            network = str(replace(spelling, stem=stem, is_pretrained=is_pretrained))
            pairs += [(network, each) for each in switch if (network, each) not in pairs]
    return pairs


def fetch_weights(runs: Iterable[PlannedRun], study_dir: Path, tell: Tell, *, is_fresh: bool) -> None:
    """Have the pretrained weights of all runs to be done in the cache; a ValueError where some cannot be had."""
    for network in _pretrained(runs, study_dir, is_fresh):
        from roadtest.networks.pretrained import find_weights

        tell(Event(kind="phase", text=f"looking for the weights of {network}"))
        find_weights(network, is_fetching=True)


def announce_weights(runs: Iterable[PlannedRun], study_dir: Path, tell: Tell, *, is_fresh: bool) -> None:
    """Say of which runs to be done the pretrained weights are not in the cache yet; nothing is fetched."""
    for network in _pretrained(runs, study_dir, is_fresh):
        from roadtest.networks.pretrained import find_weights

        try:
            find_weights(network)
        except ValueError:
            text = f"the weights of {network} are not in the cache: compare fetches them before it trains anything"
            tell(Event(kind="note", text=text))


def _pretrained(runs: Iterable[PlannedRun], study_dir: Path, is_fresh: bool) -> list[str]:
    """The pretrained networks among the runs to be done."""
    missing = [run for run in runs if is_fresh or not is_finished(study_dir / run.folder)]
    return list(dict.fromkeys(run.network for run in missing if parse_network(run.network).is_pretrained))


def refuse_objects(networks: object) -> None:
    """Refuse functions, classes and modules in place of names: a run is a process of its own and reads a file."""
    is_many = isinstance(networks, Iterable) and not isinstance(networks, str) and not callable(networks)
    given = networks if is_many and isinstance(networks, Collection) else [] if is_many else [networks]
    for one in given:
        if one is None or isinstance(one, str):
            continue
        name = getattr(one, "__name__", "build")
        word = name if name.isidentifier() else "build"
        shown = " ".join(repr(one).split())[:60]
        raise ValueError(
            f"network {shown} is an object of this session: runs are processes of their own, and read networks from "
            f"files; {_line_for(one, word)}"
        )


def _line_for(one: object, name: str) -> str:
    """How the object becomes a name: its library's, its file's, or that of the cell it was defined in."""
    library = str(getattr(one, "__module__", "")).partition(".")[0]
    if library in ("timm", "torchvision") and hasattr(one, "__name__"):
        return f"name it '{library}:{name}'"
    if callable(one) and getattr(one, "__module__", "__main__") != "__main__":
        try:
            path = inspect.getsourcefile(one)
        except TypeError:
            path = None
        if path is not None and Path(path).suffix == ".py" and Path(path).is_file():
            return f"name it {path + ':' + name!r}"
    return f"put %%writefile my_net.py into the first line of its cell, run it, and name it 'my_net.py:{name}'"


def _with_stem(spelling: Spelling, stem: str | None) -> Spelling:
    is_meant = stem is not None and spelling.stem is None and why_no_stem(spelling) is None
    return parse_network(str(replace(spelling, stem=stem))) if is_meant else spelling


def _check_stem(stem: str | None, spellings: Sequence[Spelling]) -> None:
    if stem is not None and all(why_no_stem(spelling) is not None for spelling in spellings):
        raise ValueError(
            f"--stem {stem} goes with networks of timm and torchvision, and none is named: name one, or leave it out"
        )


def _starts(spellings: Sequence[Spelling], switch: str, tell: Tell) -> dict[Spelling, tuple[bool, ...]]:
    """Per network whether it starts pretrained, from nothing, or both; one line names those that cannot."""
    starts = {spelling: SWITCHES["on" if spelling.is_pretrained else "off"] for spelling in spellings}
    if switch == "off":
        return starts
    reasons: dict[str, str] = {}
    for spelling in spellings:
        if spelling.is_pretrained:
            continue
        reason = why_not_pretrained(spelling)
        if reason is None:
            starts[spelling] = SWITCHES[switch]
        else:
            reasons[str(spelling)] = reason
    if len(reasons) == len(spellings):
        raise ValueError(f"--pretrained {switch} was given: {next(iter(reasons.values()))}")
    if reasons:
        tell(Event(kind="note", text=f"no pretrained weights, so from nothing: {', '.join(reasons)}"))
    return starts

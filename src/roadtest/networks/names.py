"""What people type becomes networks: lists, wildcards, near misses. Nothing is built here.

A mistake is a ValueError in one line, with the nearest names. timm and torchvision are asked for their names only
where a word begins with theirs.
"""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence

from roadtest.networks import user_file, zoo
from roadtest.networks.registry import (
    NETWORKS,
    PRETRAINED_SUFFIX,
    STEM_SIGN,
    STEMS,
    STN_SUFFIX,
    ModelName,
    parse_network,
)

_ALL_NAMES = ", ".join([*NETWORKS, "timm:<name>", "torchvision:<name>", "file.py:build"])


def resolve_networks(words: Sequence[str]) -> list[str]:
    """Turn names, lists with commas and wildcards into labels such as `lenet5+stn`, each once, in the order given."""
    labels = [label for word in words for part in word.split(",") if part.strip() for label in _matches(part.strip())]
    if not labels:
        raise ValueError(f"no network is named: choose from {_ALL_NAMES}; or leave the option away")
    return list(dict.fromkeys(labels))


def why_no_stem(model: ModelName) -> str | None:
    """Why a network cannot be given another stem, as one line; None where it may be tried."""
    if model.origin is not None:
        return None
    is_users = user_file.is_user_defined(model.name)
    way_out = "write it in your file" if is_users else "resnet34 has resnet34-s1, resnet34-imagenet"
    return f"{model.name} has no choice of stems: they are for networks of timm and torchvision; {way_out}"


def why_not_pretrained(model: ModelName) -> str | None:
    """Why there are no pretrained weights for a network, as one line; None where there are."""
    if model.origin == "timm":
        from roadtest.networks.pretrained import why_no_weights

        return why_no_weights(model)
    has_twin = model.origin == "torchvision" and model.inner in zoo.LIBRARIES["timm"].names()
    way_out = f"take timm:{model.inner}" if has_twin else "leave +pretrained out"
    return f"{model.name} has no pretrained weights here: they come through timm; {way_out}"


def check_known(name: str) -> None:
    """Raise a ValueError with near misses where a name is neither built in nor a library's."""
    library, _, inner = name.partition(":")
    if name in NETWORKS:
        return
    bare, sign, stem = name.rpartition(STEM_SIGN)
    if sign and bare:
        stems = ", ".join(STEMS)
        raise ValueError(f"{name!r}: stem {stem!r} is not known: choose one of {stems}, as in {bare}@small")
    if library not in zoo.LIBRARIES:
        near = _nearest(name, NETWORKS, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm: and torchvision: have many more"
        raise ValueError(f"network {name!r} is not known: choose from {_ALL_NAMES}; {hint}")
    # timm's names may carry the tag of a pretrained set of weights, which is of no use here but does no harm.
    known = zoo.LIBRARIES[library].names()
    if inner.partition(".")[0] not in known:
        nearest = _nearest_in(library, inner)
        raise ValueError(f"network {name!r} is not among the {len(known)} of {library}: take one, such as {nearest}")


def _matches(word: str) -> list[str]:
    """The labels that one word means; a ValueError with near misses where there is none."""
    suffixes = set()
    while (suffix := next((one for one in (STN_SUFFIX, PRETRAINED_SUFFIX) if word.endswith(one)), None)) is not None:
        word = word.removesuffix(suffix)
        suffixes.add(suffix)
    model = parse_network(word)
    names = [model.name]
    if user_file.is_user_defined(model.name):
        user_file.locate_user_file(model.name)
    elif not any(sign in model.name for sign in "*?["):
        check_known(model.name)
    elif model.origin is not None and model.inner:
        known = zoo.LIBRARIES[model.origin].names()
        names = [f"{model.origin}:{found}" for found in fnmatch.filter(known, model.inner)]
        if not names:
            near = _nearest_in(model.origin, re.sub(r"[*?\[\]]", "", model.inner))
            instead = f"{model.origin} has {len(known)}, such as {near}"
            raise ValueError(f"no network matches {model.name!r}: {instead}; widen the pattern")
    else:
        names = fnmatch.filter(NETWORKS, model.name)
        if not names:
            raise ValueError(f"no network matches {model.name!r}: the names are {_ALL_NAMES}; widen the pattern")
    found = [ModelName(name=name, stem=model.stem, is_pretrained=PRETRAINED_SUFFIX in suffixes) for name in names]
    if model.stem is not None:
        _possible(found, why_no_stem)
    if PRETRAINED_SUFFIX in suffixes:
        found = _possible(found, why_not_pretrained)
    return [f"{each}{STN_SUFFIX * (STN_SUFFIX in suffixes)}" for each in found]


def _possible(found: list[ModelName], why_not: Callable[[ModelName], str | None]) -> list[ModelName]:
    """Those that a wildcard may keep; a ValueError with the first reason where none is left."""
    reasons = {each: reason for each in found if (reason := why_not(each)) is not None}
    if len(reasons) == len(found):
        raise ValueError(next(iter(reasons.values())))
    return [each for each in found if each not in reasons]


def _nearest_in(library: str, name: str) -> str:
    near = _nearest(name, zoo.LIBRARIES[library].names(), cutoff=0.0)
    return ", ".join(f"{library}:{found}" for found in near)


def _nearest(name: str, known: Iterable[str], cutoff: float) -> list[str]:
    """Up to three names that look alike, letters and digits counting first: `ResNet-34` is resnet34."""

    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    same = [each for each in known if plain(each) == plain(name)]
    return same or difflib.get_close_matches(name.lower(), known, n=3, cutoff=cutoff)

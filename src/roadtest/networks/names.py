"""From the words that people type to networks: lists, wildcards, near misses. Nothing is built here.

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

STEM_WORDS = ", ".join(STEMS)


def resolve_networks(words: Sequence[str]) -> list[str]:
    """Turn names, lists with commas and wildcards into labels such as `lenet5+stn`, each once, in the order given."""
    labels = [label for word in words for part in word.split(",") if part.strip() for label in _matches(part.strip())]
    if not labels:
        raise ValueError(f"no network is named: choose from {_all_names()}; or leave the option away")
    return list(dict.fromkeys(labels))


def why_no_stem(model: ModelName) -> str | None:
    """Why a network cannot be given another stem, as one line; None where it may be tried."""
    if model.origin is not None:
        return None
    own_words = (
        "write it in your file"
        if user_file.is_user_defined(model.name)
        else "resnet34 has resnet34-s1, resnet34-imagenet"
    )
    return f"{model.name} has no choice of stems: they are for networks of timm and torchvision; {own_words}"


def why_not_pretrained(model: ModelName) -> str | None:
    """Why there are no pretrained weights for a network, as one line; None where there are."""
    if model.origin == "timm":
        from roadtest.networks.pretrained import why_no_weights

        return why_no_weights(model)
    way_out = "leave +pretrained out"
    if model.origin == "torchvision":
        way_out = f"take timm:{model.inner}" if model.inner in zoo.names_in_timm() else way_out
    return f"{model.name} has no pretrained weights here: they come through timm; {way_out}"


def _matches(word: str) -> list[str]:
    """The labels that one word stands for; a ValueError with near misses where there is none."""
    network, has_stn, is_pretrained = _without_suffixes(word)
    model = parse_network(network)
    if user_file.is_user_defined(model.name):
        user_file.locate_user_file(model.name)
        names = [model.name]
    elif not any(sign in model.name for sign in "*?["):
        check_known(model.name)
        names = [model.name]
    elif model.origin is not None and model.inner:
        names = [f"{model.origin}:{found}" for found in zoo.names_like(model.origin, model.inner)]
    else:
        names = fnmatch.filter(NETWORKS, model.name)
    if not names:
        raise ValueError(f"no network matches {model.name!r}: {_instead_of(model)}; widen the pattern")
    found = [ModelName(name=name, stem=model.stem, is_pretrained=is_pretrained) for name in names]
    if model.stem is not None:
        _refuse(found, why_no_stem)
    if is_pretrained:
        found = _refuse(found, why_not_pretrained)
    return [f"{each}{STN_SUFFIX * has_stn}" for each in found]


def _without_suffixes(word: str) -> tuple[str, bool, bool]:
    """The word without `+stn` and `+pretrained`, in any order, and which of them it had."""
    found = set()
    while (suffix := next((one for one in (STN_SUFFIX, PRETRAINED_SUFFIX) if word.endswith(one)), None)) is not None:
        word = word.removesuffix(suffix)
        found.add(suffix)
    return word, STN_SUFFIX in found, PRETRAINED_SUFFIX in found


def _refuse(found: list[ModelName], why: Callable[[ModelName], str | None]) -> list[ModelName]:
    """Those that a wildcard may keep; the first reason where none is left."""
    reasons = {each: reason for each in found if (reason := why(each)) is not None}
    if len(reasons) == len(found):
        raise ValueError(next(iter(reasons.values())))
    return [each for each in found if each not in reasons]


def _instead_of(model: ModelName) -> str:
    """Names beside a pattern that found nothing."""
    if model.origin is None or not model.inner:
        return f"the names are {_all_names()}"
    known = zoo.LIBRARIES[model.origin][0]()
    near = _nearest(re.sub(r"[*?\[\]]", "", model.inner), known, cutoff=0.0)
    return f"{model.origin} has {len(known)}, such as {', '.join(f'{model.origin}:{name}' for name in near)}"


def check_known(name: str) -> None:
    """Raise a ValueError with near misses where a name is neither ours nor a library's."""
    library, _, inner = name.partition(":")
    if name in NETWORKS:
        return
    bare, sign, stem = name.rpartition(STEM_SIGN)
    if sign and bare:
        raise ValueError(f"{name!r}: stem {stem!r} is not known: choose one of {STEM_WORDS}, as in {bare}@small")
    if library not in zoo.LIBRARIES:
        near = _nearest(name, NETWORKS, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm: and torchvision: have many more"
        raise ValueError(f"network {name!r} is not known: choose from {_all_names()}; {hint}")
    # timm's names may carry the tag of a pretrained set of weights, which is of no use here but does no harm.
    known = zoo.LIBRARIES[library][0]()
    if inner.partition(".")[0] not in known:
        nearest = ", ".join(f"{library}:{found}" for found in _nearest(inner, known, cutoff=0.0))
        raise ValueError(f"network {name!r} is not among the {len(known)} of {library}: take one, such as {nearest}")


def _nearest(name: str, known: Iterable[str], cutoff: float) -> list[str]:
    """Up to three names that look alike, letters and digits counting first: `ResNet-34` is resnet34."""
    known = list(known)
    same = [each for each in known if _plain(each) == _plain(name)]
    return same or difflib.get_close_matches(name.lower(), known, n=3, cutoff=cutoff)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _all_names() -> str:
    return ", ".join([*NETWORKS, "timm:<name>", "torchvision:<name>", "file.py:build"])

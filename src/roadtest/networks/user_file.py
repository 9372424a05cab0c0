"""A network from the user's own file, `path/file.py:build`: called as build(num_classes=..., image_size=...).

The file is executed as it is, with all rights of the user: naming it is the user's decision. Only that file is read;
Python's search path is not changed. Whatever goes wrong inside becomes one line with the file and the reason.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from roadtest.records import RunRecord


def is_user_defined(name: str) -> bool:
    """Whether a network's name points into a file."""
    return ".py:" in name or name.endswith(".py")


def build_user_defined(name: str, num_classes: int, image_size: int) -> "nn.Module":
    """Call the function that `path/file.py:function` names; a ValueError says what is wrong there."""
    from torch import nn

    path, function = locate_user_file(name)
    build = getattr(_execute(path, name), function, None)
    if not callable(build):
        raise ValueError(f"network {name!r}: {path.name} has no function {function!r}; define it or name another")
    try:
        network = build(num_classes=num_classes, image_size=image_size)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"network {name!r} failed while it was built ({first_line(error)}): its function is called with "
            "num_classes= and image_size= and returns a torch.nn.Module; mend the file"
        ) from error
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"network {name!r} returned {type(network).__name__}: it must return a torch.nn.Module; mend the file"
        )
    return network


def locate_user_file(name: str) -> tuple[Path, str]:
    """Split `path/file.py:function` into an existing file and a name, without running anything."""
    path_text, _, function = name.rpartition(":")
    if not path_text.endswith(".py") or not function.isidentifier():
        raise ValueError(f"network {name!r} names no function: a network of your own is file.py:build; add the name")
    path = Path(path_text).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"network {name!r}: there is no file {path}; give its path from the current folder")
    return path, function


def digest_user_file(name: str) -> str:
    """SHA-256 of the file that a network's name points into; empty for a network that is not the user's own."""
    return hashlib.sha256(locate_user_file(name)[0].read_bytes()).hexdigest() if is_user_defined(name) else ""


def check_unchanged(name: str, records: "Iterable[RunRecord]") -> None:
    """Refuse a file that was changed since runs of its network were finished: one name would be two networks."""
    digest = digest_user_file(name)
    for record in records:
        if record.network == name and record.own_network_digest not in ("", digest):
            raise ValueError(
                f"network {name!r} was changed after its run with seed {record.seed} was finished: all runs of a name "
                "are of one file; undo the change, name a copy of the file, or begin anew with --fresh"
            )


def _execute(path: Path, name: str) -> ModuleType:
    # A name of its own for each path, so that two files of one name do not meet, nor a file and an installed package.
    module_name = f"roadtest_own_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pickling look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ValueError(f"network {name!r}: {path} could not be run ({first_line(error)}); mend the file") from error
    return module


def first_line(error: BaseException) -> str:
    """An exception as one short line: its kind and what it says first."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:200]}"

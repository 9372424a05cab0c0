"""Where a benchmark's figures go: a JSON file with every sample and a page in Markdown, named after the machine.

Beside every figure stand the command, the machine and its load, the versions and the commit; no folder of the machine.
Files that hold several networks are added to: a call for other networks leaves those that are there.
"""

import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roadtest.machine import describe_machine
from roadtest.records import Machine, write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_FOLDERS = re.compile(r"(?<![\w.~])/(?:[^\s/'\"=:,]+/)+")


def describe_run() -> dict[str, Any]:
    """Command and machine; a quarter of a second, to see what else runs."""
    script, *words = [without_folders(word.rstrip("/")) for word in sys.argv]
    if script.startswith("benchmarks/"):
        script = "-m " + script.removesuffix(".py").replace("/", ".")
    return {"command": " ".join(["python", script, *words]), "machine": asdict(describe_machine())}


def without_folders(text: str) -> str:
    """The text without folders of this machine: what lies in the checkout keeps its place in it, all else its name."""
    return _FOLDERS.sub("", text.replace(f"{ROOT}/", ""))


def render_run(about: Mapping[str, Any]) -> str:
    """What `describe_run` found, as a paragraph."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = "unknown" if machine["load"] is None else f"{machine['load']:.2f}"
    flags = " ".join(machine["cpu_flags"])
    return (
        f"`{about['command']}`\n\n{machine['cpu_name']}, {machine['num_cores']} cores, flags {flags}; "
        f"{machine['system']}, Python {machine['python']}; {versions}; commit {machine['commit']}; "
        f"load {load} before the start."
    )


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def name_machine(machine: Machine) -> str:
    """A short name for files, such as `amd-epyc-2-cores-avx512-bf16`."""
    best = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in machine.cpu_flags]
    words = f"{machine.cpu_name} {machine.num_cores} cores {best[0] if best else platform.machine()}"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(R\)|\(TM\)|CPU|Processor|@.*GHz", "", words).lower()).strip("-")


def results_path(folder: Path, stem: str, about: Mapping[str, Any]) -> Path:
    """`<stem>-<machine>.json` in the folder."""
    return folder / f"{stem}-{name_machine(Machine(**about['machine']))}.json"


def write_results(path: Path, plain: Mapping[str, Any], text: str) -> None:
    """Write the JSON file, and the page beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(plain, indent=1) + "\n").encode())
    write_atomically(path.with_suffix(".md"), (text + "\n").encode())
    print(f"written: {without_folders(str(path))} and .md", file=sys.stderr)


def read_networks(path: Path) -> dict[str, dict[str, Any]]:
    """What is there of each network, by label; nothing where there is no file yet, a ValueError where it is another."""
    if not path.exists():
        return {}
    try:
        networks: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["networks"]
        return dict(networks)
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} holds no networks to add to: move it away, or write to another folder") from None

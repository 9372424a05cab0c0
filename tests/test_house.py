"""The house stays as it was built: one staircase of imports, one door for each heavy guest, rooms one can see whole."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import roadtest

PACKAGE = Path(roadtest.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]

STAIRCASE = (
    ("protocol",),
    ("record", "events", "lock", "draws"),
    ("config", "data", "augment", "machine", "networks", "judge", "board", "job", "schedule", "descent"),
    ("evaluate", "cost", "graphs"),
    ("training", "precision"),
    ("steps",),
    ("train",),
    ("examples", "state", "trial", "weights", "devices"),
    ("anneal", "speed"),
    ("run", "summarise"),
    ("worker", "recommend"),
    ("winner",),
    ("classify",),
    ("export", "labelled", "incumbent"),
    ("report", "preview", "progress"),
    ("study",),
    ("plan",),
    ("cli",),
)
"""A room imports rooms on lower floors only; rooms on one floor are strangers. `judge_x.py` belongs to `judge`."""
FLOORS = {room: floor for floor, rooms in enumerate(STAIRCASE) for room in rooms}

DOORS = {
    "altair": r"report/figures(_\w+)?\.py",
    "vl_convert": r"report/figures\.py",
    "jinja2": r"report/page\.py",
    "timm": r"networks/zoo\.py",
    "torchvision": r"networks/zoo\.py",
    "huggingface_hub": r"networks/pretrained\.py",
    "cyclopts": r"cli/\w+\.py",
    "rich": r"(progress|cli/\w+)\.py",
    "scipy": r"(judge\w*|data/tracks)\.py",
    "onnx": r"export/\w+\.py",
    "onnxruntime": r"export/\w+\.py",
    "onnxscript": r"export/\w+\.py",
    "PIL": r"(data/\w+|data/signs/\w+|preview|classify|report/thumbnails)\.py",
}
LATE = {"timm", "torchvision", "huggingface_hub", "scipy", "rich", "onnx", "onnxruntime", "onnxscript"}
"""Guests that come in when a function needs them, never at a module's import."""

WITHOUT_TORCH = (
    "protocol",
    "record",
    "events",
    "devices",
    "config",
    "board",
    "progress",
    "judge",
    "summarise",
    "recommend",
    "report",
)


class Import:
    """One imported module, and whether it stands inside a function or only serves type checkers."""

    def __init__(self, module: str, *, is_late: bool) -> None:
        self.module, self.is_late = module, is_late


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> list[Import]:
    """Everything a file imports, `from roadtest import x` as `roadtest.x`; what only type checkers see is left out."""
    found: list[Import] = []

    def visit(node: ast.AST, is_late: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, is_late=is_late) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "roadtest" else [module]
            found.extend(Import(name, is_late=is_late) for name in names)
        inner = is_late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(tree_of(path), False)
    return found


def room_of(module: str) -> str:
    """`roadtest.analysis.stats.folds` and `roadtest.analysis.stats.comparisons` are one room, and so is a package with all its modules."""
    first = module.split(".")[1]
    return first.split("_")[0] if first.split("_")[0] in FLOORS else first


def files_in(rooms: tuple[str, ...]) -> Iterator[Path]:
    for path, name in zip(FILES, NAMES, strict=True):
        if name not in ("__init__.py", "__main__.py") and room_of(module_of(name)) in rooms:
            yield path


def module_of(name: str) -> str:
    return "roadtest." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@pytest.mark.slow
def test_a_module_imports_lower_floors_only() -> None:
    sinners = {}
    for name in NAMES:
        if name in ("__init__.py", "__main__.py"):
            continue
        room = room_of(module_of(name))
        assert room in FLOORS, f"{name} has no floor yet: give it one in STAIRCASE"
        used = {room_of(one.module) for one in imports(PACKAGE / name) if one.module.startswith("roadtest.")} - {room}
        sinners[name] = {other for other in used if FLOORS.get(other, 99) >= FLOORS[room]}
    assert {name: others for name, others in sinners.items() if others} == {}


def test_a_heavy_guest_enters_by_its_door() -> None:
    for name in NAMES:
        for one in imports(PACKAGE / name):
            guest = one.module.split(".")[0]
            if guest in DOORS:
                assert re.fullmatch(DOORS[guest], name), f"{name}: {guest} may enter by {DOORS[guest]} only"
            assert one.is_late or guest not in LATE, f"{name}: {guest} must be imported inside a function"


def test_what_only_reads_studies_never_mentions_torch() -> None:
    sinners = [
        path.name
        for path in files_in(WITHOUT_TORCH)
        if any(one.module.split(".")[0] == "torch" for one in imports(path))
    ]
    assert sinners == []


@pytest.mark.slow
def test_what_only_reads_studies_runs_without_torch() -> None:
    modules = [module_of(str(path.relative_to(PACKAGE))) for path in files_in(WITHOUT_TORCH)]
    code = f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert set(modules) <= set(loaded)
    assert not {"torch", "torchvision", "timm"} & set(loaded)


def test_a_file_can_be_read_in_one_sitting() -> None:
    num_lines = {name: len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) for name in NAMES}
    assert {name: num for name, num in num_lines.items() if num > 300} == {}, "is a room missing?"


@pytest.mark.slow
def test_a_function_can_be_seen_whole() -> None:
    functions = [
        (name, node)
        for name in NAMES
        for node in ast.walk(tree_of(PACKAGE / name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [(name, f.name) for name, f in functions if (f.end_lineno or 0) - f.lineno + 1 > 60] == []


def test_no_room_is_named_after_nothing() -> None:
    parts = {part.removesuffix(".py") for name in NAMES for part in name.split("/")}
    assert not parts & {"utils", "util", "common", "helpers", "base", "core", "misc", "lib"}


def test_every_module_says_what_it_is() -> None:
    assert [name for name in NAMES if not ast.get_docstring(tree_of(PACKAGE / name))] == []


def test_a_source_file_has_its_tests() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    rooms = {room_of(module_of(name)) for name in NAMES if "/" in name or name not in ("__init__.py", "__main__.py")}
    assert {room for room in rooms if not any(name == room or name.startswith(f"{room}_") for name in tested)} == set()


def test_nothing_unpickles() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for words in ("pickle.load", "Unpickler(", "allow_pickle=True", "weights_only=False"):
            assert words not in text, path
        assert "torch.load(" not in text or "weights_only=True" in text, path

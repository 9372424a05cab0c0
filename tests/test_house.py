"""The house stays as it was built: twelve names on eight floors, one door for each heavy guest, a file is one idea."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain, pairwise
from pathlib import Path
from statistics import median

import pytest

import roadtest

PACKAGE = Path(roadtest.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]

STAIRCASE = (
    ("protocol", "format"),
    ("records",),
    ("data", "networks", "machine"),
    ("training", "analysis"),
    ("inference", "report"),
    ("study",),
    ("cli", "__init__"),
    ("__main__",),
)
"""A room imports rooms on lower floors only; rooms on one floor are strangers."""
FLOORS = {room: floor for floor, rooms in enumerate(STAIRCASE) for room in rooms}
EXCEPTIONS = {("analysis", "networks.registry")}
"""`analysis` never touches a network, and so imports one file of names of that room and no other."""
STRANGERS = {("report", "training"), ("report", "networks"), ("analysis", "networks"), ("analysis", "data")}
"""Rooms on lower floors that a room does without all the same."""

DOORS = {
    "altair": r"report/charts\.py",
    "vl_convert": r"report/charts\.py",
    "joblib": r"data/cache\.py",
    "platformdirs": r"data/cache\.py",
    "jinja2": r"(report/page|inference/export/card)\.py",
    "timm": r"networks/zoo\.py",
    "torchvision": r"networks/zoo\.py",
    "huggingface_hub": r"networks/pretrained\.py",
    "cyclopts": r"cli/\w+\.py",
    "rich": r"(study/progress|cli/\w+)\.py",
    "scipy": r"(analysis/stats/\w+|data/split)\.py",
    "onnx": r"inference/export/\w+\.py",
    "onnxruntime": r"inference/export/\w+\.py",
    "onnxscript": r"inference/export/\w+\.py",
    "PIL": r"(data/[\w/]+|inference/classifier|report/sections/errors)\.py",
}
LATE = {"joblib", "timm", "torchvision", "huggingface_hub", "scipy", "rich", "onnx", "onnxruntime", "onnxscript"}
"""Guests that come in when a function needs them, never at a module's import."""
WITHOUT_TORCH = ("protocol", "format", "records", "analysis", "report", "study/progress")
LONG_FILES: dict[str, str] = {
    "report/charts.py": "every chart behind the one door to altair",
}
"""Files above 500 lines, each with the reason why it is one idea."""


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
            whole = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            found.extend(Import(name, is_late=is_late) for name in whole)
            if len(whole) < len(node.names):
                found.append(Import(module, is_late=is_late))
        inner = is_late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(tree_of(path), False)
    return found


def module_of(name: str) -> str:
    return "roadtest." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


MODULES = [module_of(name) for name in NAMES]


def room_of(name: str) -> str:
    """`data/cache.py` is in `data`."""
    return name.split("/")[0].removesuffix(".py")


def own_imports(name: str) -> set[str]:
    """The modules of roadtest that a file imports."""
    return {one.module for one in imports(PACKAGE / name) if one.module.startswith("roadtest.")}


def files_in(rooms: tuple[str, ...]) -> Iterator[Path]:
    for path, name in zip(FILES, NAMES, strict=True):
        if any(name == f"{room}.py" or name.startswith(f"{room}/") for room in rooms):
            yield path


def test_there_are_twelve_names_at_the_top() -> None:
    names = {room_of(name) for name in NAMES} - {"__init__", "__main__"}
    assert len(names) == 12
    assert names == set(FLOORS) - {"__init__", "__main__"}


@pytest.mark.slow
def test_a_module_imports_lower_floors_only() -> None:
    upwards = [
        (name, module)
        for name in NAMES
        for module in own_imports(name)
        if (other := module.split(".")[1]) != room_of(name) and FLOORS[other] >= FLOORS[room_of(name)]
    ]
    assert upwards == []


@pytest.mark.slow
def test_strangers_stay_strangers() -> None:
    met = [
        (name, module)
        for name in NAMES
        for module in own_imports(name)
        if (room_of(name), module.split(".")[1]) in STRANGERS
        and (room_of(name), module.removeprefix("roadtest.")) not in EXCEPTIONS
    ]
    assert met == []


@pytest.mark.slow
def test_no_imports_go_in_a_circle() -> None:
    TopologicalSorter({module_of(name): own_imports(name) - {module_of(name)} for name in NAMES}).prepare()


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


def test_a_file_is_one_idea() -> None:
    num_lines = {name: len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) for name in NAMES}
    too_long = {name for name, num in num_lines.items() if num > 500}
    assert too_long == set(LONG_FILES), "is a room missing?"
    ideas = [num for name, num in num_lines.items() if not name.endswith("__init__.py")]
    assert len(NAMES) <= 140
    assert 120 <= median(ideas) <= 250


def test_no_file_continues_another() -> None:
    stems = sorted(name.removesuffix(".py") for name in NAMES)
    assert [pair for pair in pairwise(stems) if pair[1].startswith(f"{pair[0]}_")] == [], "make a package of them"


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
    parts = set(chain.from_iterable(name.removesuffix(".py").split("/") for name in NAMES))
    assert not parts & {"utils", "util", "common", "helpers", "base", "core", "misc", "lib", "words"}


def test_every_module_says_what_it_is() -> None:
    assert [name for name in NAMES if not ast.get_docstring(tree_of(PACKAGE / name))] == []


def test_a_room_has_its_tests() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    rooms = {room_of(name) for name in NAMES} - {"__init__", "__main__"}
    assert {room for room in rooms if not any(name == room or name.startswith(f"{room}_") for name in tested)} == set()


def test_nothing_unpickles() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for words in ("pickle.load", "Unpickler(", "allow_pickle=True", "weights_only=False"):
            assert words not in text, path
        assert "torch.load(" not in text or "weights_only=True" in text, path

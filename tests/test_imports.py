"""Who may import whom: femtotui -> presets -> core, and inside each folder only what lies below."""

from __future__ import annotations

import ast
import collections
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCREEN_LIBRARIES = {"textual", "rich", "click"}
# For each top folder, the parts of femtotui that it may import; `femtotui` itself may import all.
ALLOWED = {
    "dummy_data": set[str](),
    "core": {"femtotui.core"},
    "presets": {"femtotui.core", "femtotui.presets", "femtotui.dummy_data"},
}
FOLDERS = [*ALLOWED, "femtotui"]
# The folders inside core and femtotui, from the lowest to the highest: each imports from lower lines only.
LAYERS = {
    "core": (
        {"config", "errors", "events", "commands", "files", "machine"},
        {"model", "tokenizers"},
        {"sampling", "training"},
        {"evaluators"},
        {"run_folder"},
    ),
    "femtotui": (
        {"installation"},
        {"text"},
        {"blas", "widgets"},
        {"chart", "tokens"},
        {"trainer"},
        {"mpi", "runs"},
        {"inspection"},
        {"sampling", "experiments", "sweep", "edit"},
        {"train"},
        {"app"},
        {"cli"},
        {"__main__"},
    ),
}


def imported(source: str, package: str) -> Iterator[str]:
    """The absolute name of every module or name that a file of `package` imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def breaches(source: str, folder: str, package: str) -> list[str]:
    """The imports of a file in one of the four top folders that are not allowed there."""
    names = list(imported(source, package))
    wrong = [name for name in names if within(name, {"core", "presets", "dummy_data"})]
    if folder == "femtotui":
        return wrong
    wrong += [n for n in names if within(n, {"femtotui"}) and not within(n, ALLOWED[folder])]
    wrong += [n for n in names if within(n, SCREEN_LIBRARIES)]
    if folder == "dummy_data":
        wrong += [n for n in names if n.split(".")[0] not in sys.stdlib_module_names]
    return wrong


def part_of(name: str, folder: str) -> str | None:
    """The part of `folder` that a dotted name lies in: a folder, or a module beside the folders."""
    prefix = "femtotui." if folder == "femtotui" else f"femtotui.{folder}."
    part = name.removeprefix(prefix).split(".")[0] if name.startswith(prefix) else ""
    return part if any(part in layer for layer in LAYERS[folder]) else None


def upward(source: str, folder: str, package: str, part: str) -> list[str]:
    """The imports of a file in `part` of `folder` from parts that do not lie below it.

    The modules of the lowest layer are one part.
    """
    heights = {name: height for height, layer in enumerate(LAYERS[folder]) for name in layer}
    found = []
    for name in imported(source, package):
        other = part_of(name, folder)
        if other is not None and other != part and heights[other] >= max(heights[part], 1):
            found.append(name)
    return found


def package_of(file: Path) -> str:
    parts = file.relative_to(ROOT).parent.parts
    return ".".join(parts if parts[0] == "femtotui" else ("femtotui", *parts))


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    found = {
        str(file.relative_to(ROOT)): wrong
        for file in files_of(folder)
        if (wrong := breaches(file.read_text("utf-8"), folder, package_of(file)))
    }
    assert files_of(folder)
    assert found == {}


@pytest.mark.parametrize("folder", LAYERS)
def test_inside_a_folder_imports_go_down(folder: str) -> None:
    found, parts = {}, set()
    for file in files_of(folder):
        part = file.relative_to(ROOT / folder).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        parts.add(part)
        wrong = upward(file.read_text("utf-8"), folder, package_of(file), part)
        if wrong:
            found[str(file.relative_to(ROOT))] = wrong
    assert found == {}
    assert parts == set().union(*LAYERS[folder]), "LAYERS names every part, and no others"


def test_no_module_and_no_public_class_has_a_namesake() -> None:
    modules, classes = collections.Counter[str](), collections.Counter[str]()
    for folder in FOLDERS:
        for file in files_of(folder):
            modules.update([file.stem] if not file.stem.startswith("__") else [])
            tree = ast.parse(file.read_text("utf-8"))
            classes.update(n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] != "_")
    assert [name for counter in (modules, classes) for name, times in counter.items() if times > 1] == []


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("core", "from femtotui.presets import load_preset"),
        ("core", "from femtotui import presets"),
        ("core", "def f():\n    import rich.text"),
        ("core", "from ..presets.load import load_preset"),
        ("presets", "from femtotui.app import App"),
        ("presets", "from textual.app import App"),
        ("dummy_data", "import numpy"),
        ("dummy_data", "from femtotui.core.errors import FemtoError"),
        ("femtotui", "from core.config import RunConfig"),
    ],
)
def test_a_breach_is_noticed(folder: str, source: str) -> None:
    package = folder if folder == "femtotui" else f"femtotui.{folder}"
    assert breaches(source, folder, package)


@pytest.mark.parametrize(
    ("part", "source", "is_wrong"),
    [
        ("runs", "from ..train.train_screen import TrainScreen", True),
        ("runs", "def f():\n    from femtotui.cli.main import main", True),
        ("sampling", "from ..experiments.experiment import race", True),
        ("runs", "from ..chart.series import LossSeries", False),
        ("runs", "from .state import RunState", False),
    ],
)
def test_an_import_upward_is_noticed(part: str, source: str, is_wrong: bool) -> None:
    assert bool(upward(source, "femtotui", f"femtotui.{part}", part)) == is_wrong


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("core", "import numpy as np\nfrom .config import RunConfig"),
        ("presets", "from femtotui.core.config import RunConfig\nfrom .schema import Preset"),
        ("dummy_data", "import argparse, random"),
        ("femtotui", "from femtotui.core.config import RunConfig\nfrom textual.app import App"),
    ],
)
def test_what_is_allowed_is_no_breach(folder: str, source: str) -> None:
    package = folder if folder == "femtotui" else f"femtotui.{folder}"
    assert breaches(source, folder, package) == []

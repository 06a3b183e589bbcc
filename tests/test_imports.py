"""Who may import whom: femtotui -> presets -> core; dummy_data stands alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCREEN_LIBRARIES = {"textual", "rich", "click"}
# For each folder, the parts of femtotui that it may import; `femtotui` itself may import all.
ALLOWED = {
    "dummy_data": set[str](),
    "core": {"femtotui.core"},
    "presets": {"femtotui.core", "femtotui.presets", "femtotui.dummy_data"},
}
FOLDERS = [*ALLOWED, "femtotui"]


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
    """What a file in one of the four folders imports although it may not."""
    names = list(imported(source, package))
    wrong = [name for name in names if within(name, {"core", "presets", "dummy_data"})]
    if folder == "femtotui":
        return wrong
    wrong += [n for n in names if within(n, {"femtotui"}) and not within(n, ALLOWED[folder])]
    wrong += [n for n in names if within(n, SCREEN_LIBRARIES)]
    if folder == "dummy_data":
        wrong += [n for n in names if n.split(".")[0] not in sys.stdlib_module_names]
    return wrong


def package_of(file: Path) -> str:
    parts = file.relative_to(ROOT).parent.parts
    return ".".join(parts if parts[0] == "femtotui" else ("femtotui", *parts))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    found = {
        str(file.relative_to(ROOT)): wrong
        for file in files
        if (wrong := breaches(file.read_text("utf-8"), folder, package_of(file)))
    }
    assert files
    assert found == {}


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("core", "from femtotui.presets import load_preset"),
        ("core", "from femtotui import presets"),
        ("core", "def f():\n    import rich.text"),
        ("core", "from ..presets.load import load_preset"),
        ("presets", "from femtotui.app.start import App"),
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

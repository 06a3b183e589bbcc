"""The wheel holds what the repository holds, and installs one name only: femtotui."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from femtotui.cli.man import manual_page

ROOT = Path(__file__).parents[1]
# Where each folder of the repository lies in the wheel.
PLACES = {
    "femtotui": "femtotui",
    "core": "femtotui/core",
    "presets": "femtotui/presets",
    "dummy_data": "femtotui/dummy_data",
}
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE", "docs/femtotui.1")
MANUAL = "share/man/man1/femtotui.1"
PYTHONS = [found for minor in range(11, 15) if (found := shutil.which(f"python3.{minor}"))]


def repository_files(folder: str) -> list[str]:
    """The files under a folder that are, or are about to be, under version control."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder]
    if (ROOT / ".git").exists() and shutil.which("git"):
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return sorted(name for name in found.stdout.split("\0") if (ROOT / name).is_file())
    files = (file for file in (ROOT / folder).rglob("*") if file.is_file())
    return sorted(file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, so that nothing left in `build/` can slip in."""
    place = tmp_path_factory.mktemp("wheel")
    for name in [*PROJECT_FILES, *(file for folder in PLACES for file in repository_files(folder))]:
        target = place / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, place, cwd=place / "tree")
    (built,) = place.glob("femtotui-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, "--target", place, wheel, cwd=place)
    return place


def test_the_wheel_holds_exactly_the_files_of_the_four_folders(wheel: Path) -> None:
    expected = {
        place + name.removeprefix(folder)
        for folder, place in PLACES.items()
        for name in repository_files(folder)
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    packaged = {name for name in names if not name.split("/")[0].endswith((".dist-info", ".data"))}
    assert packaged == expected
    (manual,) = [name for name in names if name.endswith(MANUAL)]
    assert zipfile.ZipFile(wheel).read(manual).decode() == manual_page()


def test_the_wheel_holds_presets_recipes_and_generators(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"femtotui/presets/entry-{n:02}.toml" for n in range(1, 15)} <= names
    assert {f"femtotui/presets/recipes/{name}.toml" for name in ("journal", "modern")} <= names
    assert {f"femtotui/dummy_data/{name}_dummy.py" for name in ("simple", "addition")} <= names
    assert "femtotui/py.typed" in names


def test_nothing_but_femtotui_lands_at_the_top(installed: Path) -> None:
    top = {entry.name for entry in installed.iterdir() if not entry.name.endswith(".dist-info")}
    assert top - {"bin", "Scripts", "share"} == {"femtotui"}


def test_every_python_that_is_here_reads_what_the_wheel_installs(installed: Path, tmp_path: Path) -> None:
    for python in [sys.executable, *PYTHONS]:
        if subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
            continue  # a name that a version manager keeps for a Python that is switched off
        run(python, "-m", "compileall", "-q", "-f", installed / "femtotui", cwd=tmp_path)
        words = run(python, installed / "femtotui/dummy_data/simple_dummy.py", cwd=tmp_path)
        assert words.count("\n") == 8000


def test_an_installed_femtotui_imports_its_own_core_and_presets(installed: Path) -> None:
    code = """
import importlib.util, sys
sys.path[:] = [place for place in sys.path if place]
import femtotui.core, femtotui.presets
print(femtotui.core.__file__)
print(len(femtotui.presets.list_presets()), len(femtotui.presets.list_recipes()))
print([name for name in ("core", "presets", "dummy_data") if importlib.util.find_spec(name)])
"""
    out = run(sys.executable, "-c", code, cwd=installed.parent, PYTHONPATH=str(installed)).splitlines()
    assert Path(out[0]).is_relative_to(installed)
    assert out[1] == "14 4"
    assert out[2] == "[]"

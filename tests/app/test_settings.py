"""The settings file: what is right in it holds, what is wrong is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage import training

from femtotui.app.app import KNOWN_ACTIONS
from femtotui.app.settings import Settings, key_name, known_keys, load_settings, parse_settings
from femtotui.chart.glyphs import ASCII
from femtotui.chart.loss_chart import LossChart
from femtotui.core.commands import Pause

GOOD = b"""
theme = "nord"
chart = "ascii"
[keys]
pause = "f5,?"
"""


def test_good_settings_hold() -> None:
    settings = parse_settings(GOOD)
    assert settings == Settings("nord", "ascii", {"pause": "f5,question_mark"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"theme = 3", "settings.toml, line 1: `theme` needs a text"),
        (
            b"\nchart = 'fine'",
            "settings.toml, line 2: `chart` must be 'ascii' or 'auto' or 'blocks' or 'braille', not 'fine'",
        ),
        (b"[keys]\npause = 5", "settings.toml, line 2: `pause` needs a text in quotes, not a whole number"),
        (b"[keys]\n\npause = 'a key'", "settings.toml, line 3: `pause` must be a key such as"),
        (b"theme = 'nord'\ncolour = 1", "settings.toml, line 2: `colour` is not a setting"),
        (b"keys = 1", "settings.toml, line 1: `keys` needs a table"),
        (b"theme = \n", "at line 1"),
        (b"\xff", "is not UTF-8 text"),
        (b"a" * 70_000, "larger than"),
    ],
)
def test_an_error_is_named_by_its_line_and_costs_no_more(text: bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(text)
    settings = load_settings(file)
    assert len(settings.problems) == 1 and problem in settings.problems[0]
    assert settings.chart == "auto" and not settings.keys


def test_a_file_that_is_a_folder_and_one_that_is_not_there(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none") == Settings()
    assert "is not a file" in load_settings(tmp_path).problems[0]


def test_keys_for_no_action_and_keys_given_twice_are_refused() -> None:
    settings = Settings(keys={"pause": "f5", "paus": "f6", "new": "f5"})
    keys, problems = known_keys(settings, KNOWN_ACTIONS)
    assert keys == {"pause": "f5"}
    assert "no action `paus` (did you mean `pause`?)" in problems[0]
    assert "`f5` is given to both pause and new" in problems[1]


def test_keys_are_written_as_people_write_them() -> None:
    assert key_name("?") == "question_mark" and key_name(",") == "comma"
    assert key_name("ctrl+k, g") == "ctrl+k,g" and key_name("two words") == "" and key_name("") == ""


async def test_a_key_of_ones_own_does_it_and_the_old_one_does_not(runs: Path) -> None:
    async with training(runs, settings=Settings("nord", "ascii", {"pause": "f5"})) as it:
        assert it.app.theme == "nord" and it.app.train.query_one(LossChart).glyphs is ASCII
        await it.pilot.press("space")
        assert it.sent(Pause) == 0
        await it.pilot.press("f5")
        await it.until(lambda: it.sent(Pause) == 1)
        assert not [news for news in it.app._notifications if "no longer" in news.message]
        await it.until(lambda: "paused" in it.header())
        await it.pilot.press("f5")
        await it.until(lambda: "training" in it.header())


async def test_trouble_is_shown_once_and_the_app_runs(runs: Path) -> None:
    settings = Settings("norrd", keys={"nothing": "f5"}, problems=("settings.toml, line 9: [bold]x",))
    async with training(runs, settings=settings) as it:
        await it.until(lambda: bool(it.app._notifications))
        (notice,) = it.app._notifications
        assert "line 9: [bold]x" in notice.message and "did you mean `nord`" in notice.message
        assert it.app.theme == "textual-dark"


async def test_a_theme_that_is_chosen_is_written_down_and_nothing_else_changes(
    runs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "config" / "settings.toml"
    path.parent.mkdir()
    path.write_text('# mine\ntheme = "nord"\nchart = "ascii"\n\n[keys]\npause = "f5"\n')
    async with training(runs, settings=load_settings(path)) as it:
        it.app._settings_file = path
        it.app.theme = "gruvbox"
        await it.until(lambda: load_settings(path).theme == "gruvbox")
    assert load_settings(path) == Settings("gruvbox", "ascii", {"pause": "f5"})
    assert "# mine\n" in path.read_text()


async def test_a_screenshot_says_where_it_is_or_why_there_is_none(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("femtotui.app.app.user_downloads_path", lambda: tmp_path / "no downloads")
    async with training(runs) as it:
        await it.pilot.press("ctrl+s")
        await it.until(lambda: any("saved as" in news.message for news in it.app._notifications))
        assert len(list((tmp_path / "here").glob("femtotui-*.svg"))) == 1
        monkeypatch.setattr(it.app, "save_screenshot", raise_no_space)
        await it.pilot.press("ctrl+s")
        await it.until(lambda: any("no screenshot in" in news.message for news in it.app._notifications))


def raise_no_space(*_: object) -> str:
    raise OSError(28, "No space left on device")

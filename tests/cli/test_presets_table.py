"""The presets as a table and as rows."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from rich.console import Console

from femtotui.cli.presets import presets_rows, presets_table
from femtotui.presets import list_presets, load_preset


def rendered(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(presets_table(list_presets(), width))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_preset_is_shown_whole(width: int) -> None:
    lines = rendered(width)
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines)
    assert "…" not in text
    for preset in list_presets():
        assert preset.title in text
        assert f"{preset.model.n_parameters:,}" in text
        if preset.journal is not None:
            assert f"{preset.journal.loss:.4f}" in text
        else:
            assert preset.peer is not None
            assert f"{preset.peer.val_loss:.4f}" in text


def test_a_wide_terminal_gets_a_line_a_preset_and_a_narrow_one_two() -> None:
    assert len(rendered(120)) == 1 + 14
    assert len(rendered(80)) == 2 + 2 * 14


def test_keys_survive_a_very_narrow_terminal() -> None:
    text = "\n".join(rendered(40))
    assert all(f"\n{preset.key:>2} " in text for preset in list_presets())


def test_rows_are_json_with_the_settings_and_the_record() -> None:
    rows = json.loads(json.dumps(presets_rows(list_presets())))
    assert [row["key"] for row in rows] == [str(number) for number in range(1, 15)]
    assert (rows[0]["parameters"], rows[0]["tokenizer"], rows[0]["vocab_size"]) == (201_231, "char", 15)
    assert (rows[2]["n_layers"], rows[2]["width"], rows[2]["n_heads"], rows[2]["context"]) == (6, 64, 4, 64)
    assert (rows[1]["journal"]["verdict"], rows[1]["journal"]["loss"]) == ("success", 1.476)
    assert rows[7]["journal"]["elapsed_s"] is None
    assert (rows[7]["peer"], rows[12]["journal"], rows[12]["peer"]["val_loss"]) == (None, None, 1.917)


def test_a_preset_without_a_record_and_with_markup_in_its_title_is_shown_as_it_is() -> None:
    own = msgspec.structs.replace(load_preset("2"), title="[bold]mine[/]", journal=None)
    console = Console(width=80, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(presets_table([own], 80))
    assert "[bold]mine[/]" in capture.get()
    assert presets_rows([own])[0]["journal"] is None

"""Hostile text comes out visible, inert and as wide as it says."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from femtotui.text.safe import glyphs, incomplete_tail, narrow_line, one_line, printable

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Mc", "Me", "Zl", "Zp"}


def is_inert(text: str) -> bool:
    return all(unicodedata.category(character) not in FORBIDDEN for character in text)


def drawn(data: bytes) -> str:
    return "".join(glyph.text for glyph in glyphs(data))


@given(st.binary())
def test_any_bytes_are_inert_and_as_wide_as_declared(data: bytes) -> None:
    for glyph in glyphs(data):
        assert is_inert(glyph.text)
        assert cell_len(glyph.text) == glyph.width > 0


@given(st.binary())
def test_glyphs_cover_every_byte_once_and_in_order(data: bytes) -> None:
    position = 0
    for glyph in glyphs(data):
        assert glyph.start == position < glyph.stop
        position = glyph.stop
    assert position == len(data)


@given(st.text(st.characters()))
def test_any_text_becomes_one_inert_line(text: str) -> None:
    line = one_line(text)
    assert is_inert(line)
    assert "\n" not in line


@given(st.text(st.characters()), st.integers(0, 12))
def test_a_line_is_cut_to_its_width_with_a_sign(text: str, width: int) -> None:
    line = one_line(text, width)
    assert cell_len(line) <= width
    if width and cell_len(one_line(text)) > width:
        assert line.endswith("…")


@given(st.text(st.characters()))
def test_a_narrow_line_has_one_cell_a_character(text: str) -> None:
    line = narrow_line(text)
    assert cell_len(line) == len(line)
    assert is_inert(line)


@given(st.one_of(st.binary(), st.text(st.characters())))
def test_printable_keeps_no_control_but_newlines(text: str | bytes) -> None:
    result = printable(text)
    assert is_inert(result.replace("\n", ""))
    newline = "\n" if isinstance(text, str) else b"\n"
    assert result.count("\n") == text.count(newline)  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 64))
def test_an_incomplete_tail_is_what_a_cut_character_leaves(text: str, cut: int) -> None:
    data = text.encode()[:cut]
    tail = incomplete_tail(data)
    assert data[: len(data) - tail].decode() is not None
    if tail:
        with pytest.raises(UnicodeDecodeError):
            data.decode()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"a b", "a·b"),
        (b"\n", "⏎"),
        (b"\t", "→"),
        (b"\x1b[31m", "␛[31m"),
        (b"\r\x00\x7f", "␍␀␡"),
        (b"\xe2\x82", "‹e2›‹82›"),
        ("€".encode(), "€"),
        ("\x9b".encode(), "\\x9b"),
        ("\u202e".encode(), "\\u202e"),
        ("a\u0301".encode(), "a\\u0301"),
        ("\u200d".encode(), "\\u200d"),
        ("\ue000".encode(), "\\ue000"),
        ("🇩".encode(), "\\U0001f1e9"),
        ("漢".encode(), "漢"),
        (b"[bold]x[/]", "[bold]x[/]"),
        (b"\xed\xa0\x80", "‹ed›‹a0›‹80›"),
        (b"\xc3A", "‹c3›A"),
    ],
)
def test_known_cases(data: bytes, shown: str) -> None:
    assert drawn(data) == shown


def test_double_width_is_accounted_for() -> None:
    assert [glyph.width for glyph in glyphs("漢a".encode())] == [2, 1]
    assert narrow_line("漢😀") == "\\u6f22\\U0001f600"


@pytest.mark.parametrize(
    ("data", "tail"),
    [
        (b"", 0),
        (b"a", 0),
        (b"a\xc3", 1),
        (b"\xe2\x82", 2),
        (b"\xf0\x9f\x98", 3),
        (b"\xe0\x80", 0),
        (b"\xed\xa0", 0),
        (b"\x80\x80", 0),
        (b"\xff", 0),
        ("é".encode(), 0),
        (b"\xf5", 0),
    ],
)
def test_incomplete_tails(data: bytes, tail: int) -> None:
    assert incomplete_tail(data) == tail


def test_a_line_keeps_its_spaces() -> None:
    assert one_line("a b") == one_line(b"a b") == "a b"


def test_printable_keeps_lines_and_opens_tabs() -> None:
    assert printable(b"fn\n\tx\x1b") == "fn\n    x␛"
    assert printable("\ud800") == "\\ud800"

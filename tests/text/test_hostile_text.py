"""Whatever a model writes, wherever it is shown or kept: no control reaches a terminal, no line grows."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from textual.app import App, ComposeResult

from femtotui.cli.sample import SampleOptions, SampleTerminal
from femtotui.core.events import SampleDone
from femtotui.core.run_folder.entry import Entry, entry_markdown
from femtotui.core.sampling.sampler import Alternative
from femtotui.tokens.alternatives import NextToken
from femtotui.tokens.export_formats import FORMATS, Sample, log_prob_lines
from femtotui.tokens.scoring import TextScore

HOSTILE = (
    b"\x1b[2J\x1b]0;x\x07", b"\r\x08\x7f\x00", b"\x9b31m", "\u202e\u200b\u0301\ufeff".encode(),
    b"\xff\xe2\x82", b"[bold red]x[/]", "漢😀".encode(), b"</pre><script>x</script>", b"&amp;\n\t",
    b"```\n# x\n<!--",
)  # fmt: skip
parts = st.lists(st.one_of(st.binary(max_size=6), st.sampled_from(HOSTILE)), min_size=1, max_size=12)
_STYLING = re.compile(r"\x1b\[[0-9;]*m")
"""What Rich itself sends for colours: the only escapes that may come out."""


@dataclass(frozen=True)
class Token:
    """As the sampler gives them, of any bytes."""

    bytes: bytes
    p: float = 0.25
    p_cut: float = 0.5
    rank: int = 2
    id: int = 7
    surprise_bits: float = 2.0
    entropy_bits: float = 3.0
    top: tuple[Alternative, ...] = field(default=())


def tokens_of(data: list[bytes]) -> list[Token]:
    top = tuple(Alternative(number, part, 0.1, 0.2) for number, part in enumerate(data))
    return [Token(part, top=top) for part in data]


def obeyed(text: str) -> list[str]:
    """The characters that a terminal would obey, or that break a layout; newlines are not among them."""
    return [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c != "\n"]


@given(parts)
def test_on_a_coloured_terminal_nothing_but_colours_is_sent(data: list[bytes]) -> None:
    output, sent = SampleTerminal(SampleOptions(data[0], True, "a model", 0, False, False)), io.StringIO()
    output._console = Console(
        file=sent, force_terminal=True, color_system="truecolor", width=40, highlight=False, markup=False
    )
    output.begin()
    for token in tokens_of(data):
        output.token(token)  # type: ignore[arg-type]
    output.end(TextScore(), 1.0)
    assert obeyed(_STYLING.sub("", sent.getvalue())) == []


@pytest.mark.parametrize("kind", ["txt", "logprobs", "json"])
@given(parts)
def test_what_is_taken_away_as_text_is_inert(kind: str, data: list[bytes]) -> None:
    sample = Sample(data[0], tokens_of(data), "a model", 0)  # type: ignore[arg-type]
    made = FORMATS[kind](sample)
    assert set(obeyed(made)) <= {"\t"}
    if kind == "json":
        assert made.isascii()
        assert [bytes(token["bytes"]) for token in json.loads(made)["tokens"]] == data
    if kind == "logprobs":
        assert made == log_prob_lines(sample.tokens) and made.count("\n") == len(data)


class Tags(HTMLParser):
    """The elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.seen.add(tag)


@pytest.mark.parametrize("kind", ["svg", "html"])
@given(parts)
def test_a_picture_or_page_has_no_markup_of_the_models(kind: str, data: list[bytes]) -> None:
    def made_of(data: list[bytes]) -> Tags:
        made = FORMATS[kind](Sample(b"p", tokens_of(data), "a model", 0))  # type: ignore[arg-type]
        assert obeyed(made) == []
        if kind == "svg":
            ElementTree.fromstring(made)  # well-formed
        tags = Tags()
        tags.feed(made)
        return tags

    assert made_of(data).seen <= made_of([b"a"]).seen | {"span", "rect"}


ENTRY = Entry(
    run="r", preset="2", title="t", created="now", state="finished", verdict="open", recipe="modern", seed=0,
    tokenizer="byte", vocab_size=256, width=8, n_layers=1, n_heads=1, context=8, parameters=1, batch=1,
    dropout=0.0, base_lr=0.1, min_lr=0.1, warmup_steps=1, decay_steps=1, step=1, steps=1, loss=1.0,
    val_loss=1.0, elapsed_s=1.0, wall_s=1.0, sittings=1, machine="m", threads=1, begun_on="m",
    begun_threads=1, peak_rss_mib=1.0, data_name="d", data_bytes=1, data_sha256="0", data_command="c",
    data_notes=(), again="a", score=None, sample=None, note="", message="",
)  # fmt: skip
WORDS = ("run", "preset", "title", "created", "recipe", "machine", "begun_on", "data_name", "data_sha256",
         "data_command", "again", "note", "message")  # fmt: skip


@given(st.sampled_from(WORDS), parts)
def test_an_entry_is_inert_whatever_the_run_says_of_itself(name: str, data: list[bytes]) -> None:
    text = b"".join(data).decode("utf-8", "replace")
    sample = SampleDone(step=1, prompt="\n", text=text, seed=0)
    written = entry_markdown(msgspec.structs.replace(ENTRY, sample=sample, **{name: text}))
    assert obeyed(written) == []
    if name not in {"note", "message"}:
        facts = written[: written.index("A sample at step")].split("\n")
        assert {line[:2] for line in facts if line} == {"# ", "- "}


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield NextToken()


async def test_the_alternatives_are_inert_and_keep_their_width() -> None:
    async with Host().run_test(size=(40, 16)) as pilot:
        panel = pilot.app.query_one(NextToken)

        @given(parts)
        def check(data: list[bytes]) -> None:
            token = tokens_of(data)[0]
            panel.show(token)  # type: ignore[arg-type]
            for y in range(panel.content_size.height):
                strip = panel.render_line(y)
                assert obeyed(strip.text) == [] and "\n" not in strip.text
                assert cell_len(strip.text) == strip.cell_length == panel.content_size.width

        check()

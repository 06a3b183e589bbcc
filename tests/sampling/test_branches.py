"""The tree of branches, the time-lapse, the pace, and the forms that tokens are exported in."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from femtotui.core.sampling.distribution import Distribution
from femtotui.core.sampling.sampler import SampledToken, Sampling
from femtotui.sampling.branches import Branches, branch_line
from femtotui.sampling.stream import Piece, rested, stream
from femtotui.sampling.timelapse import MAX_FRAMES, SampleSetup, Timelapse
from femtotui.tokens.colours import TokenPaint
from femtotui.tokens.export_formats import FORMATS, Sample, as_html, as_json, as_svg, log_prob_line

VOCABULARY = [bytes([i]) for i in range(256)]
PLACE = Distribution(np.zeros(256, np.float32), Sampling(), VOCABULARY)


def token(data: bytes, p: float = 0.5) -> SampledToken:
    return SampledToken(0, data, p, p, 1, 1.0, 2.0, PLACE)


def test_undo_and_redo_walk_through_what_was_shown() -> None:
    tree = Branches(b"p")
    root = tree.current
    root.tokens += [token(b"a"), token(b"b"), token(b"c")]
    first = tree.branch(1, token(b"x"))
    assert [t.bytes for t in first.tokens] == [b"a", b"x"]
    second = tree.branch(1, token(b"y"))
    assert (tree.undo(), tree.undo(), tree.undo()) == (first, root, root)
    assert tree.redo() is first
    third = tree.branch(0, token(b"z"))
    assert not tree.can_redo and tree.undo() is first
    assert set(tree.in_order()) == {root, first, second, third} and tree.in_order()[0] is root
    assert third.depth == 2 and branch_line(third, 20).strip() == "└0 z"


def test_a_film_keeps_its_beginning_when_it_is_full() -> None:
    timelapse, setup = Timelapse(), SampleSetup("run", b"\n", Sampling())
    for step in range(2 * MAX_FRAMES):
        timelapse.record(setup, step, ())
    steps = [frame.step for frame in timelapse.frames]
    assert len(steps) <= MAX_FRAMES and steps[0] == 0 and steps[-1] == 2 * MAX_FRAMES - 1
    timelapse.record(setup, 10, ())
    assert timelapse.frames[-1].step == 10, "a resumed run goes over its steps again"
    timelapse.record(SampleSetup("run", b"other", Sampling()), 3, ())
    assert len(timelapse.frames) == 1


def test_the_first_token_does_not_wait_and_the_rest_leaves_the_core_alone() -> None:
    def busy() -> Iterator[SampledToken]:
        for _ in range(4):
            end = time.thread_time() + 0.002
            while time.thread_time() < end:
                pass
            yield token(b"a")

    began, worked = time.perf_counter(), time.thread_time()
    pieces: list[Piece] = []
    stream(busy, pieces.append, lambda: False, gently=True)
    took, worked = time.perf_counter() - began, time.thread_time() - worked
    assert pieces[0].tokens and pieces[-1].done
    assert took > 0.25, "three blocks of 2 ms, each with its rest"
    assert worked < 0.1 * took + 0.005
    assert len(list(rested(iter(())))) == 0


def test_a_failure_is_the_last_piece() -> None:
    def broken() -> Iterator[SampledToken]:
        yield token(b"a")
        raise RuntimeError("a bug")

    pieces: list[Piece] = []
    stream(broken, pieces.append, lambda: False)
    assert pieces[-1].done and "a bug" in pieces[-1].failure


def is_inert(text: str) -> bool:
    return all(
        c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Co", "Cn", "Mn", "Zl", "Zp"} for c in text
    )


@given(st.lists(st.binary(min_size=1, max_size=4), max_size=12))
def test_whatever_a_model_writes_is_inert_in_every_form(parts: list[bytes]) -> None:
    tokens = [token(part, 0.1) for part in parts]
    sample = Sample(b"\x1b]0;p\x07", tokens, "title", 0)
    paint = TokenPaint()
    painted = paint.tokens(tokens).plain + paint.rest().plain
    for text in (FORMATS["txt"](sample), FORMATS["logprobs"](sample), painted):
        assert is_inert(text)
    found = json.loads(as_json(sample))
    assert as_json(sample).isascii()
    assert b"".join(bytes(t["bytes"]) for t in found["tokens"]) == b"".join(parts)


def test_pictures_hold_the_text_as_text_and_fetch_nothing() -> None:
    hostile = [token(b"<script>alert(1)</script>"), token(b"@font-face {x}"), token("漢\u202e".encode())]
    sample = Sample(b"\n", hostile, "a title", 0)
    for picture in (as_svg(sample), as_html(sample)):
        assert "<script>" not in picture and "\u202e" not in picture
        assert "漢" in picture
    assert "http" not in as_svg(sample).replace("http://www.w3.org/2000/svg", "").replace(
        "https://www.textualize.io", ""
    )


def test_the_journals_notation() -> None:
    logits = np.full(256, -20.0, np.float32)
    logits[ord(" ")], logits[ord("\n")] = 2.0, 0.0
    place = Distribution(logits, Sampling(), VOCABULARY)
    line = log_prob_line(place.token(ord("\n")))
    assert line.startswith("'\\n' 11.9% [(' ', 88.1%), ('\\n', 11.9%), ")

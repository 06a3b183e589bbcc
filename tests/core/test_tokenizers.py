"""Three tokenizers: what goes in comes out, and what cannot go in is told in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femtotui.core.config import MAX_VOCAB_SIZE, TokenizerConfig, TokenizerKind
from femtotui.core.errors import TokenizerError
from femtotui.core.tokenizers import MAX_TOKEN_BYTES, WORD, Tokenizer, build_tokenizer, load_tokenizer

TEXT = (
    "The quick brown fox — naïve, 42 years old — jumps.\n\tHe says “hello” to the other foxes.\n".encode() * 3
)
BPE_SIZE = 280
TOKENIZERS = {
    "char": build_tokenizer(TokenizerConfig(kind="char"), TEXT),
    "byte": build_tokenizer(TokenizerConfig(kind="byte"), TEXT),
    "bpe": build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=BPE_SIZE), TEXT),
}
ANY_BYTES = st.binary(max_size=200) | st.text(max_size=100).map(str.encode)


def char_tokenizer(alphabet: str) -> Tokenizer:
    return build_tokenizer(TokenizerConfig(kind="char"), alphabet.encode())


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_its_own_text_comes_back(kind: TokenizerKind) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(TEXT)
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < tokenizer.vocab_size
    assert tokenizer.kind == kind
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.decode(iter(ids.tolist())) == TEXT
    assert b"".join(tokenizer.decode([i]) for i in ids.tolist()) == TEXT


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_no_text_is_no_ids(kind: TokenizerKind) -> None:
    assert TOKENIZERS[kind].encode(b"").tolist() == []
    assert TOKENIZERS[kind].decode([]) == b""


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_json_keeps_all_of_it(kind: TokenizerKind) -> None:
    tokenizer = TOKENIZERS[kind]
    again = load_tokenizer(tokenizer.to_json())
    assert (again.kind, again.vocab_size) == (tokenizer.kind, tokenizer.vocab_size)
    assert again.to_json() == tokenizer.to_json()
    np.testing.assert_array_equal(again.encode(TEXT), tokenizer.encode(TEXT))
    assert again.decode(range(again.vocab_size)) == tokenizer.decode(range(tokenizer.vocab_size))


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("stray", [-1, 100_000, 2**70])
def test_an_id_outside_the_vocabulary_is_refused(kind: TokenizerKind, stray: int) -> None:
    tokenizer = TOKENIZERS[kind]
    with pytest.raises(TokenizerError):
        tokenizer.decode([0, stray])
    with pytest.raises(TokenizerError):
        tokenizer.decode([stray])
    with pytest.raises(TokenizerError, match=f"no token {tokenizer.vocab_size}"):
        tokenizer.decode(np.array([tokenizer.vocab_size]))


@given(ANY_BYTES)
def test_byte_and_bpe_take_any_bytes_at_all(text: bytes) -> None:
    for kind in ("byte", "bpe"):
        assert TOKENIZERS[kind].decode(TOKENIZERS[kind].encode(text)) == text


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_bpe_learns_from_any_bytes_at_all(piece: bytes) -> None:
    text = piece * 3
    try:
        tokenizer = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=257), text)
    except TokenizerError as error:
        assert "only 256" in str(error)
    else:
        assert tokenizer.vocab_size == 257
        assert load_tokenizer(tokenizer.to_json()).decode(tokenizer.encode(text)) == text


@given(st.text(min_size=1, max_size=100))
def test_char_takes_any_text_that_it_was_built_from(text: str) -> None:
    tokenizer = char_tokenizer(text)
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.decode(tokenizer.encode(text.encode())) == text.encode()
    assert tokenizer.decode(range(tokenizer.vocab_size)).decode() == "".join(sorted(set(text)))
    assert load_tokenizer(tokenizer.to_json()).to_json() == tokenizer.to_json()


def test_byte_ids_are_the_bytes() -> None:
    assert TOKENIZERS["byte"].encode(b"\x00A\xff").tolist() == [0, 65, 255]
    assert TOKENIZERS["byte"].vocab_size == 256


@pytest.mark.parametrize(
    ("text", "shown", "place"),
    [
        ("abd", r"'d' \(U\+0064\)", "line 1, column 3"),
        ("ab\n\nba\x1b[0m", r"'\\x1b' \(U\+001B\)", "line 3, column 3"),
        ("\n€", r"'€' \(U\+20AC\)", "line 2, column 1"),
        ("a\U0001f600", r"U\+1F600", "line 1, column 2"),
        ("ba\u202e", r"'\\u202e'", "line 1, column 3"),
    ],
)
def test_char_says_which_character_it_does_not_know_and_where(text: str, shown: str, place: str) -> None:
    with pytest.raises(TokenizerError, match=rf"{shown}.* {place} ") as caught:
        char_tokenizer("ab\n").encode(text.encode())
    assert str(caught.value).isprintable()


def test_char_refuses_what_is_not_utf_8_and_says_where() -> None:
    with pytest.raises(TokenizerError, match=r"byte 3 of the text \(0xff\)"):
        build_tokenizer(TokenizerConfig(kind="char"), b"abc\xffd")
    with pytest.raises(TokenizerError, match="byte 1 of the text"):
        char_tokenizer("abc").encode("é".encode()[:1].join([b"a", b"b"]))


def test_char_refuses_more_characters_than_a_vocabulary_may_have() -> None:
    text = "".join(map(chr, range(0x10000, 0x10000 + MAX_VOCAB_SIZE + 1)))
    with pytest.raises(TokenizerError, match="65,537 different characters"):
        char_tokenizer(text)


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_vocabulary_cannot_be_learnt_from_nothing(kind: TokenizerKind) -> None:
    with pytest.raises(TokenizerError, match="there is none"):
        build_tokenizer(TokenizerConfig(kind=kind, vocab_size=300), b"")


def test_bpe_has_the_size_asked_for_and_begins_with_the_bytes() -> None:
    tokenizer = TOKENIZERS["bpe"]
    assert tokenizer.vocab_size == BPE_SIZE
    assert [tokenizer.decode([i]) for i in range(256)] == [bytes([i]) for i in range(256)]
    tokens = [tokenizer.decode([i]) for i in range(BPE_SIZE)]
    assert len(set(tokens)) == BPE_SIZE
    assert len(tokenizer.encode(TEXT)) < len(TEXT)


def test_bpe_says_how_far_a_text_reaches() -> None:
    with pytest.raises(TokenizerError, match=r"5,000 is not possible.* only (\d+), .*choose \1 or fewer"):
        build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=5000), TEXT)
    with pytest.raises(TokenizerError, match=r"only 256, .*; use byte, or add text$"):
        build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), b"ab")


def test_bpe_keeps_its_tokens_within_words() -> None:
    for token_id in range(256, BPE_SIZE):
        assert len(WORD.findall(TOKENIZERS["bpe"].decode([token_id]))) == 1


@given(ANY_BYTES)
def test_words_leave_no_byte_out(text: bytes) -> None:
    assert b"".join(WORD.findall(text)) == text


def test_bpe_learns_quickly_from_text_without_any_spaces() -> None:
    """An endless word would take minutes here."""
    with pytest.raises(TokenizerError, match="yields only"):
        build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=2000), b"hethatand" * 100_000)


def test_bpe_is_the_same_in_another_process() -> None:
    script = (
        "import sys\n"
        "from femtotui.core.config import TokenizerConfig\n"
        "from femtotui.core.tokenizers import build_tokenizer\n"
        f"config = TokenizerConfig(kind='bpe', vocab_size={BPE_SIZE})\n"
        "print(build_tokenizer(config, sys.stdin.buffer.read()).to_json())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=TEXT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == TOKENIZERS["bpe"].to_json()


def bpe_json(*merges: object) -> str:
    return json.dumps({"format": 1, "kind": "bpe", "merges": merges})


def char_json(alphabet: object) -> str:
    return json.dumps({"format": 1, "kind": "char", "alphabet": alphabet})


DOUBLING = [[97, 97], *([256 + i, 256 + i] for i in range(60))]


@pytest.mark.parametrize(
    "json_text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": 1, "kind": "word"}',
        '{"format": 1, "kind": ["byte"]}',
        '{"format": 1, "kind": "byte", "merges": []}',
        '{"format": 1, "kind": "char"}',
        char_json(""),
        char_json(["a", "b"]),
        char_json("ba"),
        char_json("aa"),
        '{"format": 1, "kind": "char", "alphabet": "a\\ud800"}',
        char_json("".join(map(chr, range(0x10000, 0x10000 + MAX_VOCAB_SIZE + 1)))),
        bpe_json([0, 256]),
        bpe_json([-1, 0]),
        bpe_json([0.5, 0]),
        bpe_json([True, 0]),
        bpe_json(["a", "b"]),
        bpe_json([0]),
        bpe_json([0, 1, 2]),
        bpe_json([10**30, 0]),
        bpe_json([97, 98], [97, 98]),
        bpe_json(*DOUBLING),
        bpe_json(*([i // 256, i % 256] for i in range(MAX_VOCAB_SIZE - 255))),
        '{"format": 1, "kind": "bpe", "merges": ' + "[" * 100_000,
        '{"format": 1, "kind": "byte"} and more',
        "\ud800",
    ],
    ids=lambda text: text[:40].encode("ascii", "backslashreplace").decode(),
)
def test_odd_json_is_refused(json_text: str) -> None:
    with pytest.raises(TokenizerError):
        load_tokenizer(json_text)


@given(st.text(max_size=60) | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps))
def test_nothing_but_a_tokenizer_loads(json_text: str) -> None:
    with pytest.raises(TokenizerError):
        load_tokenizer(json_text)


def test_two_ways_to_a_token_are_one_token() -> None:
    """a + bc and ab + c: as in the library's own files."""
    tokenizer = load_tokenizer(bpe_json([97, 98], [98, 99], [97, 257], [256, 99]))
    assert tokenizer.vocab_size == 259
    assert tokenizer.decode([258]) == b"abc"
    assert tokenizer.decode(tokenizer.encode(b"abcab")) == b"abcab"


def test_the_longest_token_is_allowed() -> None:
    doublings = MAX_TOKEN_BYTES.bit_length() - 1
    tokenizer = load_tokenizer(bpe_json(*DOUBLING[:doublings]))
    assert tokenizer.decode([tokenizer.vocab_size - 1]) == b"a" * MAX_TOKEN_BYTES


def test_only_bpe_loads_the_library() -> None:
    script = (
        "import sys\n"
        "from femtotui.core.config import TokenizerConfig\n"
        "from femtotui.core.tokenizers import build_tokenizer\n"
        "build_tokenizer(TokenizerConfig(kind='char'), b'abc').encode(b'cab')\n"
        "assert 'tokenizers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent)

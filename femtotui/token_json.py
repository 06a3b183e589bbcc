"""Samples as JSON: plain ASCII, so that nothing in it moves a cursor wherever it is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from femtotui.core.sample import Alternative, SampledToken


def text_of(data: bytes) -> str:
    """Bytes as JSON text; the tokens' own `bytes` keep what is not UTF-8."""
    return data.decode("utf-8", "replace")


def alternative_fields(entry: Alternative) -> dict[str, object]:
    """One alternative, for `json`."""
    return {"id": entry.id, "bytes": list(entry.bytes), "p": entry.p, "p_cut": entry.p_cut}


def token_fields(token: SampledToken) -> dict[str, object]:
    """One token, for `json`; `bytes` is a list of numbers from 0 to 255."""
    return {
        "id": token.id,
        "bytes": list(token.bytes),
        "p": token.p,
        "p_cut": token.p_cut,
        "rank": token.rank,
        "surprise_bits": token.surprise_bits,
        "entropy_bits": token.entropy_bits,
        "top": [alternative_fields(entry) for entry in token.top],
    }


class JsonSample:
    """One object, piece by piece, so that a long sample takes no more memory than a short one."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._n_tokens = 0

    def begin(self, **fields: object) -> str:
        """What comes before the tokens: what is known beforehand."""
        return json.dumps(fields)[:-1] + ', "tokens": ['

    def token(self, token: SampledToken) -> str:
        """One more token."""
        self._text += token.bytes
        self._n_tokens += 1
        return (", " if self._n_tokens > 1 else "") + json.dumps(token_fields(token))

    def end(self, **fields: object) -> str:
        """What comes after them: the text, and what is only known at the end."""
        return "], " + json.dumps({"text": text_of(bytes(self._text)), **fields})[1:]


def json_pieces(prompt: bytes, tokens: Iterator[SampledToken], **fields: object) -> Iterator[str]:
    """A whole sample: `prompt`, `fields`, `tokens` and `text`."""
    sample = JsonSample()
    yield sample.begin(prompt=text_of(prompt), **fields)
    yield from map(sample.token, tokens)
    yield sample.end()

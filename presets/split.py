"""The end of a text, set apart to validate on."""

from __future__ import annotations

VALIDATION_SHARE = 0.1
NEARBY_SHARE = 0.02


def split_text(text: bytes) -> tuple[bytes, bytes]:
    """Training and validation text: the last tenth validates.

    The cut goes after the end of a line if one ends close by, and never through a UTF-8 character.
    """
    cut = len(text) - round(len(text) * VALIDATION_SHARE)
    nearby = max(80, round(len(text) * NEARBY_SHARE))
    line_end = text.rfind(b"\n", max(0, cut - nearby), cut)
    if line_end >= 0:
        cut = line_end + 1
    else:
        while cut > 0 and cut < len(text) and text[cut] & 0xC0 == 0x80:
            cut -= 1
    return text[:cut], text[cut:]

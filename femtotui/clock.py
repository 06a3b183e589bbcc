"""The time of day, in one place, so that tests can stop it."""

from __future__ import annotations

from datetime import UTC, datetime


def local_now() -> datetime:
    """Now, with the local offset."""
    return datetime.now(UTC).astimezone()

"""What a worker thread is handed, and what is gone when the thread is."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Handed(Generic[T]):
    """Something large for a Textual worker, to be taken out by it once.

    A worker refers to itself in a circle, and to its arguments, which therefore stay until Python next looks
    for such circles: a minute, in which the parameters of a large model may come ten times.
    """

    def __init__(self, value: T) -> None:
        self._held = [value]

    def take(self) -> T:
        """The thing itself; nothing of it is kept here."""
        return self._held.pop()

"""What a sweep asks of whatever trains its runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .messages import Order, Reply, Report


@dataclass(frozen=True)
class Ended:
    """An order is done with: `reply` is what its worker says, or `reason` why there is none."""

    index: int
    reply: Reply | None
    reason: str = ""


class Engine(Protocol):
    """Takes orders and tells what becomes of them."""

    @property
    def slots(self) -> int:
        """How many orders it works on at a time."""

    def submit(self, order: Order, text: bytes) -> None:
        """Begins to work on an order."""

    def next_message(self, timeout: float) -> Report | Ended | None:
        """What happens next; None if nothing does in time. Raises: ClusterError."""

    def stop(self, indices: Iterable[int]) -> None:
        """Asks for these runs to be saved and to end."""

    def discard(self) -> None:
        """Clears away what the sweep has left on disks."""

    def check_workers(self) -> None:
        """Finds out who may be used. Raises: ClusterError if nobody may."""

    def refusals(self) -> list[str]:
        """A sentence for each worker that is not used."""

"""The processes that train one model together, and the usual case of a training that is alone.

Every rank holds all parameters and computes the gradient of its share of each batch. The gradients are added
up, and each rank then takes the same optimizer step. Rank 0 leads: what it measures and saves is the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:  # whoever leads a training says so before NumPy is imported
    from .arrays import FloatArray

STEPS_TO_ALIGN: Final = 100
"""How often ranks take over rank 0's parameters: hosts whose BLAS rounds differently would drift apart."""


class Dismissed(Exception):  # noqa: N818  (nothing went wrong)
    """Rank 0 ended the training that this rank follows."""


class Ranks(Protocol):
    """What a training asks of the others. All of them ask the same, in the same order."""

    @property
    def rank(self) -> int:
        """From 0, which leads."""
        ...

    @property
    def size(self) -> int: ...

    def add_up(self, gradient: FloatArray, loss: float) -> float:
        """The sum of all ranks' losses; the sum of their gradients takes the place of each.

        Raises: Dismissed, in ranks that follow.
        """
        ...

    def align(self, parameters_P: FloatArray) -> None:
        """Overwrites the parameters with those of rank 0."""
        ...


class Alone:
    """One process has the whole batch."""

    rank: Final = 0
    size: Final = 1

    def add_up(self, gradient: FloatArray, loss: float) -> float:  # noqa: ARG002
        return loss

    def align(self, parameters_P: FloatArray) -> None:  # noqa: ARG002
        return


ALONE: Final = Alone()

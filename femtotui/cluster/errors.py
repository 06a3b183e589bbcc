"""What can go wrong with a sweep, in words."""

from __future__ import annotations

from femtotui.core.errors import FemtoError


class SweepError(FemtoError):
    """A sweep that cannot be made, found, or gone on with."""

    title = "Trouble with a sweep"


class ClusterError(FemtoError):
    """Workers or a scheduler that cannot be used."""

    title = "Trouble with the cluster"

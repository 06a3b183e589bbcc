"""What the ranks settle before they train: that they are of one version, and how many threads each has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from femtotui.core.errors import ConfigError
from femtotui.core.parallel import usable_cores

if TYPE_CHECKING:
    from .world import World


def same_versions(world: World) -> Mapping[str, tuple[int, ...]]:
    """The ranks by the versions they train with: one entry if they are all the same."""
    found: dict[str, tuple[int, ...]] = {}
    for rank, versions in enumerate(world.versions()):
        found[versions] = (*found.get(versions, ()), rank)
    return found


def threads_a_rank(world: World) -> int:
    """As many threads as every rank has cores for: one number for all, so that shares are equal."""
    return world.least(threads_here(usable_cores(), os.cpu_count() or 1, world.ranks_here))


def threads_here(usable: int, cores: int, ranks_here: int) -> int:
    """Threads for each of the ranks on a machine; some launchers have given each its own cores already."""
    return usable if usable < cores else max(1, usable // ranks_here)


def total_threads(size: int, each: int, batch: int) -> int:
    """The threads of all ranks together. Raises: ConfigError if the batch has too few sequences."""
    if size > batch:
        raise ConfigError(
            f"{size:,} processes cannot share a batch of {batch:,} sequences: start at most {batch:,}"
        )
    return size * min(each, batch // size)

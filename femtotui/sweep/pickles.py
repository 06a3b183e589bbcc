"""Refusal of pickles from a cluster that could run code.

Dask's client unpickles what scheduler and workers send it: types, exceptions, tracebacks, warnings, and any
part of any message whose sender marked it so. Its `deserializers` cover only some of these. But whatever a
pickle is to run, it has to look up by name first, and Python reports each look-up to audit hooks.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any

from .spec import ClusterError

_HARMLESS = {
    ("builtins", "bytes"),  # the type of our own messages
    ("distributed.comm.core", "CommClosedError"),
}
_UNREAD = ("tblib.pickling_support", "distributed.scheduler")
"""First in pickles of exceptions with tracebacks, and of KilledWorker: not read either, but not hostile."""

_refused: list[str] = []
_watching = False


class ErrorNotReadError(TypeError):
    """An exception that was raised elsewhere; a TypeError, as Dask expects of what it cannot read."""


class PickleRefusedError(ClusterError, TypeError):
    """A pickle that names something that could run; no worker of femtotui sends one."""


def refuse_pickles() -> None:
    """From now on this process unpickles plain data and Python's own exceptions, and nothing else."""
    global _watching  # noqa: PLW0603  (audit hooks cannot be removed: one is enough)
    if not _watching:
        _watching = True
        sys.addaudithook(_hook)


def require_no_refusal() -> None:
    """Raises: PickleRefusedError if a pickle was refused, on whichever thread."""
    if _refused:
        raise PickleRefusedError(_refused[0])


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "pickle.find_class":
        return
    module, name = str(arguments[0]), str(arguments[1])
    if (module, name) in _HARMLESS or (module == "builtins" and _is_exception(name)):
        return
    if module in _UNREAD:
        raise ErrorNotReadError(f"an exception that is not read here: {module[:80]}.{name[:80]}")
    words = (
        f"the scheduler or a worker sent a pickle that names {module[:80]}.{name[:80]}: "
        "nothing of it was run. Whoever sent it is not a worker of femtotui"
    )
    if not _refused:
        _refused.append(words)
    raise PickleRefusedError(words)


def _is_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, Exception)

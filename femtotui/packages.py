"""The versions that two processes must share to train the same: femtotui's and NumPy's."""

from __future__ import annotations

import importlib.metadata

from . import __version__


def versions_here() -> str:
    """`femtotui 1.2.3, NumPy 2.3.4`; reads no module, so NumPy need not be imported."""
    return f"femtotui {__version__}, NumPy {importlib.metadata.version('numpy')}"

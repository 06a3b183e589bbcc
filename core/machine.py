"""Memory figures, cached to be cheap at every step, and descriptions of processor, cores and BLAS."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import threadpoolctl

_MIB = 1024 * 1024
_MAX_AGE_S = 0.2


def rss_mib() -> float:
    """Resident memory of this process, at most 0.2 s old. Units: MiB."""
    return _memory_mib(int(time.monotonic() / _MAX_AGE_S))[0]


def available_mib() -> float:
    """Free memory of the machine, at most 0.2 s old. Units: MiB."""
    return _memory_mib(int(time.monotonic() / _MAX_AGE_S))[1]


@lru_cache(maxsize=1)
def _memory_mib(_tick: int) -> tuple[float, float]:
    return psutil.Process().memory_info().rss / _MIB, psutil.virtual_memory().available / _MIB


def peak_rss_mib() -> float:
    """Peak resident memory of this process. Units: MiB."""
    peak = _linux_peak_mib() if sys.platform == "linux" else _other_peak_mib()
    return max(peak, rss_mib())


def _linux_peak_mib() -> float:
    # getrusage includes the peak of the parent process.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _other_peak_mib() -> float:
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / _MIB
    import resource  # noqa: PLC0415  (does not exist on Windows)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak / 1024


def describe_machine() -> str:
    """The processor and the number of cores that this process may use: "AMD EPYC 9454, 2 cores"."""
    cores = _usable_cores()
    return f"{_processor_name()}, {cores} core{'' if cores == 1 else 's'}"


def _usable_cores() -> int:
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(physical, len(os.sched_getaffinity(0))))
    return physical


def _processor_name() -> str:
    name = ""
    with suppress(OSError, ValueError):
        name = " ".join(_system_processor_name().split())
    return name or platform.processor() or platform.machine() or "unknown processor"


def _system_processor_name() -> str:
    if sys.platform == "darwin":
        import subprocess  # noqa: PLC0415  (only this branch needs it)

        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, timeout=2, check=False).stdout
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415  (does not exist elsewhere)

        key_path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key_path) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        label, _, value = line.partition(":")
        if label.strip() == "model name":
            return value
    return ""


def blas_pool() -> Mapping[str, Any]:
    """threadpoolctl's description of NumPy's BLAS library; empty for one that it does not know."""
    pools = (pool for pool in threadpoolctl.threadpool_info() if pool.get("user_api") == "blas")
    return next(pools, {})


@cache
def blas_description() -> str:
    """The library behind NumPy's matrix products: "OpenBLAS 0.3.31 Haswell"."""
    if pool := blas_pool():
        names = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}
        version = ".".join((pool.get("version") or "").split(".")[:3])
        words = (names.get(pool["internal_api"], pool["internal_api"]), version, pool.get("architecture"))
        return " ".join(word for word in words if word)
    built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return str(built_with.get("name", "unknown BLAS"))

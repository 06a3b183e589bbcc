"""The BLAS settings of this process, to be made before NumPy is imported: its threads, and its kernel.

OpenBLAS knows processors by name. One that is newer than the library gets a fallback kernel without AVX-512,
at about half the speed of the hardware. `OPENBLAS_CORETYPE` names another kernel, but only before the library
is loaded. So a child process measures OpenBLAS's own choice, and if the processor has AVX-512 and that choice
does not use it, another one tries the kernel that does. It is chosen only if its results are correct and it
is clearly faster. The decision is cached for this processor and these libraries.

The user's setting is never changed, nor any BLAS library but OpenBLAS. `FEMTOTUI_BLAS_KERNEL` sets the kernel
for femtotui alone:

    not set     respect OPENBLAS_CORETYPE; decide by measuring where that is not set
    auto        ignore OPENBLAS_CORETYPE; decide by measuring
    a name      hand that to OpenBLAS (Haswell, SkylakeX, ...)
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from femtotui.core.files import read_limited, write_atomically

from ..installation import cache_folder
from .probe import TOGETHER, Probe, has_avx512

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
VARIABLE = "OPENBLAS_CORETYPE"
SWITCH = "FEMTOTUI_BLAS_KERNEL"
AUTO = "auto"

CANDIDATE = "SkylakeX"
"""OpenBLAS's kernel for AVX-512; the later ones (Cooperlake, SapphireRapids) multiply float32 as it does."""

USES_AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")
LEAST_GAIN = 1.1
MOST_ERROR = 1e-5
PROBE_SECONDS = 10.0

_FORMAT = 1
_MAX_BYTES = 64 * 1024


class ProbeError(Exception):
    """The process that was to measure matrix products failed."""


Prober = Callable[[Mapping[str, str]], Probe]
"""Measures under an environment. Raises: ProbeError."""


class KernelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel to train with: the value for `OPENBLAS_CORETYPE`, "" for none, and the reason.

    `default` and `candidate` are the measurements behind it.
    """

    kernel: str = ""
    reason: str
    default: Probe | None = None
    candidate: Probe | None = None


class _Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A cached choice, and the state of the BLAS library that it was made for."""

    format: int
    library: str
    choice: KernelChoice


def limited_blas(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with one BLAS thread where the user chose nothing: the core has threads of its own."""
    return {**dict.fromkeys(BLAS_VARIABLES, "1"), **environment}


def limit_blas_threads() -> None:
    """Set these limits for this process."""
    os.environ.update(limited_blas(os.environ))


def prepare_blas() -> None:
    """Set up this process to train: the limits, and the fastest kernel (measured at the first start here).

    Call it before NumPy is imported (later it changes no kernel), and not while a user waits for a screen.
    """
    limit_blas_threads()
    if "numpy" in sys.modules:
        return
    kernel = kernel_choice(cache_folder(), os.environ).kernel
    if kernel:
        os.environ[VARIABLE] = kernel
    else:
        os.environ.pop(VARIABLE, None)


def with_kernel(environment: Mapping[str, str], kernel: str) -> dict[str, str]:
    """`environment` with OpenBLAS told to use `kernel`, or with "" left to itself."""
    others = {name: value for name, value in environment.items() if name != VARIABLE}
    return {**others, VARIABLE: kernel} if kernel else others


def user_variable(environment: Mapping[str, str]) -> str:
    """The variable by which the user has chosen a kernel, "" if there is none."""
    asked = environment.get(SWITCH, "").strip()
    if asked:
        return "" if asked.casefold() == AUTO else SWITCH
    return VARIABLE if environment.get(VARIABLE, "").strip() else ""


def slow_kernel_notes(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A warning if the user's setting leaves this processor's AVX-512 unused. Imports NumPy."""
    kernel = environment.get(VARIABLE, "").strip()
    if user_variable(environment) != VARIABLE or kernel in USES_AVX512 or not has_avx512():
        return ()
    return (
        f"{VARIABLE}={kernel} leaves this processor's AVX-512 unused: femtotui doctor says what that costs",
    )


def kernel_choice(cache: Path, environment: Mapping[str, str], probe: Prober | None = None) -> KernelChoice:
    """The user's choice, or the cached one for this machine, or a new one. Never raises."""
    variable = user_variable(environment)
    if variable:
        return KernelChoice(kernel=environment[variable].strip(), reason=f"{variable} is set: obeyed")
    return _recall(cache) or measured_choice(cache, environment, probe)


def measured_choice(cache: Path, environment: Mapping[str, str], probe: Prober | None = None) -> KernelChoice:
    """A new choice, whatever the user has set, cached if it could be measured. Never raises."""
    choice = _measure(with_kernel(environment, ""), probe or run_probe)
    if choice.default is not None:
        _remember(cache, choice, choice.default)
    return choice


def faster(first: Probe, second: Probe) -> Probe:
    """The better of two measurements of the same library."""
    return first if first.gflops >= second.gflops else second


def run_probe(environment: Mapping[str, str], *, together: bool = False) -> Probe:
    """Measure in a process of its own under `environment`; with `together` also with all cores at once.

    Raises: ProbeError if it crashed, hung or printed something else.
    """
    # -P: a file called random.py in the current folder must not be imported.
    command = [sys.executable, "-P", "-m", "femtotui.blas.probe", *([TOGETHER] if together else [])]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            env=dict(environment),
        )
        if done.returncode:
            raise ProbeError(_end_in_words(done.returncode, done.stderr))
        return msgspec.json.decode(done.stdout, type=Probe)
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"no result within {PROBE_SECONDS:g} seconds") from error
    except OSError as error:
        raise ProbeError(f"no process could be started: {error}") from error
    except msgspec.MsgspecError as error:
        raise ProbeError(f"an invalid result: {error}") from error


def _end_in_words(code: int, stderr: bytes) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"the process was ended by {signal.Signals(-code).name}"
    last = stderr.decode(errors="replace").strip().rpartition("\n")[2].strip()
    return f"the process ended with code {code}" + (f": {last}" if last else "")


def _measure(environment: Mapping[str, str], probe: Prober) -> KernelChoice:
    """A choice for an environment in which OpenBLAS is left to itself.

    It is the candidate if its results are correct and it is clearly faster than the default.
    """
    try:
        default = probe(environment)
    except ProbeError as error:
        return KernelChoice(reason=f"matrix products could not be measured: {error}")
    if reason := _reason_to_leave(default):
        return KernelChoice(reason=reason, default=default)
    candidate, other = None, with_kernel(environment, CANDIDATE)
    try:
        candidate = probe(other)
        if candidate.gflops < LEAST_GAIN * default.gflops:
            # The machine may have been busy for a moment, and the result is cached: both are measured again.
            default = faster(default, probe(environment))
            candidate = faster(candidate, probe(other))
        fault = _fault(candidate, default)
    except ProbeError as error:
        candidate, fault = None, f"fails here ({error})"
    if candidate is None or fault:
        reason = f"{default.kernel} stays: the {CANDIDATE} kernel {fault}"
        return KernelChoice(reason=reason, default=default, candidate=candidate)
    gain = candidate.gflops / default.gflops
    reason = f"{gain:.1f} times as fast as {default.kernel}, which OpenBLAS takes for this processor"
    return KernelChoice(kernel=CANDIDATE, reason=reason, default=default, candidate=candidate)


def _reason_to_leave(default: Probe) -> str:
    if default.library != "openblas":
        return f"NumPy multiplies with {default.library or 'a library of its own'}, not with OpenBLAS"
    if not default.has_avx512:
        return "OpenBLAS's own choice: this processor has no AVX-512"
    if default.kernel in USES_AVX512:
        return "OpenBLAS's own choice, and it uses AVX-512"
    return ""


def _fault(candidate: Probe, default: Probe) -> str:
    if candidate.kernel not in USES_AVX512:
        return "is not in this OpenBLAS"
    if not candidate.error < MOST_ERROR:  # so that NaN is a fault
        return "gives wrong results here"
    if candidate.gflops < LEAST_GAIN * default.gflops:
        return "is not clearly faster here"
    return ""


def _recall(cache: Path) -> KernelChoice | None:
    with suppress(OSError, ValueError):  # msgspec's errors are ValueErrors
        memory = msgspec.json.decode(read_limited(_memory_file(cache), _MAX_BYTES), type=_Memory)
        choice = memory.choice
        fits = memory.format == _FORMAT and choice.kernel in ("", CANDIDATE) and choice.default is not None
        if fits and choice.default and memory.library == _library_state(choice.default.file):
            return choice
    return None


def _remember(cache: Path, choice: KernelChoice, default: Probe) -> None:
    """Cache a choice; where that fails, it is measured again next time."""
    with suppress(OSError, ValueError):
        memory = _Memory(format=_FORMAT, library=_library_state(default.file), choice=choice)
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(_memory_file(cache), msgspec.json.encode(memory))


def _library_state(file: str) -> str:
    """A text that changes when the BLAS library is replaced. Raises: OSError if it does not exist."""
    if not file:
        return ""
    state = Path(file).stat()
    return f"{state.st_size} {state.st_mtime_ns}"


def _memory_file(cache: Path) -> Path:
    """The cache file of this processor, interpreter and NumPy: machines may share a home folder."""
    features = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
    numpy = ""
    with suppress(importlib.metadata.PackageNotFoundError):
        numpy = importlib.metadata.version("numpy")
    parts = (features or platform.processor(), platform.machine(), sys.prefix, numpy)
    return cache / f"blas-kernel-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}.json"

"""Damages the files of a run in every way and opens them: an error in words, or what was there before.

    python tests/proofs/fuzzing.py --files 10000

Truncated, bit-flipped, zeroed, with foreign bytes, with huge declared sizes, wrong dtypes and shapes, numbers
that are none, and JSON that nests for ever. Nothing may crash, run code, take more than 300 MiB or write over
what was good.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from small_runs import small_config, train_to_the_end

from femtotui.core.errors import FemtoError
from femtotui.core.machine import peak_rss_mib
from femtotui.core.run_folder.catalog import summarise
from femtotui.core.run_folder.entry import gather_entry, write_note
from femtotui.core.run_folder.logs import read_history
from femtotui.core.run_folder.saved_model import open_saved
from femtotui.presets import load_preset
from femtotui.runs.library import load_state, read_rows, write_title
from femtotui.sampling.timelapse import logged_frames
from femtotui.trainer.remote import read_address
from femtotui.trainer.session import continue_run, prepare

MOST_MIB = 300
FORBIDDEN = {
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.fork",
    "socket.connect",
}
PRESET = (Path(__file__).parents[2] / "presets" / "entry-02.toml").read_bytes()
FILES = (
    "checkpoint",
    "checkpoint",
    "checkpoint",
    "run.json",
    "run.json",
    "preset.toml",
    "metrics.csv",
    "evals.csv",
    "samples.jsonl",
    "scores.jsonl",
    "progress.json",
    "tokenizer.json",
    "trainer.json",
    "title.json",
    "note.md",
)
Damage = Callable[[bytes, random.Random], bytes]


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def flipped(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 8))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def flipped_early(data: bytes, rng: random.Random) -> bytes:
    """In the part that declares what follows."""
    return flipped(data[:2000], rng) + data[2000:]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    end = min(len(data), at + rng.randrange(1, 512))
    return data[:at] + bytes(end - at) + data[end:]


def foreign(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return (
        data[:at]
        + rng.choice((b"\x80\x04cos\nsystem\n", b"\x1b[2J", b"\xff\xfe", rng.randbytes(64)))
        + data[at:]
    )


def huge_number(data: bytes, rng: random.Random) -> bytes:
    """A number in the text becomes one that is enormous, negative, or none."""
    digits = [i for i, byte in enumerate(data[:4000]) if chr(byte).isdigit()]
    if not digits:
        return flipped(data, rng)
    at = rng.choice(digits)
    number = rng.choice(
        (b"999999999999", b"4096", b"-1", b"1e999", b"NaN", b"0", b"18446744073709551616", b"1.5")
    )
    return data[:at] + number + data[at + 1 :]


def retyped(data: bytes, rng: random.Random) -> bytes:
    """Another dtype, shape or type in what is declared."""
    pairs = (
        (b"F32", b"F16"),
        (b"F32", b"F64"),
        (b"F32", b"BOOL"),
        (b"[16,", b"[61,"),
        (b"true", b"1"),
        (b'"', b""),
    )
    old, new = rng.choice(pairs)
    return data.replace(old, new, 1) if old in data else foreign(data, rng)


def nested(data: bytes, rng: random.Random) -> bytes:
    return (
        rng.choice((b"[" * 100_000, b'{"a":' * 100_000, b"", b"null", b"9" * 100_000))
        + data[: rng.randrange(3)]
    )


def huge_header(data: bytes, rng: random.Random) -> bytes:
    return rng.choice((2**63, 2**40, 2**32, 5_000_000, 0, 7)).to_bytes(8, "little") + data[8:]


DAMAGES: tuple[Damage, ...] = (
    truncated, flipped, flipped, flipped_early, zeroed, foreign, huge_number, huge_number, retyped, nested,
    huge_header,
)  # fmt: skip


class Fuzz:
    """A good run, and copies of it with one damaged file."""

    def __init__(self, folder: Path) -> None:
        session = prepare(small_config("modern", "bpe", steps=60), folder / "good")
        train_to_the_end(session)
        self.good = session.run.path
        (self.good / "trainer.json").write_text(
            '{"format":1,"pid":1,"secret":"x","path":"/nowhere","port":0}'
        )
        write_title(self.good, "a title")
        write_note(self.good, "a note")
        self.states = {path.name: _digest_of_state(path, folder) for path in self._checkpoints(self.good)}
        self.runs = folder / "runs"
        self.counts: Counter[str] = Counter()

    @staticmethod
    def _checkpoints(run: Path) -> list[Path]:
        return sorted((run / "checkpoints").glob("*.safetensors"))

    def one(self, rng: random.Random) -> None:
        """Damage one file, open everything. Raises: AssertionError, or whatever is not a FemtoError."""
        shutil.rmtree(self.runs, ignore_errors=True)
        run = self.runs / self.good.name
        shutil.copytree(self.good, run)
        name, damage = rng.choice(FILES), rng.choice(DAMAGES)
        if name == "preset.toml":
            self._open_preset(damage(PRESET, rng))
            return
        path = self._checkpoints(run)[-1] if name == "checkpoint" else run / name
        path.write_bytes(damage(path.read_bytes(), rng))
        damaged = path.read_bytes()
        self._look(run)
        self._go_on(run, path, damaged)

    def _open_preset(self, data: bytes) -> None:
        path = self.runs / "preset.toml"
        path.write_bytes(data)
        self._count(lambda: load_preset(str(path)))

    def _look(self, run: Path) -> None:
        """What the lists and the journal do: whatever is damaged, they show what there is."""
        read_rows(self.runs)
        logged_frames(run)
        for _ in read_history(run, 10**15):
            pass
        for look in (gather_entry, read_address, self._open_to_sample, _draw_curve):
            with suppress(FemtoError):
                look(run)

    def _open_to_sample(self, run: Path) -> None:
        open_saved(self.runs, str(run))

    def _go_on(self, run: Path, path: Path, damaged: bytes) -> None:
        before = {p: p.read_bytes() for p in self._checkpoints(run)}
        session = self._count(lambda: continue_run(run))
        if session is not None:
            try:
                state = _digest(session.training.tensors())
                assert state in self.states.values(), f"damage to {path.name} gave another state"
            finally:
                session.close()
        after = {p.read_bytes() for p in (run / "checkpoints").iterdir()}
        assert set(before.values()) <= after, "a checkpoint was written over"
        if path.suffix == ".json":
            assert path.read_bytes() == damaged, f"{path.name} was written over"

    def _count(self, opening: Callable[[], object]) -> object:
        try:
            opened = opening()
        except FemtoError as error:
            assert str(error).strip(), "an error without words"
            self.counts["refused in words"] += 1
            return None
        self.counts["opened unharmed"] += 1
        return opened


def _draw_curve(run: Path) -> None:
    load_state(summarise(run))


def _digest(tensors: dict) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.tobytes())
    return digest.hexdigest()


def _digest_of_state(checkpoint: Path, folder: Path) -> str:
    """The state that a run resumed from this checkpoint alone has."""
    copy = folder / "state" / checkpoint.parents[1].name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(checkpoint.parents[1], copy)
    for other in (copy / "checkpoints").iterdir():
        if other.name != checkpoint.name:
            other.unlink()
    session = continue_run(copy)
    try:
        return _digest(session.training.tensors())
    finally:
        session.close()


def fuzz(files: int, seed: int, folder: Path) -> Counter[str]:
    """Damages `files` files, one after the other."""
    run = Fuzz(folder)
    watched = [False]

    def watch(event: str, _arguments: tuple[object, ...]) -> None:
        if watched[0] and event in FORBIDDEN:
            raise AssertionError(f"a damaged file led to {event}")

    sys.addaudithook(watch)
    watched[0] = True
    try:
        for number in range(files):
            rng = random.Random(f"{seed} {number}")
            try:
                run.one(rng)
            except Exception as error:
                error.add_note(f"file {number} of seed {seed}")
                raise
            assert peak_rss_mib() < MOST_MIB, f"file {number} of seed {seed}: {peak_rss_mib():.0f} MiB"
    finally:
        watched[0] = False
    return run.counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = fuzz(options.files, options.seed, Path(folder))
    print(json.dumps(counts), f"peak {peak_rss_mib():.0f} MiB, {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

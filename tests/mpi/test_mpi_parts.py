"""What `--mpi` is made of, without mpirun."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import msgspec
import pytest

from femtotui.cli.main import main
from femtotui.core.config import DataConfig
from femtotui.core.errors import ConfigError, DataError
from femtotui.core.training.batches import Source
from femtotui.mpi.ranks import threads_here, total_threads
from femtotui.trainer.text_transfer import TextTransfer, pack_text, unpack_text

TEXT = Source(name="words", train=b"to train on", validation=b"to validate", notes=("a note",), command="cat")
FILES = DataConfig(source="files", paths=("elsewhere.txt",))


@pytest.mark.parametrize(
    ("usable", "cores", "ranks", "threads"),
    [(8, 8, 1, 8), (8, 8, 2, 4), (8, 8, 3, 2), (2, 2, 5, 1), (1, 8, 4, 1), (2, 8, 4, 2)],
)
def test_ranks_share_the_cores_that_their_launcher_has_not_shared_out(
    usable: int, cores: int, ranks: int, threads: int
) -> None:
    assert threads_here(usable, cores, ranks) == threads


@pytest.mark.parametrize(
    ("size", "each", "batch", "total"), [(2, 1, 32, 2), (2, 4, 32, 8), (3, 16, 32, 30), (32, 8, 32, 32)]
)
def test_every_rank_has_equally_many_threads_and_every_thread_a_sequence(
    size: int, each: int, batch: int, total: int
) -> None:
    assert total_threads(size, each, batch) == total
    assert total % size == 0


def test_more_ranks_than_sequences_are_refused() -> None:
    with pytest.raises(ConfigError, match="33 processes cannot share a batch of 32"):
        total_threads(33, 1, 32)


def test_text_arrives_as_it_was() -> None:
    sent = msgspec.msgpack.encode(pack_text(TEXT, FILES))
    source = unpack_text(msgspec.msgpack.decode(sent, type=TextTransfer), FILES, seed=0)
    assert (source.train, source.validation, source.sha256) == (TEXT.train, TEXT.validation, TEXT.sha256)
    assert (source.name, source.notes, source.command) == (TEXT.name, TEXT.notes, TEXT.command)


def test_text_that_changed_on_the_way_is_refused() -> None:
    packed = msgspec.structs.replace(pack_text(TEXT, FILES), train=b"to train with")
    with pytest.raises(DataError, match="words is another text here"):
        unpack_text(packed, FILES, seed=0)


def test_synthetic_text_is_made_where_it_is_needed() -> None:
    from femtotui.presets.sources import open_source  # noqa: PLC0415

    data = DataConfig(source="simple_dummy", lines=50)
    made = open_source(data, 3)
    packed = pack_text(made, data)
    assert packed.train is None
    there = unpack_text(packed, data, seed=3)
    assert there.train == made.train
    assert there.fresh is not None
    with pytest.raises(DataError, match="another text"):
        unpack_text(packed, data, seed=4)


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["train", "2", "--mpi"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "femtotui: That needs an extra: --mpi needs mpi4py, which is not installed: "
        "pip install 'femtotui[mpi]'\n"
    )


def test_without_mpi_nothing_of_it_is_imported() -> None:
    program = (
        "import sys\nfrom femtotui.cli.main import main\nmain(['train', '--help'])\n"
        "print(*(name for name in sys.modules if 'mpi' in name.split('.')[-1] and 'femtotui' in name), "
        "'mpi4py' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["False", "False"]

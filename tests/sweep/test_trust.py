"""Who can run code during a sweep: nobody without the cluster's certificate, nobody at all in our process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dask_processes import Cluster, SweepProcess, preset_file, wait_for
from distributed.security import Security

from femtotui.cli.main import main

HOSTILE = """\
import os, pathlib, pickle
import distributed.protocol
import distributed.worker
from distributed import get_worker
from femtotui.sweep import worker as worker_task

HERE = pathlib.Path({folder!r})


class Payload:
    def __reduce__(self):
        return exec, (f"import os, pathlib; pathlib.Path({folder!r}, str(os.getpid())).touch()",)


def forged_error(error, true_message=distributed.worker.error_message):
    return true_message(error) | {{"exception": distributed.protocol.to_serialize(pickle.dumps(Payload()))}}


def hostile(order, text):
    mode = (HERE / "mode").read_text()
    if mode == "result":
        return Payload()
    if mode == "nested":
        return [b"", {{"a": Payload()}}]
    if mode == "exception":
        distributed.worker.error_message = forged_error
        raise ValueError
    if mode == "warning":
        get_worker().log_event("warn", {{"message": pickle.dumps(Payload())}})
    if mode == "printing":
        get_worker().log_event("print", {{"args": ("forged",), "kwargs": {{}}}})
    if mode == "report":
        sweep = worker_task.decode(order, worker_task.Order).sweep
        get_worker().log_event(worker_task.topic_of(sweep), Payload())
    return b"\\xc1 garbage"


def hostile_versions(true_versions=worker_task.worker_versions):
    return Payload() if (HERE / "mode").read_text() == "versions" else true_versions()


worker_task.train_order = hostile
worker_task.worker_versions = hostile_versions
"""

INTRUDER = """\
import asyncio, os, ssl, sys
from distributed import rpc
from distributed.security import Security

# Neither looks at the certificate of the other side: it is for that side to refuse.
without_certificate = ssl.create_default_context()
without_certificate.check_hostname = False
own_certificate = Security.temporary().get_connection_args("client")["ssl_context"]
without_certificate.verify_mode = own_certificate.verify_mode = ssl.CERT_NONE
WAYS = (
    ("tcp", {}),
    ("tls", {"ssl_context": without_certificate}),
    ("tls", {"ssl_context": own_certificate}),
)

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


async def intrude(address, arguments):
    async with asyncio.timeout(5), rpc(address, connection_args=arguments) as peer:
        return await peer.identity()


for address in sys.argv[1:]:
    for protocol, arguments in WAYS:
        try:
            asyncio.run(intrude(f"{protocol}://{address.partition('://')[2]}", arguments))
            print("came in at", address, protocol)
        except Exception as error:
            print("refused", type(error).__name__, error, file=sys.stderr)
print("tried")
"""


def test_a_sweep_on_this_machine_listens_nowhere(tmp_path: Path) -> None:
    preset = preset_file(tmp_path, steps=100_000)
    sweep = SweepProcess(tmp_path / "runs", preset, "--workers", "1")
    sweep.until(lambda event: event["event"] == "run_reported")
    leader = psutil.Process(sweep.process.pid)
    processes = [leader, *leader.children(recursive=True)]
    listening = [
        (process.cmdline(), connection)
        for process in processes
        for connection in process.net_connections("all")
        if connection.status == psutil.CONN_LISTEN or (isinstance(connection.laddr, str) and connection.laddr)
    ]
    leader.terminate()
    sweep.end()
    assert len(processes) > 1
    assert listening == []
    wait_for(lambda: not any(process.is_running() for process in processes[1:]))


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates for a cluster, in Dask's own settings."""
    made = Security.temporary()
    for name, pem in (("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        file = tmp_path / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_text(pem)
        for role in ("CLIENT", "SCHEDULER", "WORKER"):
            monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{role}__{name.upper()}", str(file))
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(tmp_path / "cert.pem"))


@pytest.mark.usefixtures("certificates")
def test_with_tls_only_who_holds_the_certificate_is_let_in(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "--protocol", "tls")
    try:
        cluster.add_worker("one", cache=tmp_path / "one-cache")
        sweep = SweepProcess(
            tmp_path / "runs", preset_file(tmp_path, steps=20), "--scheduler", cluster.address
        )
        code, said = sweep.end()
        assert code == 0, said
        assert sweep.outcomes()[0]["step"] == 20

        bare = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
        address = sweep.outcomes()[0]["worker"].split()[1]
        assert address.startswith("tls://")
        command = [sys.executable, "-c", INTRUDER, cluster.address, address]
        done = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["tried"], done.stdout
        assert done.stderr.count("refused ") == 6, done.stderr
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Cluster]]:
    folder = tmp_path_factory.mktemp("hostile")
    cluster = Cluster(folder)
    cluster.add_worker("evil", cache=folder / "cache", program=HOSTILE.format(folder=str(folder)))
    yield folder, cluster
    cluster.close()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("result", "sent a pickle that names "),
        ("nested", "sent a pickle that names "),
        ("versions", "sent a pickle that names "),
        ("exception", "sent a pickle that names builtins.exec"),
        ("report", ""),
        ("warning", ""),
        ("printing", ""),
        ("garbage", "a message that cannot be understood arrived"),
    ],
)
def test_nothing_of_a_hostile_worker_s_runs_here(
    tmp_path: Path, hostile: tuple[Path, Cluster], mode: str, words: str
) -> None:
    folder, cluster = hostile
    (folder / "mode").write_text(mode)
    sweep = SweepProcess(tmp_path / "runs", preset_file(tmp_path, steps=5), *cluster.options)
    code, said = sweep.end()
    assert code == 2, said
    assert "has no workers" not in said  # the hostile one is there
    assert not (folder / str(sweep.process.pid)).exists()
    assert words in said + str(sweep.seen)
    assert "forged" not in said + str(sweep.seen)
    assert "Traceback" not in said


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "ws://127.0.0.1:8786"])
def test_a_scheduler_without_tls_needs_a_word(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "10", "--scheduler", address, "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"{address} is not tls://: whoever reaches it can read and change the sweep" in said
    assert "add --insecure-network" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_tls_without_certificates_says_where_to_name_them(tmp_path: Path) -> None:
    sweep = SweepProcess(tmp_path, "10", "--scheduler", "tls://127.0.0.1:8786")
    code, said = sweep.end()
    assert code == 2
    assert "tls:// needs certificates: name their files in DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in said

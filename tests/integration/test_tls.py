"""Servers with TLS and a CA of their own: what the sender and the API need for it, and what they say without it."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from kit.servers.certificates import Certificates
from kit.waiting import wait_until
from runstream import API
from runstream.api.errors import ServerUnreachable
from runstream.connections import fetch
from runstream.sender.lock import sender_lives
from runstream_infra.cluster.process import application, listening
from runstream_infra.cluster.settings import RoleSettings
from runstream_service.tls import InvalidCertificate, server_context

TRAINER = """
import sys
import runstream as rs
run = rs.init(project="tls")
for step in range(100):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.log_asset(b"weights" * 1000, name="weights.bin", kind="model")
print("finished", run.finish())
api = rs.API()
found = api.run(run.run_id)
[weights] = api.assets(run.run_id, kind="model")
size = api.download(weights, sys.argv[1]).stat().st_size
[loss] = api.summaries(run.run_id, "loss")
print("read", found.status, loss.count, size)
"""


@dataclass(frozen=True)
class TlsServer:
    """An embedded server at an https address."""

    url: str
    files: Certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "files")


@pytest.fixture(scope="module")
def server(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    command = [sys.executable, "-m", "runstream_infra.cli", "up", "--port", "0"]
    command += ["--data-dir", str(tmp_path_factory.mktemp("tls") / "data")]
    command += ["--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = re.search(r"ready at (\S+) ", process.stdout.readline())
            assert ready
            yield TlsServer(ready[1], files)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A spool whose sender is ended, also one that can send nothing."""
    yield tmp_path / "spool"
    if sender_lives(tmp_path / "spool"):
        os.kill(int((tmp_path / "spool" / "sender.lock").read_text()), signal.SIGTERM)


def trained(server: TlsServer, spool: Path, ca: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RUNSTREAM_URL": server.url, "RUNSTREAM_DIR": str(spool)}
    environment |= {"SSL_CERT_FILE": str(ca)} if ca is not None else {"RUNSTREAM_FINISH_TIMEOUT_S": "1"}
    command = [sys.executable, "-c", TRAINER, str(spool.with_name("got.bin"))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_sender_and_api_verify_a_private_ca(server: TlsServer, spool: Path) -> None:
    """Frames, an asset, `finish`, and reads: each goes by the CA that SSL_CERT_FILE names."""
    assert server.url.startswith("https://127.0.0.1:")
    done = trained(server, spool, server.files.ca)
    assert done.stdout.splitlines() == ["finished True", "read finished 100 7000"], done.stderr


def test_nothing_is_sent_to_a_server_that_cannot_be_verified(
    server: TlsServer, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = trained(server, spool, None)
    assert "finished False" in done.stdout
    assert "SSL_CERT_FILE" in done.stderr
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    told = r"certificate that it shows is not accepted \(unable to get local issuer certificate\).*SSL_CERT_FILE"
    with pytest.raises(ServerUnreachable, match=told):
        API(url=server.url).run("any")


def test_the_command_line_reads_through_tls(server: TlsServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runstream_infra.cli", "doctor", "--url", server.url, "--json"]
    environment = {**os.environ, "SSL_CERT_FILE": str(server.files.ca), "RUNSTREAM_DIR": str(tmp_path / "none")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert json.loads(done.stdout)["server"]["reachable"] is True, done.stdout


def test_the_health_check_of_the_image_sees_a_server_with_tls(server: TlsServer) -> None:
    """Inside the container, by whatever name the certificate has."""
    dockerfile = (Path(__file__).parents[2] / "infra" / "one-machine.Dockerfile").read_text()
    found = re.search(r"CMD (\[.*\])$", dockerfile.partition("HEALTHCHECK")[2], re.M)
    assert found
    program, *rest = json.loads(found[1])
    assert program == "python"
    port = {"RUNSTREAM_LISTEN_PORT": server.url.rsplit(":", 1)[1]}
    for environment, code in (({"RUNSTREAM_TLS_CERT": "/tls/chain.pem"}, 0), ({}, 1)):
        done = subprocess.run(
            [sys.executable, *rest], env={**os.environ, **port, **environment}, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr


def test_connections_that_never_shake_hands_are_ended(server: TlsServer) -> None:
    """Silent ones, one in clear text, one that is cut within the handshake; the server goes on."""
    port = int(server.url.rsplit(":", 1)[1])
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(20)]
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        begun = socket.create_connection(("127.0.0.1", port), 60)
        begun.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        begun.close()
        for each in (*silent, plain):
            assert drained(each), "it is closed by the server"

    wait_until(lambda: opened(server) == 1)  # the one that asks


def drained(connection: socket.socket) -> bool:
    """Read until the end; a reset is one."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def opened(server: TlsServer) -> int:
    """How many connections the server counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(server.files.ca))
        _, body = fetch(server.url, "/metrics", {}, 30.0, 10_000_000)
    lines = [line for line in body.decode().splitlines() if line.startswith("runstream_connections{")]
    assert len(lines) == 3
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


async def test_processes_of_a_cluster_serve_with_tls(files: Certificates) -> None:
    """Gateways, workers and query servers share what opens their port."""
    settings = RoleSettings.from_environment(
        {
            "RUNSTREAM_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "RUNSTREAM_CLICKHOUSE_URL": "http://127.0.0.1:1",
            "RUNSTREAM_ASSETS": "assets",
            "RUNSTREAM_TLS_CERT": str(files.certificate),
            "RUNSTREAM_TLS_KEY": str(files.key),
        }
    )
    app, registry = application(settings, {})
    urls: list[str] = []
    context = ssl.create_default_context(cafile=files.ca)
    async with listening(app, registry, settings, urls.append), aiohttp.ClientSession() as client:
        assert urls[0].startswith("https://127.0.0.1:")
        async with client.get(urls[0] + "/healthz", ssl=context) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.get(urls[0] + "/healthz")
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(urls[0].replace("https", "http") + "/healthz")


def test_files_that_do_not_belong_together_are_refused(files: Certificates, tmp_path: Path) -> None:
    other = Certificates.make(tmp_path / "other")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "rsa", "-in", files.key, "-aes256", "-passout", "pass:secret", "-out", locked],
        check=True,
        capture_output=True,
    )
    for key, told in ((other.key, "belonging"), (locked, "without a passphrase"), (tmp_path / "gone", "is no file")):
        with pytest.raises(InvalidCertificate, match=told):
            server_context(files.certificate, key)

"""Bodies that are made to cost: they are refused or taken in, and the loop serves others meanwhile. (About 15 s.)"""

import asyncio
import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit.comet.gateway import AT_MS, KEY, Log, Served, serving
from kit.servers.loop_clock import longest_callback, unit_s
from runstream.events.encoding import heartbeat
from runstream_ingest.gateway import GatewaySettings

COMMANDS = "ingest/v1/commands"
FRAMES = "ingest/v1/frames"
ASSET = "ingest/v1/assets/" + "a" * 64
METRICS = "clientlib/batch/logger/experiment/metric"
PARAMETERS = "clientlib/batch/logger/experiment/parameter"
REST = "api/rest/v2/write"
UPLOAD = f"{REST}/experiment/upload-asset?experimentKey={KEY}"
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
#: The longest that one callback may take, in units of `unit_s` (5 ms): the attacks took 1,000 and more.
UNITS = 30


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, Log()) as started:
        await started.begun()
        yield started


def of_key(**fields: Any) -> bytes:
    return json.dumps({"experimentKey": KEY, **fields}).encode()


def event(**fields: Any) -> bytes:
    return json.dumps({"key": "team/m" if "artifact_type" in fields else "run-1", "event": fields}).encode()


def values(item: dict[str, Any], count: int = 1) -> bytes:
    return of_key(values=[item] * count)


ZEROS = [0] * 49_000
LONG_INTEGER = values({"metricName": "x"}).replace(b'"x"', b'"x", "metricValue": ' + b"1" * 9_000_000)
MANY = of_key(values=[{"parameterName": str(i), "parameterValue": "y" * 1_000} for i in range(9_000)])
PACKAGES = of_key(installedPackages=[f"p{i}==1" for i in range(20_000)])
KEYS = of_key(targetProjectName="p", experimentKeys=[KEY] * 20_000)
VERSION = {"type": "artifact_version_logged.v1", "workspace": "team", "artifact_type": "model", "name": "m"}
ATTACKS: dict[str, tuple[str, bytes, set[int]]] = {
    "a list of zeros": (COMMANDS, b"[" + b"0," * 1_999_990 + b"0]", {413, 422}),
    "commands that are zeros": (COMMANDS, json.dumps({"commands": ZEROS}).encode(), {413, 422}),
    "many members": (COMMANDS, json.dumps({str(i): 0 for i in range(49_000)}).encode(), {422}),
    "tags that are zeros": (COMMANDS, event(type="tags_added.v1", tags=ZEROS), {422}),
    "names that are zeros": (COMMANDS, event(type="parameters_deleted.v1", names=ZEROS), {422}),
    "files that are empty": (COMMANDS, event(**VERSION, files=[{}] * 24_000), {422}),
    "labels that are zeros": (COMMANDS, event(**VERSION, tags=ZEROS), {422}),
    "parameters with long names": (
        COMMANDS,
        event(type="parameters_logged.v1", values={"x" * 501 + str(i): 1 for i in range(450)}),
        {422},
    ),
    "many parameters": (COMMANDS, event(type="parameters_logged.v1", values={str(i): 1 for i in range(49_000)}), {413}),
    "brackets": (COMMANDS, b"[" * 2_000_000 + b"]" * 2_000_000, {400, 413}),
    "escapes": (COMMANDS, b'"' + b"\\\\" * 1_999_990 + b'"', {422}),
    "values that are zeros": (METRICS, of_key(values=[]).replace(b"[]", b"[" + b"0," * 7_900_000 + b"0]"), {413}),
    "values that are empty": (METRICS, values({}, 9_900), {200}),
    "many values": (METRICS, values({"metricName": "x", "metricValue": 1}, 10_001), {413}),
    "long texts": (METRICS, values({"metricName": "x", "metricValue": "y" * 1_500}, 9_000), {200}),
    "a long name": (METRICS, values({"metricName": "x" * 15_000_000, "metricValue": 1}), {200}),
    "a long integer": (METRICS, LONG_INTEGER, {200}),
    "a nested parameter": (PARAMETERS, values({"parameterName": "x", "parameterValue": ZEROS}), {200}),
    "many parameters of Comet": (PARAMETERS, MANY, {200}),
    "many tags": (f"{REST}/experiment/tags", of_key(addedTags=[str(i) for i in range(10_000)]), {200}),
    "too many tags": (f"{REST}/experiment/tags", of_key(addedTags=ZEROS[:20_000]), {413}),
    "output": (f"{REST}/experiment/output", of_key(outputLines=[{"output": "x" * 1_500}] * 9_000), {200}),
    "code": (f"{REST}/experiment/code", of_key(code="x" * 15_000_000), {200}),
    "packages": (f"{REST}/experiment/system-details", PACKAGES, {413}),
    "facts": (f"{REST}/experiment/system-details", of_key(**{f"f{i}": i for i in range(9_000)}), {200}),
    "processors": (f"{REST}/experiment/cpu-metrics", of_key(cpuPercentUtilization=ZEROS), {200}),
    "experiments to move": (f"{REST}/experiment/move", KEYS, {413}),
    "remote files": ("clientlib/asset/log-remote-model", of_key(modelName="m", remoteEntities=[{}] * 20_000), {413}),
    "parameters to delete": (
        f"{REST}/experiments/parameters/delete",
        json.dumps([{"experimentKey": f"{i:032d}", "parameterName": "x"} for i in range(9_000)]).encode(),
        {413},
    ),
    "metadata of the registry": (f"{REST}/registry-model/item/x/metadata", of_key(metadata=[{}] * 20_000), {413}),
    "a large body about a project": (f"{REST}/project/notes", of_key(projectId="p", notes="n" * 2_000_000), {413}),
    "heartbeats": (FRAMES, b"".join(heartbeat(f"{i:032x}", "run-1", 0) for i in range(5_000)), {200}),
    "too many heartbeats": (FRAMES, heartbeat("a" * 32, "run-1", 0) * 20_000, {413}),
    "parts": (
        UPLOAD,
        b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 200_000 + b"--B--\r\n",
        {400},
    ),
    "lines before a part": (UPLOAD, b"\n" * 15_000_000, {400}),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_body_keeps_the_loop_from_serving_others(served: Served, name: str) -> None:
    path, body, statuses = ATTACKS[name]
    bound_s = UNITS * unit_s()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with longest_callback() as longest:
        headers = {"Content-Encoding": "gzip"} if len(body) > 1_000_000 else {}
        if "upload" in path:
            headers |= FORM
        packed = gzip.compress(body, 1, mtime=0) if "Content-Encoding" in headers else body
        longest.cpu_s = 0.0
        status, response = await asyncio.wait_for(served.send_with(headers, path, packed), 120)
    assert status in statuses, response
    assert status == 200 or 0 < len(response["detail"]) < 5_000
    assert longest.cpu_s < bound_s
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 400_000
    if status != 200:
        assert len(await served.log.read(0, 0, 1 << 30, 0.0)) == 1, "something was appended"


PACKED = gzip.compress(of_key(values=[{"metricName": "x", "metricValue": 1, "timestamp": AT_MS}]), mtime=0)
PLAIN = gzip.decompress(PACKED)


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (PLAIN, "identity", 200),
        (PACKED, "gzip", 200),
        (PACKED, "X-GZIP", 200),
        (gzip.compress(PLAIN[:9], mtime=0) + gzip.compress(PLAIN[9:], mtime=0), "gzip", 200),
        (zlib.compress(PLAIN), "deflate", 200),
        (zlib.compress(PLAIN)[2:-4], "deflate", 200),
        (PACKED, "br", 415),
        (PACKED, "zstd", 415),
        (PACKED, "gzip, gzip", 415),
        (PACKED, "no such thing", 415),
        (PACKED[:-1], "gzip", 400),
        (PACKED[:-9], "gzip", 400),
        (PACKED[:5], "gzip", 400),
        (PACKED[:20] + b"\xff" * 10 + PACKED[30:], "gzip", 400),
        (PACKED + b"garbage", "gzip", 400),
        (PACKED + b"\x00" * 512, "gzip", 400),
        (PACKED + gzip.compress(b"", mtime=0)[:-1], "gzip", 400),
        (gzip.compress(b"", mtime=0) * 1_000, "gzip", 400),
        (zlib.compress(PLAIN) + b"x", "deflate", 400),
        (PLAIN, "gzip", 400),
        (b"", "gzip", 400),
        (gzip.compress(bytes(200_000_000), 1, mtime=0), "gzip", 413),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [METRICS, COMMANDS, FRAMES, ASSET, UPLOAD])
async def test_a_body_is_unpacked_as_it_says_or_refused(
    served: Served, path: str, body: bytes, coding: str, status: int
) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = {"Content-Encoding": coding} | (FORM if "upload" in path else {})
    if status == 413 and ("upload" in path or path == ASSET):
        return  # files may be as large
    async with (
        served.client.post(f"{served.url}/{path}", data=body, headers=headers)
        if path != ASSET
        else (served.client.put(f"{served.url}/{path}", data=body, headers=headers)) as response
    ):
        if status == 200:
            # Unpacked, it is what that route refuses for another reason.
            assert response.status in ({METRICS: {200}, ASSET: {422}}.get(path, {400, 422}))
            assert "unpacked" not in await response.text()
        else:
            assert response.status == status, await response.text()
            assert response.content_type == "application/problem+json"
            assert (response.status == 415) == ("gzip" in response.headers.get("Accept-Encoding", ""))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000
    assert [path for path in Path(served.folder, "assets").rglob("*") if path.is_file()] == []


SLOW = GatewaySettings(body_silence_s=0.5, min_body_bytes_per_s=1_000, body_window_s=0.6)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", FRAMES),
        ("POST", COMMANDS),
        ("POST", METRICS),
        ("PUT", ASSET),
        ("POST", UPLOAD),
    ],
)
@pytest.mark.parametrize("pause_s", [0.1, 60.0])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_that_trickles_or_stops_is_ended(
    tmp_path: Path, method: str, path: str, pause_s: float, is_chunked: bool
) -> None:
    async with serving(tmp_path, Log(), SLOW) as served:
        await served.begun()
        host, _, port = served.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        length = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 100000"
        head = (
            f"{method} /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n{length}\r\n\r\n"
        )
        writer.write(head.encode())
        begin = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + bytes(100)
        writer.write(b"%x\r\n%b\r\n" % (len(begin), begin) if is_chunked else begin)
        sending = asyncio.create_task(trickle(writer, b"1\r\nx\r\n" if is_chunked else b"x", pause_s))
        response = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        assert response.startswith(b"HTTP/1.1 408")
        sending.cancel()
        writer.close()
        assert list((tmp_path / "assets" / "incoming").iterdir()) == []
        assert len(await served.log.read(0, 0, 1 << 30, 0.0)) == 1


async def trickle(writer: asyncio.StreamWriter, data: bytes, pause_s: float) -> None:
    while True:
        await asyncio.sleep(pause_s)
        writer.write(data)


async def test_a_body_at_the_least_rate_is_taken(tmp_path: Path) -> None:
    settings = GatewaySettings(body_silence_s=5.0, min_body_bytes_per_s=100, body_window_s=0.2)

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(PLAIN), 20):
            yield PLAIN[at : at + 20]
            await asyncio.sleep(0.02)

    async with serving(tmp_path, Log(), settings) as served:
        await served.begun()
        async with served.client.post(f"{served.url}/{METRICS}", data=slowly()) as response:
            assert response.status == 200

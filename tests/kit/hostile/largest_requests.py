"""For each route of the embedded server: the largest requests that it takes, or that it has to refuse cheaply.

A route that stands in no table here is missing in the test of stalls: add what its largest request is.
"""

import dataclasses
import functools
import gzip
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from runstream.events import encoding
from runstream.events.control import RunStarted, encode_event
from runstream.events.limits import MAX_FRAME_BYTES
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.comet.paths import LIVE_ROOTS, ROOTS
from runstream_query.filters.checks import MAX_FILTER_CHARS
from runstream_query.settings import QuerySettings

RUN: Final = "largest-run"
GATEWAY: Final = GatewaySettings()
QUERY: Final = QuerySettings()
JSON: Final = {"Content-Type": "application/json"}
GZIP: Final = JSON | {"Content-Encoding": "gzip"}
_ROOTS: Final = tuple(sorted({*ROOTS, *LIVE_ROOTS, "/api/rest/v2", "/clientlib/rest/v2"}, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a route."""

    name: str
    query: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Maker = Callable[[], Iterator[Sent]]


def route_key(method: str, canonical: str) -> str:
    """The name of a route here: roots below which the same handlers stand are left out."""
    for root in _ROOTS:
        if canonical.startswith(f"{root}/") and not canonical.startswith(("/api/v1", "/ingest")):
            return f"{method} {canonical.removeprefix(root)}"
    return f"{method} {canonical}"


def queried(**parameters: str) -> Maker:
    """No body. A query string as long as a request's line may be, of a parameter of this route."""

    def make() -> Iterator[Sent]:
        plain = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        yield Sent("plain", plain)
        name = next(iter(parameters), "x")
        yield Sent("long", f"{name}={'a' * 100_000}")
        yield Sent("many", "&".join(f"{name}{number}=1" for number in range(8_000)))

    return make


def document(limit_bytes: int, item: Any = None, at: str = "values", **fields: Any) -> Maker:
    """JSON up to the limit: the route's own fields with a list of items `at`; and documents that are small when they
    are packed and cost much to look at."""

    def make() -> Iterator[Sent]:
        yield Sent("zeros", body=_zeros(limit_bytes), headers=GZIP)
        objects = b"[" + b"{}," * ((limit_bytes - 4) // 3) + b"{}]"
        wrapped = json.dumps(fields)[:-1].encode() + b', "%b": %b}' % (
            at.encode(),
            objects[: limit_bytes // 2] + b"{}]",
        )
        yield Sent("objects", body=gzip.compress(wrapped, 1), headers=GZIP)
        yield Sent("deep", body=b"[" * (limit_bytes // 4), headers=JSON)
        if item is not None:
            encoded = json.dumps(item).encode()
            count = (limit_bytes - 1000) // (len(encoded) + 1)
            whole = json.dumps({**fields, at: None})[:-5].encode() + b"[" + b",".join([encoded] * count) + b"]}"
            yield Sent("own", body=whole, headers=JSON)
        elif fields:
            yield Sent("own", body=json.dumps(fields).encode(), headers=JSON)

    return make


@functools.cache
def _zeros(limit_bytes: int) -> bytes:
    return gzip.compress(b"[" + b"0," * ((limit_bytes - 3) // 2) + b"0]", 1)


def comet(item: Any = None, at: str = "values", /, **fields: Any) -> Maker:
    return document(GATEWAY.max_commands_bytes, item, at, experimentKey=RUN, **fields)


def mlaide(**fields: Any) -> Maker:
    return document(GATEWAY.max_commands_bytes, **fields)


def sagemaker() -> Maker:
    parameters = {f"p{number}": {"NumberValue": 1} for number in range(10_000)}
    artifacts = {f"a{number}": {"Value": "x" * 2_048} for number in range(60)}
    update = document(
        GATEWAY.max_commands_bytes,
        TrialComponentName=RUN,
        Parameters=parameters,
        InputArtifacts=artifacts,
        OutputArtifacts=artifacts,
    )
    filters = {"Filters": [{"Name": f"Parameters.p{number}", "Value": "1"} for number in range(20)]}
    expression = {"SubExpressions": [{"SubExpressions": [filters] * 20}] * 20}
    search = document(GATEWAY.max_commands_bytes, Resource="ExperimentTrialComponent", SearchExpression=expression)

    def make() -> Iterator[Sent]:
        yield from document(GATEWAY.max_commands_bytes, TrialComponentName=RUN)()
        for sent in update():
            headers = {**sent.headers, "X-Amz-Target": "SageMaker.UpdateTrialComponent"}
            yield dataclasses.replace(sent, name=f"update: {sent.name}", headers=headers)
        for sent in search():
            headers = {**sent.headers, "X-Amz-Target": "SageMaker.Search"}
            yield dataclasses.replace(sent, name=f"search: {sent.name}", headers=headers)

    return make


def xml_document(name: str, inside: str, query: str = "") -> Maker:
    """XML with many elements, with elements in elements, and with entities that would be large."""

    def make() -> Iterator[Sent]:
        for kind, many in (("many", inside * 100_000), ("deep", "<a>" * 500_000), ("text", "x" * 3_900_000)):
            yield Sent(kind, query, f"<{name}>{many}</{name}>".encode())
        yield Sent("entities", query, f'<!DOCTYPE d [<!ENTITY a "{"x" * 100_000}">]><{name}>&a;</{name}>'.encode())

    return make


def stored() -> Iterator[Sent]:
    """Bytes, and bytes in chunks that are as small as they may be, and smaller."""
    yield Sent("bytes", body=bytes(16_000_000))
    for size in (8_192, 1):
        framed = b"%x\r\n%b\r\n" % (size, bytes(size)) * (8_000_000 // (size + 8)) + b"0\r\n\r\n"
        headers = {
            "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "X-Amz-Decoded-Content-Length": str(8_000_000 // (size + 8) * size),
        }
        yield Sent(f"chunks of {size}", body=framed, headers=headers)


def multipart(query: str = "type=asset&fileName=f") -> Maker:
    def make() -> Iterator[Sent]:
        boundary = b"b0undary"
        headers = {"Content-Type": "multipart/form-data; boundary=b0undary"}
        empty = b'--%b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' % boundary
        filed = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' % boundary
        end = b"--%b--\r\n" % boundary
        with_key = f"experimentKey={RUN}&{query}"
        yield Sent("file", with_key, filed + bytes(8_000_000) + b"\r\n" + end, headers)
        yield Sent("parts", with_key, empty * 50_000 + end, headers)
        yield Sent("lines", with_key, filed + b"\r\n" * 2_000_000 + b"\r\n" + end, headers)
        yield Sent("no end", with_key, b"--" * 2_000_000, headers)

    return make


def _frames() -> Iterator[Sent]:
    headers = {"Content-Type": "application/vnd.runstream.frames"}
    started = RunStarted(at_us=1, workspace="default", project="p")
    events = encoding.encode_events([(0, encode_event(started))])
    small = b"".join(
        encoding.encode_frame(f"{number:032x}", f"run-{number}", 0, 1, events)
        for number in range(GATEWAY.max_frames_per_request)
    )
    yield Sent("many", body=small, headers=headers)
    rows = (MAX_FRAME_BYTES - 10_000) // 24
    packed = b"".join(struct.pack("<qqd", row, row * 1_000_003 % (1 << 60), row / 7) for row in range(rows))
    large = b"".join(
        encoding.encode_frame(
            "e" * 32, RUN, number * rows, (number + 1) * rows, b"", [encoding.encode_rows(b"m", rows, packed, 0)]
        )
        for number in range(GATEWAY.max_request_bytes // MAX_FRAME_BYTES)
    )
    yield Sent("large", body=large[: GATEWAY.max_request_bytes], headers=headers)


def _commands() -> Iterator[Sent]:
    event = {"key": RUN, "event": {"type": "tags_added.v1", "tags": ["t"]}}
    yield Sent("most", body=json.dumps({"commands": [event] * GATEWAY.max_commands_per_request}).encode(), headers=JSON)
    yield from document(GATEWAY.max_commands_bytes, event, "commands")()
    nested = {"key": RUN, "event": {"type": "tags_added.v1", "tags": [0] * 2_000_000}}
    yield Sent("wrong", body=gzip.compress(json.dumps(nested).encode()[: GATEWAY.max_commands_bytes], 1), headers=GZIP)


def _asset() -> Iterator[Sent]:
    yield Sent("bytes", body=bytes(16_000_000), headers={"Content-Type": "application/octet-stream"})


def api(item: Any = None, at: str = "runs", **fields: Any) -> Maker:
    return document(QUERY.max_body_bytes, item, at, **fields)


_METRIC: Final = {"metricName": "loss", "metricValue": 0.5, "step": 1, "timestamp": 1_700_000_000_000}
_PARAMETER: Final = {"parameterName": "lr", "parameterValue": "0.1", "timestamp": 1_700_000_000_000}
_NO_QUERY: Final = queried()
_OF: Final = queried(experimentKey=RUN)
_MODEL: Final = queried(workspaceName="default", modelName="m", registryModelItemId="i")
_FILTER: Final = " and ".join(["metric.loss < 1"] * (MAX_FILTER_CHARS // 20))
_COLUMNS: Final = ",".join(f"metric.loss_{number}" for number in range(500))
_METRICS: Final = [f"loss_{number}/*" for number in range(1000)]
#: Of Comet's client: `Metric("loss") < 1`.
_PREDICATE: Final = {
    "source": "metrics",
    "query": {"field": "loss", "value": 1, "operator": "less", "type": "double", "id": "loss"},
}
_RULE: Final = {"field": "loss", "value": 1, "operator": "less", "type": "double", "id": "loss", "source": "metrics"}

_MLAIDE: Final = "/mlaide/api/v1/projects"
_BUCKET: Final = "/sagemaker/{bucket}"
_MLAIDE_PROJECT: Final = f"{_MLAIDE}/{{project_key}}"
_MLAIDE_VERSION: Final = f"{_MLAIDE_PROJECT}/artifacts/{{artifact_name}}/{{artifact_version}}"


def _browsed() -> Iterator[Sent]:
    """No body. Headers as long as they may be, of which the page reads what a browser takes."""
    yield Sent("plain", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    for name in ("Accept", "Accept-Encoding", "If-None-Match"):
        for text in ('a;q="', ",", ";", '"a",'):
            yield Sent(f"{name} of {text}", headers={"Accept": "text/html", name: text * (8_000 // len(text))})
    yield Sent("long", f"filter={'a' * 100_000}")


_PAGE: Final = "/{workspace}/{project}"
_PAGES: Final = ("/", "/{workspace}", "/{workspace}/", _PAGE, f"{_PAGE}/", f"{_PAGE}/-/{{view}}", "/-/{view}")
_PAGES_OF_RUNS: Final = (f"{_PAGE}/{{run}}", f"{_PAGE}/archive/{{run}}", "/-/static/{name}")

#: By `route_key`.
LARGEST: Final[dict[str, Maker]] = {
    **{f"{method} {path}": _browsed for path in (*_PAGES, *_PAGES_OF_RUNS) for method in ("GET", "HEAD")},
    **dict.fromkeys(("GET /healthz", "GET /readyz", "GET /metrics", "GET /api/v1/server"), _NO_QUERY),
    "GET /api/v1/server/settings": _NO_QUERY,
    "POST /api/v1/server/rebuild": api(purpose="compare"),
    **dict.fromkeys(("HEAD /healthz", "HEAD /readyz", "HEAD /metrics", "HEAD /api/v1/server"), _NO_QUERY),
    "POST /ingest/v1/frames": _frames,
    "POST /ingest/v1/commands": _commands,
    "HEAD /ingest/v1/assets/{sha256}": _NO_QUERY,
    "PUT /ingest/v1/assets/{sha256}": _asset,
    # Comet's live experiments
    "POST /logger/add/run": comet(),
    "POST /logger/get/run": comet(previousExperiment=RUN),
    "POST /status-report/update": comet(runId="0" * 32, is_alive=True),
    "POST /status-report/offline-metadata": comet(startTimestamp=1, endTimestamp=2),
    "POST /batch/logger/experiment/metric": comet(_METRIC),
    "POST /batch/logger/experiment/parameter": comet(_PARAMETER),
    "POST /tags/add-tags-to-experiment": comet("tag", "addedTags"),
    "POST /asset/3d-limits": comet(),
    "POST /notification/experiment": comet(),
    "POST /notify/event": comet(),
    "GET /health/ping": _NO_QUERY,
    **dict.fromkeys(
        ("POST /asset/upload", "POST /visualizations/upload", "POST /git-patch/upload", "POST /asset/asset-item"),
        multipart(),
    ),
    "PUT /asset/{asset}/thumbnail": multipart(),
    "POST /asset": comet(name="a"),
    "POST /asset/log-remote-model": comet({"uri": "s3://b/k"}, "assets", modelName="m"),
    "GET /symlink/new": queried(experimentKey=RUN, projectName="p"),
    # Comet's REST methods that write
    "POST /write/experiment/create": comet(workspaceName="default", projectName="p"),
    "GET /write/experiment/set-status": _OF,
    "POST /write/experiment/metric": comet(**_METRIC),
    "POST /write/experiment/cpu-metrics": comet(0.5, "cpuPercentUtilization"),
    "POST /write/experiment/gpu-metrics": comet({"gpuId": 1, "usedMemory": 5}, "gpus"),
    "POST /write/experiment/ram-metrics": comet(totalRam=5, usedRam=1),
    "POST /write/experiment/load-metrics": comet(loadAverage=1),
    "POST /write/experiment/parameter": comet(0, "parameterValue", parameterName="p"),
    "POST /write/experiment/parameter/delete": comet(parameterName="p"),
    "POST /write/experiments/parameters/delete": comet({"experimentKey": RUN, "parameterName": "p"}, "items"),
    "POST /write/experiment/log-other": comet(0, "value", key="k"),
    "POST /write/experiment/tags": comet("tag", "addedTags"),
    "POST /write/experiment/tags/delete": comet("tag", "tags"),
    "POST /write/experiment/output": comet({"output": "line", "offset": 1}, "outputLines"),
    "POST /write/experiment/file-path": comet(filePath="x" * 100_000),
    "POST /write/experiment/system-details": comet("numpy==1.0", "installedPackages"),
    "POST /write/experiment/cloud-details": comet(0, "metadata", provider="aws"),
    "PUT /write/experiment/dependencies": comet({"name": "numpy", "version": "1"}, "logDependencies"),
    "POST /write/experiment/git/metadata": comet(0, "user", branch="b"),
    "POST /write/experiment/set-start-end-time": comet(startTimeMillis=1),
    "POST /write/experiment/update-status": comet(0, "error", isAlive=True),
    **dict.fromkeys(
        (
            *("GET /write/experiment/archive", "GET /write/experiment/restore", "GET /write/experiment/stop"),
            "GET /write/experiment/asset/delete",
        ),
        _OF,
    ),
    "GET /write/experiment/delete": queried(experimentKey="another-run"),
    "POST /write/experiment/move": comet(RUN, "experimentKeys", targetProjectName="q"),
    "GET /write/project/symlink": queried(experimentKey=RUN, projectName="p"),
    "POST /write/experiment/upload-asset": multipart(),
    "POST /write/experiment/git/patch": multipart(),
    "POST /write/experiment/html": comet(0, "html"),
    "POST /write/experiment/code": comet(0, "code"),
    "POST /write/experiment/graph": comet(0, "graph"),
    "POST /write/project/create": comet(workspaceName="default", projectName="new", projectDescription="x" * 100_000),
    "POST /write/project/update": comet(projectId="p", newProjectName="n"),
    "POST /write/project/delete": comet(projectId="p"),
    "POST /write/project/notes": comet(0, "notes", projectId="p"),
    # Comet's artifacts
    "POST /write/artifacts/upsert": comet("tag", "versionTags", artifactName="a", artifactType="t"),
    "POST /write/artifacts/state": comet(artifactVersionId="i", state="CLOSED"),
    "POST /write/artifact/assets/remote/batch": comet(
        {"artifactVersionId": "i", "link": "s3://x/y"}, "remoteArtifactAssetRequests"
    ),
    "POST /write/artifacts/version/labels": comet("tag", "versionTags", artifactVersionId="i"),
    "POST /write/artifacts/details": comet("tag", "tags", artifactId="i"),
    **dict.fromkeys(
        (
            *(f"GET /artifacts/{what}" for what in ("get", "get-all", "version", "version/files")),
            "GET /get/artifacts",
        ),
        queried(experimentKey=RUN, artifactName="a", artifactId="i", artifactVersionId="i", workspace="default"),
    ),
    # Comet's model registry
    "POST /write/registry-model/item/create": comet("stage", "stages", experimentModelName="m", version="1.0.0"),
    "POST /write/registry-model": comet("stage", "stages", experimentModelName="m", version="1.0.0"),
    "POST /write/registry-model/item": comet("stage", "stages", experimentModelName="m", version="1.0.0"),
    "POST /write/registry-model/update": comet(registryModelId="i", description="x" * 100_000),
    "POST /write/registry-model/notes": comet(0, "notes", workspaceName="default", modelName="m"),
    "POST /write/registry-model/item/update": comet("stage", "stages", registryModelItemId="i"),
    "POST /write/registry-model/item/status": comet(registryModelItemId="i", status="Production"),
    "POST /write/registry-model/item/{item}/metadata": comet(0, "metadata"),
    "POST /write/registry-model/item/{item}/status-configuration": comet("s", "values"),
    **dict.fromkeys(
        (
            *("GET /write/registry-model/delete", "GET /write/registry-model/item/stage"),
            *("GET /write/registry-model/item/stage/delete", "GET /write/registry-model/item/delete"),
        ),
        _MODEL,
    ),
    # Reads
    "GET /api/v1/workspaces": _NO_QUERY,
    "GET /api/v1/projects": queried(workspace="default"),
    "GET /api/v1/experiments": queried(workspace="default"),
    **dict.fromkeys(
        (
            *(f"GET /api/v1/runs/{{run}}/{what}" for what in ("parameters", "others", "environment", "summaries")),
            *(f"GET /api/v1/runs/{{run}}/{what}" for what in ("history", "assets", "output", "artifacts", "lineage")),
            *("GET /api/v1/runs/{run}", "GET /api/v1/runs/{run}/assets/{asset}", "GET /api/v1/clocks"),
        ),
        queried(),
    ),
    "POST /api/v1/summaries": api(runs=[RUN] * 1000, metrics=_METRICS),
    "GET /api/v1/runs": queried(filter=_FILTER[:100_000], columns=_COLUMNS),
    "POST /api/v1/runs/query": api(filter=_FILTER, columns=_COLUMNS),
    "POST /api/v1/series": api(runs=[RUN], metrics=_METRICS),
    "POST /api/v1/runs/fields": api(filter=_FILTER),
    "POST /api/v1/points": api(runs=[RUN], metrics=_METRICS, near=0, points=100),
    "POST /api/v1/charts": api(runs=[RUN], metrics=_METRICS),
    "POST /api/v1/charts/groups": api(runs=[RUN], metrics=_METRICS, group_by=["param.x", "tag", "group", "user"]),
    "GET /api/v1/runs/{run}/series": queried(metrics="*"),
    **dict.fromkeys(
        (
            *("GET /api/v1/artifacts", "GET /api/v1/artifacts/{artifact}"),
            *("GET /api/v1/artifacts/{artifact}/versions", "GET /api/v1/artifacts/{artifact}/versions/{ordinal}"),
            "GET /api/v1/artifacts/{artifact}/versions/{ordinal}/file",
            "GET /api/v1/artifacts/{artifact}/versions/{ordinal}/remarks",
            "GET /api/v1/artifacts/{artifact}/versions/{ordinal}/lineage",
        ),
        queried(name="n"),
    ),
    **dict.fromkeys(
        (f"GET /api/v1/runs/{{run}}/output/{what}" for what in ("lines", "writers")), queried(writer="0" * 16)
    ),
    "GET /api/v1/runs/{run}/output/search": queried(search="x" * 1_000, regex="true"),
    "POST /api/v1/tickets": api({"run": RUN, "asset": "a"}, "assets"),
    "GET /api/v1/tickets/{ticket}": _NO_QUERY,
    "GET /api/v1/live": queried(runs="r"),
    "POST /api/v1/live": api({"run": RUN, "metric": "loss", "width": 1}, "tails"),
    **dict.fromkeys(
        (
            "GET /api/v1/commands/{command}",
            "GET /api/v1/key",
            "GET /api/v1/openapi.json",
            "GET /api/v1/openapi/{protocol}.json",
        ),
        queried(key="k"),
    ),
    **dict.fromkeys(("GET /isAlive/ver", "GET /account-details", "GET /workspaces"), _NO_QUERY),
    "GET /optimizer/spec": queried(algorithmName="grid"),
    "GET /optimizer/algorithms": _NO_QUERY,
    **dict.fromkeys(("GET /optimizer/status", "GET /optimizer/next"), queried(id="0" * 32)),
    "POST /optimizer/create": mlaide(
        algorithm="grid",
        parameters={f"p{number}": {"type": "integer", "min": 0, "max": 9} for number in range(1_000)},
        spec={},
    ),
    "POST /optimizer/delete": mlaide(id="x" * 100_000),
    "POST /optimizer/update": mlaide(
        id="0" * 32, pid="0" * 32, trial=0, metadata=dict.fromkeys(map(str, range(10_000)), 1)
    ),
    **dict.fromkeys(
        ("GET /projects", "GET /project", "GET /project/notes", "GET /project/column-names", "GET /experiments"),
        queried(workspaceName="default", projectName="p", projectId="p"),
    ),
    "POST /project/query": api(_PREDICATE, "predicates", workspaceName="default", projectName="p"),
    "POST /experiments/search": api(projectId="p", rulesTree={"condition": "AND", "rules": [_RULE] * 10_000}),
    "POST /experiments/multi-metric-chart": api(targetedExperiments=[RUN] * 1000, metrics=_METRICS),
    **dict.fromkeys(
        (
            *(f"GET /experiment/{what}" for what in ("metadata", "tags", "parameters", "log-other", "model")),
            *(f"GET /experiment/{what}" for what in ("metrics/summary", "metrics/get-all", "asset/list", "html")),
            *(f"GET /experiment/{what}" for what in ("system-details", "git/metadata", "git/patch", "output")),
            *(f"GET /experiment/{what}" for what in ("code", "graph")),
        ),
        _OF,
    ),
    "GET /experiment/metrics/get-metric": queried(experimentKey=RUN, metricName="loss"),
    "GET /experiment/asset/get-by-name": queried(experimentKey=RUN, assetName="n"),
    "GET /experiment/asset/get-asset": queried(experimentKey=RUN, assetId="a"),
    "GET /experiment/model/asset/list": queried(experimentKey=RUN, modelName="m"),
    "GET /experiment/model/download": queried(experimentKey=RUN, modelName="m"),
    **dict.fromkeys(
        (
            *(f"GET /registry-model{what}" for what in ("", "/count", "/details", "/compact-details", "/notes")),
            *(f"GET /registry-model/{what}" for what in ("latest_version", "allowed_status_values", "items")),
            *(f"GET /registry-model/item/{what}" for what in ("details", "download", "download-instructions")),
            *(f"GET /registry-model/item/{{item}}/{what}" for what in ("metadata", "status-configuration")),
        ),
        _MODEL,
    ),
    "POST /registry-model/history/item": api("i", "registryModelItemIds"),
    # Saved views
    "GET /api/v1/views": queried(project="p"),
    "GET /api/v1/views/{workspace}/{project}/{name}": _NO_QUERY,
    "PUT /api/v1/views/{workspace}/{project}/{name}": mlaide(
        view={f"panel {number}": [{"metrics": ["loss"] * 10}] * 100 for number in range(300)}
    ),
    "DELETE /api/v1/views/{workspace}/{project}/{name}": mlaide(revision=1),
    # Panels
    "GET /api/v1/panels": queried(project="p"),
    "GET /api/v1/panels/server": _NO_QUERY,
    "GET /api/v1/panels/kept/{workspace}/{project}/{name}": queried(version="1"),
    "POST /api/v1/panels/kept/{workspace}/{project}/{name}": mlaide(source="x = [" + "1, " * 160_000 + "]"),
    "POST /api/v1/panels/frames": mlaide(
        project="p", panel="largest", context={"experiment_colors": {f"{n:032x}": "#123456" for n in range(20_000)}}
    ),
    "POST /api/v1/panels/previews": mlaide(project="p", source="(" * 400_000),
    **dict.fromkeys((f"{method} /api/v1/panels/frames/{{frame}}" for method in ("GET", "DELETE")), _NO_QUERY),
    "PUT /api/v1/panels/frames/{frame}": mlaide(options={f"option {n}": ["x"] * 100 for n in range(1_000)}),
    "GET /-/panels/static/{name}": _NO_QUERY,
    **dict.fromkeys(
        (f"{method} /-/panels/{{frame}}/{{token}}/{{rest}}" for method in ("GET", "HEAD", "POST", "PUT", "DELETE")),
        _NO_QUERY,
    ),
    "OPTIONS /-/panels/{frame}/{token}/{rest}": _NO_QUERY,
    # Sweeps
    "POST /api/v1/sweeps": mlaide(
        project="p",
        name="largest",
        config={"space": {f"p{number}": list(range(100)) for number in range(1_000)}, "metric": "loss"},
    ),
    "POST /api/v1/sweeps/trials": mlaide(project="p", name="s", token="x" * 100_000),
    "POST /api/v1/sweeps/delete": mlaide(project="p", name="x" * 100_000),
    "GET /api/v1/sweeps": queried(project="p"),
    "GET /api/v1/sweeps/trials": queried(project="p", name="s"),
    "GET /api/v1/sweeps/stop": queried(project="p", name="s", number="0", run="r"),
    # Bender
    "POST /bender/login/": mlaide(email="a@example.org", password="x" * 100_000),
    "POST /bender/api/experiments/": document(
        GATEWAY.max_commands_bytes, {"metric_name": "loss", "type": "loss"}, "metrics", name="e"
    ),
    "POST /bender/api/algos/": document(
        GATEWAY.max_commands_bytes, {"name": "x"}, "parameters", name="a", experiment="e" * 32
    ),
    "POST /bender/api/algos/{algo}/suggest/": mlaide(metric="x" * 100_000),
    "POST /bender/api/trials/": mlaide(algo="a" * 32, parameters=dict.fromkeys(map(str, range(10_000)), 1)),
    **dict.fromkeys(
        (
            "GET /bender/user/",
            *(f"{method} /bender/api/experiments/{{experiment}}/" for method in ("GET", "DELETE")),
            *(f"{method} /bender/api/algos/{{algo}}/" for method in ("GET", "DELETE")),
            "DELETE /bender/api/trials/{trial}/",
        ),
        _NO_QUERY,
    ),
    "GET /bender/api/experiments/": queried(name="e"),
    "GET /bender/api/algos/": queried(experiment="e" * 32),
    "GET /bender/api/trials/": queried(algo="a" * 32, limit="1000"),
    # ML Aide
    f"POST {_MLAIDE}": mlaide(key="new", name="x" * 100_000),
    f"POST {_MLAIDE_PROJECT}/experiments": mlaide(key="e"),
    f"POST {_MLAIDE_PROJECT}/runs": mlaide(parameters=dict.fromkeys(map(str, range(10_000)), 1)),
    f"PATCH {_MLAIDE_PROJECT}/runs/{{run_key}}": mlaide(status="RUNNING", name="x" * 100_000),
    f"PATCH {_MLAIDE_PROJECT}/runs/{{run_key}}/metrics": mlaide(**dict.fromkeys(map(str, range(10_000)), 0.5)),
    f"PATCH {_MLAIDE_PROJECT}/runs/{{run_key}}/parameters": mlaide(**dict.fromkeys(map(str, range(10_000)), "x")),
    **dict.fromkeys(
        (
            f"GET {_MLAIDE}",
            *(f"GET {_MLAIDE_PROJECT}{what}" for what in ("", "/experiments", "/experiments/{experiment_key}")),
            f"GET {_MLAIDE_PROJECT}/runs/{{run_key}}",
            *(f"GET {_MLAIDE_VERSION}{what}" for what in ("", "/files", "/files/{file_id}")),
        ),
        _NO_QUERY,
    ),
    f"GET {_MLAIDE_PROJECT}/artifacts": queried(isModel="true", runKeys=",".join(map(str, range(1, 1_000)))),
    f"POST {_MLAIDE_PROJECT}/artifacts": mlaide(
        name="a", type="t", metadata=dict.fromkeys(map(str, range(10_000)), "x")
    ),
    f"POST {_MLAIDE_VERSION}/files": multipart(),
    f"PUT {_MLAIDE_VERSION}/model": mlaide(stage="STAGING", note="x" * 100_000),
    # SageMaker: without a header that says what it does, and as the largest of its operations.
    "POST /sagemaker": sagemaker(),
    "PUT /sagemaker/BatchPutMetrics": document(
        GATEWAY.max_commands_bytes,
        {"MetricName": "loss", "Timestamp": 1_700_000_000, "Value": 0.5, "Step": 1},
        "MetricData",
        TrialComponentName=RUN,
    ),
    # SageMaker's files: bodies are of any size; documents list as much as they may.
    **dict.fromkeys(("GET /sagemaker", "GET /sagemaker/"), _NO_QUERY),
    **dict.fromkeys((f"{method} {_BUCKET}" for method in ("HEAD", "DELETE")), _NO_QUERY),
    f"GET {_BUCKET}": queried(prefix="a" * 1_000),
    f"PUT {_BUCKET}": xml_document("CreateBucketConfiguration", "<a/>"),
    f"POST {_BUCKET}": xml_document("Delete", "<Object><Key>k</Key></Object>", "delete"),
    **dict.fromkeys((f"{method} {_BUCKET}/{{key}}" for method in ("GET", "HEAD", "DELETE")), _NO_QUERY),
    f"PUT {_BUCKET}/{{key}}": stored,
    f"POST {_BUCKET}/{{key}}": xml_document("CompleteMultipartUpload", "<Part/>", "uploadId=x"),
    f"GET {_MLAIDE_PROJECT}/runs": queried(runKeys=",".join(map(str, range(1, 1_000)))),
}

"""What was captured of an experiment's surroundings: system, git, output; and what only Comet's own client writes."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiohttp import web

from runstream_query.comet.answers import (
    CometCode,
    CometGit,
    CometGpu,
    CometGraph,
    CometHtml,
    CometMessage,
    CometOutput,
    CometSystem,
)
from runstream_query.comet.asked import AskedOfExperiment
from runstream_query.comet.files import assets_of
from runstream_query.comet.runs import require_row
from runstream_query.comet.streaming import stream_json
from runstream_query.http.context import Context
from runstream_query.sql.parameters import Parameters

#: How the SDK names its system metrics, and the asset with what was changed since the commit.
SYSTEM_METRICS: Final = "system/"
DIFF_NAME: Final = "git.diff"
#: The name of the one file in the archive that the client is given.
PATCH_NAME: Final = "git_diff.patch"
#: Pieces of what was printed that one statement reads: mostly lines.
_OUTPUT_PIECES: Final = 10_000
_PACKAGES: Final = "packages."
_GPU: Final = "gpu.gpu"


async def system(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometSystem:
    await require_row(context, asked.experiment_key)
    facts = await _environment(context, asked.experiment_key)
    parameters = Parameters()
    sql = (
        f"SELECT DISTINCT metric FROM summary_states WHERE run = {parameters.text(asked.experiment_key)} AND "
        f"startsWith(metric, {parameters.text(SYSTEM_METRICS)}) ORDER BY metric"
    )
    metrics = [row["metric"] for row in await context.rows(sql, parameters)]
    packages = {name: facts[name] for name in facts if name.startswith(_PACKAGES)}
    version, implementation = _text(facts, "python.version"), _text(facts, "python.implementation")
    memory_bytes = facts.get("host.memory_bytes")
    return CometSystem(
        user=_text(facts, "host.user"),
        os=_text(facts, "host.system"),
        os_type=_text(facts, "host.system"),
        os_release=_text(facts, "host.release"),
        hostname=_text(facts, "host.hostname"),
        machine=_text(facts, "host.machine"),
        processor=_text(facts, "host.processor"),
        command=facts.get("command.argv"),
        executable=_text(facts, "python.executable"),
        python_version=version,
        python_version_verbose=f"{version} ({implementation})" if version and implementation else version,
        installed_packages=[f"{name.removeprefix(_PACKAGES)}=={packages[name]}" for name in packages] or None,
        gpu_static_info_list=_gpus(facts),
        system_metric_names=metrics,
        max_total_memory=memory_bytes,
        total_ram=memory_bytes,
    )


async def _environment(context: Context, run: str) -> dict[str, Any]:
    """What was captured, by section and name (`host.user`), in the order of the names."""
    parameters = Parameters()
    sql = (
        f"SELECT name, value FROM attributes WHERE run = {parameters.text(run)} AND kind = 'environment' "
        "AND NOT deleted ORDER BY lower(name), name"
    )
    return {row["name"]: json.loads(row["value"]) for row in await context.rows(sql, parameters)}


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return None if value is None else str(value)


def _gpus(facts: Mapping[str, Any]) -> list[CometGpu]:
    found = [
        (int(name.removeprefix(_GPU)), fact)
        for name, fact in facts.items()
        if name.startswith(_GPU) and name.removeprefix(_GPU).isdecimal() and isinstance(fact, dict)
    ]
    return [
        CometGpu(gpu_index=index, name=str(fact.get("name", "")), total_memory=fact.get("memory_bytes"))
        for index, fact in sorted(found, key=lambda pair: pair[0])
    ]


async def git_metadata(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometGit:
    await require_row(context, asked.experiment_key)
    facts = await _environment(context, asked.experiment_key)
    return CometGit(
        user=_text(facts, "host.user") if "git.commit" in facts else None,
        root=_text(facts, "git.root"),
        branch=_text(facts, "git.branch"),
        parent=_text(facts, "git.commit"),
        origin=_text(facts, "git.remote"),
    )


async def git_patch(context: Context, request: web.Request, asked: AskedOfExperiment) -> web.Response | CometMessage:
    """A ZIP archive with what was changed since the commit; a message where nothing was, which the client knows."""
    found = [one for one in await assets_of(context, request, asked.experiment_key) if one.name == DIFF_NAME]
    if not found:
        return CometMessage(msg="this experiment has no git patch")
    stream = await context.assets.open(found[0].sha256)
    diff = b"".join([chunk async for chunk in stream.chunks])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(PATCH_NAME), diff)
    return web.Response(body=packed.getvalue(), headers={"Content-Type": "application/zip"})


async def output(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometOutput | web.StreamResponse:
    """What the run printed, to both streams, in the order (writer, its own order); null if it was not captured."""
    await require_row(context, asked.experiment_key)
    first = await _output_page(context, asked.experiment_key, None)
    if not first:
        return CometOutput(output=None)

    async def pieces() -> AsyncIterator[str]:
        page = first
        while page:
            yield json.dumps("".join(row["text"] for row in page), ensure_ascii=False)[1:-1]
            page = await _output_page(context, asked.experiment_key, (page[-1]["writer"], page[-1]["seq"]))

    return await stream_json(context, request, '{"output":"', pieces(), '"}')


async def _output_page(context: Context, run: str, after: tuple[int, int] | None) -> list[dict[str, Any]]:
    parameters = Parameters()
    behind = ""
    if after is not None:
        writer, seq = (parameters.bind(number, "UInt64") for number in after)
        behind = f" AND (writer, seq) > ({writer}, {seq})"
    sql = (
        f"SELECT writer, seq, text FROM output WHERE run = {parameters.text(run)}{behind} ORDER BY writer, seq "
        f"LIMIT {parameters.integer(_OUTPUT_PIECES)}"
    )
    return await context.rows(sql, parameters)


async def html(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometHtml:
    """Null: the SDK keeps no page of a run."""
    await require_row(context, asked.experiment_key)
    return CometHtml(html=None)


async def code(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometCode:
    """Null: the SDK keeps the commit and what was changed since, not a copy of the code."""
    await require_row(context, asked.experiment_key)
    return CometCode(code=None)


async def graph(context: Context, request: web.Request, asked: AskedOfExperiment) -> CometGraph:
    """Null: the SDK keeps no description of a model."""
    await require_row(context, asked.experiment_key)
    return CometGraph(graph=None)

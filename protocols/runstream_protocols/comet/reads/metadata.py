"""Metadata of an experiment's surroundings: system, git, output; and what only Comet's own client writes."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from runstream.events import roles
from runstream.events.names import SYSTEM_METRICS
from runstream_protocols.comet.conventions import ADDITIONAL, OVERRIDES, PACKAGES, SECTION
from runstream_protocols.comet.reads.files import files_of
from runstream_protocols.comet.reads.requests import ExperimentRequest
from runstream_protocols.comet.reads.responses import (
    CometCode,
    CometGit,
    CometGpu,
    CometGraph,
    CometHtml,
    CometMessage,
    CometOutput,
    CometSystem,
)
from runstream_protocols.comet.reads.runs import require_row
from runstream_protocols.kit.archives import stream_zip
from runstream_protocols.kit.streaming import json_text, stream_json, text_of
from runstream_query.http.context import Context
from runstream_query.http.files import send_file
from runstream_query.repositories.output import OutputPage
from runstream_query.responses import Asset
from runstream_service.disposition import FILE_POLICY, content_disposition

#: How the SDK names its system metrics, and the asset with what was changed since the commit.
DIFF_NAME: Final = "git.diff"
#: How Comet's client names them.
_COMETS_METRICS: Final = "sys."
#: The kind of assets that are programs.
SOURCE_CODE: Final = "source_code"
#: The name of the one file in the archive that the client is given.
PATCH_NAME: Final = "git_diff.patch"
#: Pieces of what was printed that one statement reads: mostly lines. Long ones end it earlier.
_OUTPUT_PIECES: Final = 10_000
_OUTPUT_BYTES: Final = 4_194_304
_GPU: Final = "gpu.gpu"


async def system(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometSystem:
    await require_row(context, parameters.experiment_key)
    facts = await _environment(context, parameters.experiment_key)
    metrics = await context.repositories.summaries.metrics_with_prefixes(
        context.scope, parameters.experiment_key, (SYSTEM_METRICS, _COMETS_METRICS)
    )
    logged = _of_section(facts, SECTION)
    packages = _of_section(facts, PACKAGES)
    additional = _of_section(facts, ADDITIONAL)
    version, implementation = _text(facts, "python.version"), _text(facts, "python.implementation")
    verbose = f"{version} ({implementation})" if version and implementation else version
    memory_bytes = facts.get("host.memory_bytes")
    return CometSystem(
        user=_text(facts, "host.user"),
        os=_text(facts, f"{SECTION}.os") or _text(facts, "host.system"),
        pid=logged.get("pid"),
        ip=_text(facts, f"{SECTION}.ip"),
        env=logged.get("env"),
        os_packages=logged.get("osPackages"),
        network_interface_ips=logged.get("networkInterfaceIps"),
        log_additional_system_info_list=[{"key": key, "value": value} for key, value in additional.items()],
        os_type=_text(facts, "host.system"),
        os_release=_text(facts, "host.release"),
        hostname=_text(facts, "host.hostname"),
        machine=_text(facts, "host.machine"),
        processor=_text(facts, "host.processor"),
        command=facts.get("command.argv"),
        executable=_text(facts, "python.executable"),
        python_version=version,
        python_version_verbose=_text(facts, f"{SECTION}.pythonVersionVerbose") or verbose,
        installed_packages=[name if of is None else f"{name}=={of}" for name, of in packages.items()] or None,
        gpu_static_info_list=logged.get("gpuStaticInfoList") or _gpus(facts),
        system_metric_names=metrics,
        max_total_memory=logged.get("maxTotalMemory", memory_bytes),
        total_ram=memory_bytes,
    )


def _of_section(facts: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Return the metadata of one section, by name."""
    begin = f"{section}."
    return {name.removeprefix(begin): fact for name, fact in facts.items() if name.startswith(begin)}


async def _environment(context: Context, run: str) -> dict[str, Any]:
    """Return the metadata, by section and name (`host.user`), in the order of the names."""
    found = await context.repositories.attributes.of_run(context.scope, run, "environment")

    def by_name() -> dict[str, Any]:
        # Without a look at case, as far as ASCII goes.
        in_order = sorted(found, key=lambda one: (one.name.encode().lower(), one.name.encode()))
        return {one.name: json.loads(one.value) for one in in_order}

    return await context.off_loop(by_name)


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


async def git_metadata(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometGit:
    await require_row(context, parameters.experiment_key)
    facts = await _environment(context, parameters.experiment_key)
    return CometGit(
        user=_text(facts, "git.user") or (_text(facts, "host.user") if "git.commit" in facts else None),
        root=_text(facts, "git.root"),
        branch=_text(facts, "git.branch"),
        parent=_text(facts, "git.commit"),
        origin=_text(facts, "git.remote"),
    )


#: The archive may be one that somebody sent.
_PATCH_HEADERS: Final = {
    "Content-Type": "application/zip",
    "Content-Disposition": content_disposition("git-patch.zip"),
    "Content-Security-Policy": FILE_POLICY,
}


async def git_patch(
    context: Context, request: web.Request, parameters: ExperimentRequest
) -> web.StreamResponse | CometMessage:
    """A ZIP archive with what was changed since the commit: the one that Comet's client made, or one of ours; a message
    where nothing was, which the client knows."""
    files = await files_of(context, request, parameters.experiment_key)
    made = _newest_with(roles.PATCH, files)
    if made:
        return await send_file(context, request, made[0].sha256, made[0].name, _PATCH_HEADERS)
    found = [one for one in files if one.name == DIFF_NAME]
    if not found:
        return CometMessage(msg="this experiment has no git patch")
    return await stream_zip(context, request, "git_diff.zip", [(PATCH_NAME, found[0].sha256, found[0].size_bytes)])


async def output(
    context: Context, request: web.Request, parameters: ExperimentRequest
) -> CometOutput | web.StreamResponse:
    """What the run printed, to both streams, in the order (writer, its own order); null if it was not captured."""
    run = parameters.experiment_key
    await require_row(context, run)

    async def page_behind(after: tuple[int, int] | None) -> OutputPage:
        return await context.repositories.output.page(
            context.scope, run, after=after, limit=_OUTPUT_PIECES, text_bytes=_OUTPUT_BYTES
        )

    first = await page_behind(None)
    if not first.pieces:
        return CometOutput(output=None)

    async def texts() -> AsyncIterator[str]:
        page = first
        while True:
            for piece in page.pieces:
                yield piece.text
            if not page.more:
                return
            page = await page_behind((page.pieces[-1].writer, page.pieces[-1].seq))

    return await stream_json(context, request, '{"output":"', json_text(texts()), '"}')


def _newest_with(role: str, files: Iterable[Asset]) -> list[Asset]:
    """Return the files with a role, the newest first."""
    return sorted((one for one in files if one.role == role), key=lambda one: (one.at, one.asset), reverse=True)


async def html(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometHtml | web.StreamResponse:
    """The pieces of the experiment's page since it was last begun anew, one behind the other; null without any."""
    files = await files_of(context, request, parameters.experiment_key)
    pieces = sorted((one for one in files if one.role == roles.PAGE), key=lambda one: (one.at, one.asset))
    begins = max((number for number, one in enumerate(pieces) if one.metadata.get(OVERRIDES)), default=0)
    if not pieces:
        return CometHtml(html=None)
    text = json_text(text_of(context, *(one.sha256 for one in pieces[begins:])))
    return await stream_json(context, request, '{"html":"', text, '"}')


async def code(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometCode | web.StreamResponse:
    """The text that somebody set, else the program that Comet's client sent when the experiment began; null without
    either: the SDK keeps the commit and what was changed since."""
    files = await files_of(context, request, parameters.experiment_key)
    sources = _newest_with(roles.CODE, files)
    sources += sorted((one for one in files if one.kind == SOURCE_CODE), key=lambda one: one.at)
    if not sources:
        return CometCode(code=None)
    return await stream_json(context, request, '{"code":"', json_text(text_of(context, sources[0].sha256)), '"}')


async def graph(
    context: Context, request: web.Request, parameters: ExperimentRequest
) -> CometGraph | web.StreamResponse:
    """The description of a model that somebody set; null without one."""
    found = _newest_with(roles.GRAPH, await files_of(context, request, parameters.experiment_key))
    if not found:
        return CometGraph(graph=None)
    return await stream_json(context, request, '{"graph":"', json_text(text_of(context, found[0].sha256)), '"}')

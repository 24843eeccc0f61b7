"""What the holder of a lease is given: what there is to execute, URLs of files, and the environment of the code."""

import re
from typing import Final

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.ubiops.agents.holding import HeldLease, parsed, require_lease, run_of, stale
from runstream_protocols.ubiops.agents.models import (
    FileRequest,
    Granted,
    Held,
    RunVariable,
    RunVariables,
    UrlOfFile,
)
from runstream_protocols.ubiops.found import EXPERIMENT
from runstream_protocols.ubiops.paths import VERSIONS
from runstream_protocols.ubiops.presets import DEFAULT_BUCKET, DEFAULT_TIMEOUT_S, INSTANCE_TYPE, memory_mb_of, python_of
from runstream_protocols.ubiops.projects import require_bucket
from runstream_protocols.ubiops.shown import FoundRun
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_protocols.ubiops.tickets import Ticket, url_of
from runstream_protocols.ubiops.variables import BUCKET_VARIABLE, opened, plain_value
from runstream_service.routing import Call

_SCHEME: Final = "ubiops-file://"
_NAME: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,255}\Z")


async def terms_of(side: UbiopsSide, held: HeldLease, found: FoundRun) -> Granted:
    """Return what the agent executes."""
    request = found.request or {}
    experiment = str(found.record.columns["experiment"])
    entity = await side.entities.find(held.place.pair, EXPERIMENT, experiment) if experiment else None
    properties = {} if entity is None else entity.properties
    environment = properties.get("environment")
    instance_type = str(properties.get("instance_type", INSTANCE_TYPE))
    return Granted(
        lease=held.entity.id,
        token=held.lease.token,
        ttl_s=held.lease.ttl_s,
        run=held.run,
        workspace=held.place.workspace,
        project=held.place.project,
        experiment=experiment,
        name=found.record.name,
        environment=environment,
        python=python_of(environment) if environment else None,
        instance_type=instance_type,
        memory_mb=memory_mb_of(instance_type),
        timeout_s=found.timeout_s or DEFAULT_TIMEOUT_S,
        parameters=request.get("parameters") or {},
        code=_name_in(str(request.get("training_code") or "")),
        data=_name_in(str(request["training_data"])) if request.get("training_data") else None,
    )


async def url(side: UbiopsSide, call: Call[object], payload: Payload) -> UrlOfFile:
    """Give the URL of the run's code or data, or of a file of its output, which is written once the run was started."""
    request = parsed(FileRequest, payload)
    held = await require_lease(side, call, request)
    if (request.read is None) is (request.write is None):
        raise Refused("read and write are both there, or both missing: give one of them")
    found = await run_of(side, held)
    if found is None:
        raise stale(held.run, "the run was deleted")
    if request.write is not None:
        if held.lease.state != "started":
            raise stale(held.run, "the run is not being executed: only then it has output")
        bucket, file = await output_file(side, held, str(found.record.columns["experiment"]), request.write)
        ticket = Ticket(held.place, bucket, file, writes=True)
        return UrlOfFile(url=await url_of(side, call, "uploads", ticket, VERSIONS[0]))
    uri = str((found.request or {}).get("training_" + str(request.read)) or "")
    bucket, separator, file = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not separator or not file:
        detail = f"training_{request.read} of the run is {uri[:200]!r}: give a file, {_SCHEME}BUCKET/FILE"
        raise Refused(detail, status=404)
    await require_bucket(side, held.place, bucket)
    if await side.entities.find(held.place.pair, "file", f"{bucket}/{file}") is None:
        raise Refused(f"there is no file {uri[:300]!r}, the training_{request.read} of the run: upload it", status=404)
    ticket = Ticket(held.place, bucket, file, writes=False)
    return UrlOfFile(url=await url_of(side, call, "downloads", ticket, VERSIONS[0]))


async def variables(side: UbiopsSide, call: Call[object], payload: Payload) -> RunVariables:
    """Give the environment of the code, secrets in clear, to whoever executes the run. No other response has them."""
    held = await require_lease(side, call, parsed(Held, payload))
    if held.lease.state != "started" or held.lease.cancelled:
        raise stale(held.run, "the run is not being executed: its variables are for its process alone")
    found = await run_of(side, held)
    if found is None:
        raise stale(held.run, "the run was deleted")
    given = await opened(side, held.place, str(found.record.columns["experiment"]))
    return RunVariables(variables=[RunVariable(name=one.name, value=one.value, secret=one.secret) for one in given])


async def output_file(side: UbiopsSide, held: HeldLease, experiment: str, name: str) -> tuple[str, str]:
    """Return the bucket and the name of a file of a run's output: in its experiment's default bucket, below the run's
    id. Raises Refused."""
    if not _NAME.match(name) or name in (".", ".."):
        raise Refused(f"write is {name[:80]!r}: give the name of a file, without a folder")
    bucket = await plain_value(side, held.place, experiment, BUCKET_VARIABLE) or DEFAULT_BUCKET
    return (await require_bucket(side, held.place, bucket)).name, f"{held.run}/{name}"


def _name_in(uri: str) -> str:
    """The last part of a file's name, which its folder on the agent's machine is no matter of."""
    return uri.rpartition("/")[2] or "file"

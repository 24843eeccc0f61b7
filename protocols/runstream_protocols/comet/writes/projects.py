"""The REST methods that write projects."""

from aiohttp import web

from runstream.events.control import ProjectCreated, ProjectDeleted, ProjectUpdated, RunDeleted, RunMoved
from runstream.events.names import project_id, project_key
from runstream_protocols.comet.conventions import DEFAULT_WORKSPACE
from runstream_protocols.comet.errors import refused
from runstream_protocols.comet.writes.experiments import place
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder

Response = dict[str, object]


async def create(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A project, which is refused if there is one of that name."""
    workspace = place("workspace", payload.optional("workspaceName") or DEFAULT_WORKSPACE)
    project = place("project", payload.text("projectName"))
    await recorder.require(project_key(workspace, project))
    if await recorder.lookup.project_exists(workspace, project):
        raise refused(f"there is a project {workspace}/{project} already: give another name")
    created = ProjectCreated(
        at_us=recorder.stamp(),
        workspace=workspace,
        project=project,
        description=payload.optional("projectDescription") or "",
    )
    await recorder.record(project_key(workspace, project), payload.content, [created])
    return {"projectId": project_id(workspace, project), "projectName": project, "workspaceName": workspace}


async def update(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Another description, or another name: then its experiments move with it, and it has another id."""
    workspace, project = await _meant(recorder, payload)
    new_name = payload.optional("newProjectName")
    description = payload.fields.get("newProjectDescription")
    if description is not None:
        await _describe(recorder, payload, workspace, project, str(description))
    if new_name and new_name != project:
        await recorder.settled()
        await _rename(recorder, payload, workspace, project, place("project", new_name))
        project = new_name
    return {"projectId": project_id(workspace, project), "projectName": project, "workspaceName": workspace}


async def _describe(recorder: Recorder, payload: Payload, workspace: str, project: str, description: str) -> None:
    updated = ProjectUpdated(at_us=recorder.stamp(), workspace=workspace, project=project, description=description)
    await recorder.record(project_key(workspace, project), payload.content, [updated])


async def _rename(recorder: Recorder, payload: Payload, workspace: str, project: str, new_name: str) -> None:
    """A project is its name, so that the new one is another one, to which everything goes. Payload again after it broke
    off in the middle, it does the rest."""
    lookup = recorder.lookup
    if await lookup.project_exists(workspace, new_name) and await lookup.runs_of(workspace, new_name):
        raise refused(f"there is a project {workspace}/{new_name} already: give another name")
    about = await lookup.project_texts(workspace, project)
    key = project_key(workspace, new_name)
    created = ProjectCreated(
        at_us=recorder.stamp(), workspace=workspace, project=new_name, description=about.description
    )
    noted = ProjectUpdated(at_us=recorder.stamp(), workspace=workspace, project=new_name, notes=about.notes)
    await recorder.record(key, payload.content, [created, noted])
    for run in await lookup.runs_of(workspace, project):
        moved = RunMoved(at_us=recorder.stamp(), workspace=workspace, project=new_name)
        await recorder.record(run, payload.content, [moved], wait=False)
    deleted = ProjectDeleted(at_us=recorder.stamp(), workspace=workspace, project=project)
    await recorder.record(project_key(workspace, project), payload.content, [deleted])
    await recorder.settled()


async def delete(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A project; its experiments too if the request says so, else one that has some is refused."""
    workspace, project = await _meant(recorder, payload)
    runs = await recorder.lookup.runs_of(workspace, project)
    if runs and not payload.flag("deleteAllExperiments"):
        raise refused(f"{workspace}/{project} has {len(runs)} experiments: delete them too (delete_experiments=True)")
    for run in runs:
        await recorder.record(run, payload.content, [RunDeleted(at_us=recorder.stamp())], wait=False)
    deleted = ProjectDeleted(at_us=recorder.stamp(), workspace=workspace, project=project)
    await recorder.record(project_key(workspace, project), payload.content, [deleted])
    await recorder.settled()
    return {}


async def notes(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    workspace, project = await _meant(recorder, payload)
    noted = ProjectUpdated(
        at_us=recorder.stamp(), workspace=workspace, project=project, notes=str(payload.fields.get("notes") or "")
    )
    await recorder.record(project_key(workspace, project), payload.content, [noted])
    return {"notes": noted.notes}


async def _meant(recorder: Recorder, payload: Payload) -> tuple[str, str]:
    """The project of a request, by its id or by its names. Raises Problem."""
    project_id_ = payload.optional("projectId")
    if project_id_ is not None:
        found = await recorder.lookup.project_of(project_id_)
        if found is None:
            raise refused(f"there is no project with the id {project_id_}", status=404)
        await recorder.require(project_key(*found))
        return found
    workspace = place("workspace", payload.optional("workspaceName") or DEFAULT_WORKSPACE)
    project = place("project", payload.text("projectName"))
    await recorder.require(project_key(workspace, project))
    if not await recorder.lookup.project_exists(workspace, project):
        raise refused(f"there is no project {workspace}/{project}: look it up with get_projects", status=404)
    return workspace, project

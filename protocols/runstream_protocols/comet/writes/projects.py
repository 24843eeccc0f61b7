"""The REST methods that write projects."""

from aiohttp import web

from runstream.events.control import ProjectCreated, ProjectDeleted, ProjectUpdated, RunDeleted, RunMoved
from runstream.events.names import project_id, project_key
from runstream_protocols.comet.conventions import DEFAULT_WORKSPACE
from runstream_protocols.comet.writes.bodies import Said, place
from runstream_protocols.comet.writes.recording import Recorder
from runstream_protocols.comet.writes.refusals import refused

Answer = dict[str, object]


async def create(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """A project, which is refused if there is one of that name."""
    workspace = place("workspace", said.optional("workspaceName") or DEFAULT_WORKSPACE)
    project = place("project", said.text("projectName"))
    if await recorder.lookup.project_exists(workspace, project):
        raise refused(f"there is a project {workspace}/{project} already: give another name")
    created = ProjectCreated(
        at_us=recorder.stamp(),
        workspace=workspace,
        project=project,
        description=said.optional("projectDescription") or "",
    )
    await recorder.say(project_key(workspace, project), said.words, [created])
    return {"projectId": project_id(workspace, project), "projectName": project, "workspaceName": workspace}


async def update(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """Another description, or another name: then its experiments move with it, and it has another id."""
    workspace, project = await _meant(recorder, said)
    new_name = said.optional("newProjectName")
    description = said.fields.get("newProjectDescription")
    if description is not None:
        await _describe(recorder, said, workspace, project, str(description))
    if new_name and new_name != project:
        await recorder.settled()
        await _rename(recorder, said, workspace, project, place("project", new_name))
        project = new_name
    return {"projectId": project_id(workspace, project), "projectName": project, "workspaceName": workspace}


async def _describe(recorder: Recorder, said: Said, workspace: str, project: str, description: str) -> None:
    updated = ProjectUpdated(at_us=recorder.stamp(), workspace=workspace, project=project, description=description)
    await recorder.say(project_key(workspace, project), said.words, [updated])


async def _rename(recorder: Recorder, said: Said, workspace: str, project: str, new_name: str) -> None:
    """A project is its name, so that the new one is another one, to which everything goes. Said again after it broke
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
    await recorder.say(key, said.words, [created, noted])
    for run in await lookup.runs_of(workspace, project):
        moved = RunMoved(at_us=recorder.stamp(), workspace=workspace, project=new_name)
        await recorder.say(run, said.words, [moved], wait=False)
    deleted = ProjectDeleted(at_us=recorder.stamp(), workspace=workspace, project=project)
    await recorder.say(project_key(workspace, project), said.words, [deleted])
    await recorder.settled()


async def delete(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """A project; its experiments too if that is asked, else one that has some is refused."""
    workspace, project = await _meant(recorder, said)
    runs = await recorder.lookup.runs_of(workspace, project)
    if runs and not said.flag("deleteAllExperiments"):
        raise refused(f"{workspace}/{project} has {len(runs)} experiments: delete them too (delete_experiments=True)")
    for run in runs:
        await recorder.say(run, said.words, [RunDeleted(at_us=recorder.stamp())], wait=False)
    deleted = ProjectDeleted(at_us=recorder.stamp(), workspace=workspace, project=project)
    await recorder.say(project_key(workspace, project), said.words, [deleted])
    await recorder.settled()
    return {}


async def notes(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    workspace, project = await _meant(recorder, said)
    noted = ProjectUpdated(
        at_us=recorder.stamp(), workspace=workspace, project=project, notes=str(said.fields.get("notes") or "")
    )
    await recorder.say(project_key(workspace, project), said.words, [noted])
    return {"notes": noted.notes}


async def _meant(recorder: Recorder, said: Said) -> tuple[str, str]:
    """The project of a request, by its id or by its names. Raises Problem."""
    asked = said.optional("projectId")
    if asked is not None:
        found = await recorder.lookup.project_of(asked)
        if found is None:
            raise refused(f"there is no project with the id {asked}", status=404)
        return found
    workspace = place("workspace", said.optional("workspaceName") or DEFAULT_WORKSPACE)
    project = place("project", said.text("projectName"))
    if not await recorder.lookup.project_exists(workspace, project):
        raise refused(f"there is no project {workspace}/{project}: look it up with get_projects", status=404)
    return workspace, project

"""The lineage of runs and versions over HTTP: what was made and used, what is cut, and what is no part of it."""

from typing import Any

import pytest

from kit.query.artifacts import insert_artifacts
from kit.query.service import Service
from kit.query.tables import NOW_US, run
from runstream.events.artifacts import (
    USED_BY,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    artifact_id,
)

IDS = {name: artifact_id("w", "p", "dataset", name) for name in ("raw", "rows", "net", "report")}


def place(name: str) -> dict[str, Any]:
    return {"at_us": NOW_US, "workspace": "w", "project": "p", "artifact_type": "dataset", "name": name}


def made(name: str, by: str | None = None, text: str | None = None) -> ArtifactEvent:
    return ArtifactVersionLogged(**place(name), run=by, version=text)


def used(name: str, ordinal: int, by: Any) -> ArtifactEvent:
    return ArtifactVersionRemarked(**place(name), ordinal=ordinal, remark={USED_BY: by})


async def filled(service: Service) -> None:
    """raw 1 -> clean -> rows 1 -> train -> net 1 -> judge -> report 1; and more of raw and rows."""
    await service.insert("run_states", *(run(one, workspace="w", project="p") for one in ("clean", "train", "idle")))
    await service.insert("run_states", run("judge", workspace="w", project="p", deleted=True))
    await insert_artifacts(
        service,
        made("raw", text="2026-01"),
        made("raw"),
        used("raw", 1, "clean"),
        used("raw", 1, "clean"),
        used("raw", 2, ["no run"]),
        made("rows", "clean"),
        made("rows", "clean"),
        used("rows", 1, "train"),
        ArtifactVersionDeleted(**place("rows"), ordinal=2),
        made("net", "train"),
        used("net", 1, "judge"),
        made("report", "judge"),
        used("report", 1, "unheard"),
        made("gone", "train"),
        used("gone", 1, "clean"),
        ArtifactDeleted(**place("gone")),
    )


def shown(found: Any) -> tuple[dict[str, int], list[str]]:
    """The distance of each node, by name; and the edges."""
    names = {one: name for name, one in IDS.items()}
    distances = {row["run"]: row["distance"] for row in found["runs"]}
    distances |= {f"{row['name']} {row['ordinal']}": row["distance"] for row in found["versions"]}
    edges = [f"{row['run']} {row['kind']} {names[row['artifact']]} {row['ordinal']}" for row in found["edges"]]
    return distances, sorted(edges)


UP = {"rows 1": -1, "clean": -2, "raw 1": -3}
DOWN = {"net 1": 1, "judge": 2, "report 1": 3, "unheard": 4}
UP_EDGES = ["clean made rows 1", "clean used raw 1", "train used rows 1"]
DOWN_EDGES = ["judge made report 1", "judge used net 1", "train made net 1", "unheard used report 1"]


async def test_the_lineage_of_a_run(service: Service) -> None:
    await filled(service)
    found = await service.get("runs/train/lineage")
    assert shown(found) == ({"train": 0} | UP | DOWN, sorted(UP_EDGES + DOWN_EDGES))
    assert found["cut"] == []
    up = await service.get("runs/train/lineage", direction="up")
    assert shown(up) == ({"train": 0} | UP, UP_EDGES)
    down = await service.get("runs/train/lineage", direction="down")
    assert shown(down) == ({"train": 0} | DOWN, DOWN_EDGES)
    judge, unheard = (row for row in down["runs"] if row["run"] in ("judge", "unheard"))
    assert (judge["deleted"], judge["project"], judge["status"]) == (True, "p", "finished")
    assert (unheard["deleted"], unheard["project"], unheard["name"]) == (False, None, None)
    assert [row["run"] for row in down["runs"]] == ["train", "judge", "unheard"], "the nearest first"
    assert shown(await service.get("runs/idle/lineage")) == ({"idle": 0}, [])
    await service.get("runs/nobody/lineage", 404)


async def test_the_lineage_of_a_version(service: Service) -> None:
    await filled(service)
    found = await service.get(f"artifacts/{IDS['raw']}/versions/1/lineage", direction="down", depth=3)
    assert shown(found)[0] == {"raw 1": 0, "clean": 1, "rows 1": 2, "train": 3}
    assert found["cut"] == ["depth"]
    raw = found["versions"][0]
    assert (raw["version"], raw["artifact_type"], raw["workspace"], raw["project"]) == ("2026-01", "dataset", "w", "p")
    whole = await service.get(f"artifacts/{IDS['report']}/versions/1/lineage")
    assert len(whole["runs"]) + len(whole["versions"]) == 8
    few = await service.get(f"artifacts/{IDS['report']}/versions/1/lineage", direction="up", limit=3)
    assert shown(few) == ({"report 1": 0, "judge": -1, "net 1": -2}, ["judge made report 1", "judge used net 1"])
    assert few["cut"] == ["nodes"]
    second = await service.get(f"artifacts/{IDS['raw']}/versions/2/lineage")
    assert shown(second) == ({"raw 2": 0}, [])
    await service.get(f"artifacts/{IDS['rows']}/versions/2/lineage", 404)


@pytest.mark.parametrize(
    ("name", "value"),
    [("depth", 0), ("depth", 101), ("limit", 1001), ("direction", "sideways"), ("x", 1)],
)
async def test_wrong_parameters_are_refused(service: Service, name: str, value: Any) -> None:
    assert name in (await service.get("runs/r/lineage", 400, **{name: value}))["detail"]

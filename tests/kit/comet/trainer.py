"""Logs the runs of logged.py with the SDK, and keeps {name: run id} in SPOOL/ids.json: trainer.py URL SPOOL

The key is that of the environment (RUNSTREAM_API_KEY). Whatever directory it runs in is the run's work tree.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import runstream as rs
from kit.comet.logged import (
    ARCHIVED,
    CURVE,
    IMAGE,
    LONG_STEPS,
    ODD_NAME,
    ODD_PARAMETERS,
    ODD_RUN,
    ODD_VALUES,
    PROJECT,
    SWEEP,
    WEIGHTS,
    WORKSPACE,
    long_value,
)

URL, SPOOL = sys.argv[1:3]
KEY = os.environ["RUNSTREAM_API_KEY"]
IDS: dict[str, str] = {}


def started(name: str, **options: Any) -> rs.Run:
    quiet = {"capture_code": False, "capture_console": False, "system_metrics_s": 0}
    run = rs.init(name=name, url=URL, dir=SPOOL, **({"workspace": WORKSPACE, "project": PROJECT} | quiet | options))
    IDS[name] = run.run_id
    return run


def log_odd() -> None:
    run = started(ODD_RUN, tags=["t/a g", "☃"], capture_console=True, capture_code=True, system_metrics_s=30)
    for step, value in enumerate(ODD_VALUES):
        run.log({ODD_NAME: value, "every": step * 10}, step=step * 3)
    run.log_params({name: value for name, (value, _) in ODD_PARAMETERS.items()})
    run.log_others({"note": "été", "score": 0.5, "flag": True, "gone": None})
    print("one line ☃\nanother", file=sys.stdout, flush=True)
    run.log_image(IMAGE, "plots/ünï ☃.png", step=3)
    run.log_asset(json.dumps(CURVE).encode(), name="roc.json", kind="curve", step=7)
    run.log_asset(WEIGHTS, name="models/best.bin", kind="model", metadata={"epoch": 3, "name": "ü"})
    run.log_asset(b"a,b\n1,2\n", name="/abs/ta ble.csv")
    run.log_text("remarks.txt", "all is well ☃")
    assert run.finish(timeout_s=240)


def log_long() -> None:
    run = started("long")
    for step in range(LONG_STEPS):
        run.log({"wave": long_value(step)} | ({"even": step / 2} if step % 1000 == 0 else {}), step=step)
    run.log_params({"lr": 0.5, "who": "me"})
    assert run.finish(timeout_s=240)


def log_sweep() -> None:
    for name, (metrics, parameters, others, tags) in SWEEP.items():
        run = started(name, project="sweep", tags=tags)
        run.log(dict.fromkeys(metrics, 123.0), step=0)
        run.log(metrics, step=1)
        run.log_params(parameters)
        run.log_others(others)
        # The first fails, the others finish.
        assert run.finish("failed" if name == "mlp-0" else "finished", timeout_s=240)
    run = started(ARCHIVED, project="sweep", tags=["a"])
    run.log({"acc": 0.7})
    assert run.finish(timeout_s=240)
    command({"key": run.run_id, "event": {"type": "run_archived.v1"}})
    project = {"workspace": WORKSPACE, "project": "sweep", "description": "A ☃ sweep"}
    command({"key": f"{WORKSPACE}/sweep", "event": {"type": "project_created.v1", **project}})
    notes = {"workspace": WORKSPACE, "project": "sweep", "notes": "Nötes\nof it"}
    command({"key": f"{WORKSPACE}/sweep", "event": {"type": "project_updated.v1", **notes}})


def command(body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{URL}/ingest/v1/commands", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


if __name__ == "__main__":
    log_odd()
    log_long()
    log_sweep()
    Path(SPOOL, "ids.json").write_text(json.dumps(IDS))

"""Live experiments of Comet's own client: live.py SCENARIO RESULTS

Runs in the client's environment, in the directory that is the experiment's work tree, and writes what it was told as
JSON into the file RESULTS. The scenario is one of the functions below.
"""

import io
import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from typing import IO, Any

import comet_ml

from kit.comet.told import (
    CROWD,
    FIGURE,
    IMAGE,
    LINES,
    LIVE_PROJECT,
    LIVE_WORKSPACE,
    LONG_LINE,
    ODD_ASSETS,
    ODD_METRIC_NAMES,
    ODD_METRIC_VALUES,
    OFFLINE_POINTS,
    OTHERS,
    PARAMETERS,
    POINTS,
    RESUMED_POINTS,
    WEIGHTS,
    crowd_value,
    loss_value,
)

WHERE = {"workspace": LIVE_WORKSPACE, "project_name": LIVE_PROJECT}
SMALL: dict[str, bool | int | str] = {
    "log_code": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "log_env_details": False,
    "auto_output_logging": False,
    "display_summary_level": 0,
}


def everything() -> dict[str, Any]:
    """All that an experiment can be told; then it is gone on with."""
    key = full()
    resumed = comet_ml.ExistingExperiment(previous_experiment=key, **SMALL | {"auto_output_logging": "simple"})
    for step in range(POINTS, POINTS + RESUMED_POINTS):
        resumed.log_metric("loss", loss_value(step), step=step, epoch=step // 1000)
    print("printed by the second attempt")
    resumed.log_parameter("second", True)
    resumed.end()
    return {"key": key}


def otherwise() -> dict[str, Any]:
    """Experiments that are begun in every other way."""
    return {"quiet": quiet(), "offline": offline()} | started() | refused()


def full() -> str:
    experiment = comet_ml.Experiment(**WHERE, display_summary_level=0)
    print(*LINES, sep="\n")
    print(LONG_LINE)
    print("on standard error ☃", file=sys.stderr)
    experiment.set_name("live ☃ / 1")
    for step in range(POINTS):
        experiment.log_metric("loss", loss_value(step), step=step, epoch=step // 1000)
        if step % 2 == 0:
            experiment.log_metrics({"acc": step / POINTS, "sl/ash and space": -step}, step=step)
    with experiment.train():
        for step in range(5):
            experiment.log_metric("loss", step * 10, step=step, epoch=0)
        experiment.log_parameter("depth", 3)
    with experiment.test():
        experiment.log_metric("loss", 0.25, step=9)
    with experiment.validate():
        experiment.log_metrics({"loss": 0.5}, step=0, epoch=0)
    for number in range(CROWD):
        experiment.log_metric("crowd", crowd_value(number))
    for step, value in enumerate(ODD_METRIC_VALUES):
        experiment.log_metric("odd", value, step=step)
        experiment.log_metric("beside", step, step=step)
    for number, name in enumerate(ODD_METRIC_NAMES):
        experiment.log_metric(name, number, step=1)
        experiment.log_metric("beside names", number, step=number)
    experiment.log_parameters(PARAMETERS)
    experiment.log_others(OTHERS)
    experiment.add_tags(["a tag", "☃/t", "x" * 300])
    experiment.add_tag("one more")
    experiment.log_html("<b>one</b>")
    experiment.log_html("<i>two ☃</i>")
    experiment.set_model_graph('{"layers": ["dense ☃"]}')
    experiment.log_system_info("rack", "7b")
    files(experiment)
    experiment.end()
    return str(experiment.get_key())


def files(experiment: comet_ml.Experiment) -> None:
    with open("weights.bin", "wb") as file:
        file.write(WEIGHTS)
    with open("picture.png", "wb") as file:
        file.write(IMAGE)
    for name, content in ODD_ASSETS.items():
        experiment.log_asset(io.BytesIO(content), file_name=name, step=4, metadata={"of": "ü", "n": 1})
    experiment.log_asset("weights.bin", file_name="large file.bin")
    experiment.log_asset_data({"x": [1, None]}, name="data.json", epoch=2)
    experiment.log_image("picture.png", name="pictures/one ☃", step=2)
    experiment.log_figure("figure 1", Figure(), step=1)
    experiment.log_confusion_matrix([0, 1, 1], [0, 1, 0], labels=["no", "yes"], title="Of two", step=3)
    experiment.log_histogram_3d([1.0, 2.0, 2.5], name="weights", step=1)
    experiment.log_text("a sample ☃", step=5, metadata={"by": "me"})
    experiment.log_curve("roc", x=[0.0, 0.5, 1.0], y=[0.0, 0.75, 1.0], step=6)
    experiment.log_table("rows.csv", [[1, "a"], [2, "b"]], headers=["n", "letter"])
    experiment.log_audio(sound(), file_name="a sound.wav", step=1)
    experiment.log_model("my model", "weights.bin", metadata={"epoch": 3})
    os.makedirs("folder/sub", exist_ok=True)
    for name in ("one.bin", "sub/two.bin"):
        with open(os.path.join("folder", name), "w") as file:
            file.write(name)
    experiment.log_model("deep/model ☃", "folder")
    experiment.log_code(code="print('logged by hand')", code_name="by hand.py")
    experiment.log_remote_asset("s3://bucket/some/file.bin", remote_file_name="remote.bin", metadata={"far": True})
    # Without Pillow, which draws a small picture of it, the client goes no further than to ask for the limits.
    experiment.log_points_3d("scene", points=[[0.0, 1.0, 2.0]], step=1)


class Figure:
    """What the client takes for a figure of matplotlib, which is not in its environment."""

    def savefig(self, file: IO[bytes], format: str, bbox_inches: str) -> None:
        file.write(FIGURE)


def sound() -> str:
    with wave.open("sound.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(160))
    return "sound.wav"


def quiet() -> str:
    """With neither a project nor a name."""
    experiment = comet_ml.Experiment(**SMALL)
    experiment.log_metric("x", 1)
    experiment.end()
    return str(experiment.get_key())


def started() -> dict[str, Any]:
    """`start()` in each of its modes."""
    key = "startedbykey" + "0" * 28
    config = comet_ml.ExperimentConfig(
        log_code=False, log_git_metadata=False, log_git_patch=False, log_env_details=False
    )
    told: dict[str, Any] = {"started": []}
    for mode, given in (("get_or_create", key), ("get_or_create", key), ("get", key), ("create", None)):
        experiment = comet_ml.start(experiment_key=given, mode=mode, experiment_config=config, **WHERE)
        experiment.log_metric("x", len(told["started"]), step=len(told["started"]))
        experiment.end()
        told["started"].append(experiment.get_key())
    told["create_again"] = error_of(lambda: comet_ml.start(experiment_key=key, mode="create", **WHERE))
    told["get_unknown"] = error_of(lambda: comet_ml.start(experiment_key="9" * 40, mode="get", **WHERE))
    return told


def offline() -> str:
    experiment = comet_ml.OfflineExperiment(offline_directory="offline", **WHERE, **SMALL)
    for step in range(OFFLINE_POINTS):
        experiment.log_metric("loss", loss_value(step), step=step, epoch=step // 1000)
    experiment.log_parameters(PARAMETERS)
    experiment.log_asset(io.BytesIO(b"from offline"), file_name="off line.txt")
    experiment.add_tag("off")
    experiment.log_other("how", "offline ☃")
    experiment.end()
    (archive,) = (os.path.join("offline", name) for name in os.listdir("offline") if name.endswith(".zip"))
    comet = os.path.join(os.path.dirname(sys.executable), "comet")
    subprocess.run([comet, "upload", archive], check=True, timeout=120, stdout=subprocess.DEVNULL)
    return str(experiment.get_key())


def refused() -> dict[str, Any]:
    unknown = error_of(lambda: comet_ml.ExistingExperiment(previous_experiment="0" * 32, **SMALL))
    wrong = "a-wrong-key-of-some-length"
    bad_key = error_of(lambda: comet_ml.Experiment(api_key=wrong, **WHERE, **SMALL))
    bad_start = error_of(lambda: comet_ml.start(api_key=wrong, **WHERE))
    return {"unknown": unknown, "bad_key": bad_key, "bad_start": bad_start}


def error_of(action: Callable[[], comet_ml.Experiment]) -> dict[str, Any]:
    """What an action raised; or of the experiment that it made, whether it is alive, and what the client's log says."""
    log = os.environ["COMET_LOGGING_FILE"]
    before = os.path.getsize(log) if os.path.exists(log) else 0
    try:
        made = action()
    except BaseException as error:
        return {"error": type(error).__name__, "text": str(error)}
    alive = made.alive
    made.end()
    with open(log) as file:
        file.seek(before)
        return {"alive": alive, "log": file.read()}


def failing() -> dict[str, Any]:
    """Ends by an exception that nobody takes."""
    experiment = comet_ml.Experiment(**WHERE, **SMALL)
    experiment.log_metric("x", 1.5, step=1)
    write({"key": experiment.get_key()})
    raise RuntimeError("the GPU is on fire ☃")


def killed() -> None:
    """Waits for its end."""
    experiment = comet_ml.Experiment(**WHERE, **SMALL)
    for step in range(10):
        experiment.log_metric("x", step, step=step)
    experiment.flush()
    write({"key": experiment.get_key()})
    time.sleep(300)


def unlucky() -> dict[str, Any]:
    """Little, of each kind, through a server that first takes and then does not answer."""
    experiment = comet_ml.Experiment(**WHERE, **SMALL | {"auto_output_logging": "simple"})
    for step in range(100):
        experiment.log_metric("x", step * 0.5, step=step)
        print("line", step)
        if step == 50:
            time.sleep(2.5)  # the next batch of metrics
    experiment.log_parameters({"lr": 0.1, "deep": {"er": 2}})
    experiment.add_tag("lucky")
    experiment.log_other("note", "once")
    experiment.log_html("<p>once</p>")
    experiment.log_asset(io.BytesIO(b"once"), file_name="once.txt")
    experiment.end()
    return {"key": experiment.get_key()}


def write(results: dict[str, Any] | None) -> None:
    with open(sys.argv[2] + ".new", "w") as file:
        json.dump(results, file)
    os.rename(sys.argv[2] + ".new", sys.argv[2])


if __name__ == "__main__":
    scenarios = {one.__name__: one for one in (everything, otherwise, failing, killed, unlucky)}
    write(scenarios[sys.argv[1]]())

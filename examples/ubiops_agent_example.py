"""A training of UbiOps' own client that is executed: an agent runs its code, and the result comes back.

pip install ubiops==4.15.0
export UBIOPS_API_HOST=http://127.0.0.1:7070/ubiops/v2.1 UBIOPS_API_TOKEN="Token KEY"
RUNSTREAM_API_KEY=KEY runstream agent --project executed-digits &
python examples/ubiops_agent_example.py
"""

import tempfile
import time
from pathlib import Path

import ubiops

PROJECT, EXPERIMENT = "executed-digits", "descent"
CODE = """
import os


def train(training_data, parameters, context):
    rows = [tuple(map(float, line.split(","))) for line in open(training_data)]
    slope = 0.0
    for epoch in range(parameters["epochs"]):
        gradient = sum(2 * (slope * x - y) * x for x, y in rows) / len(rows)
        slope -= parameters["lr"] * gradient
        print(f"epoch {epoch}: slope {slope:.4f}")
    print("signed by", os.environ["SIGNER"])
    with open("slope.txt", "w") as file:
        file.write(str(slope))
    return {"artifact": "slope.txt", "metrics": {"slope": slope}, "metadata": {"rows": len(rows)}}
"""


def main() -> None:
    training = ubiops.Training()
    try:
        training.experiments_get(PROJECT, EXPERIMENT)
    except ubiops.exceptions.ApiException:
        new = ubiops.ExperimentCreate(name=EXPERIMENT, environment="python3-11", instance_type="512mb")
        training.experiments_create(PROJECT, new)
        signer = ubiops.EnvironmentVariableCreate(name="SIGNER", value="hunter2-signs", secret=True)
        training.experiment_environment_variables_create(PROJECT, EXPERIMENT, signer)
    with tempfile.TemporaryDirectory() as folder:
        code, data = Path(folder, "train.py"), Path(folder, "points.csv")
        code.write_text(CODE)
        data.write_text("".join(f"{x},{3 * x}\n" for x in range(1, 6)))
        request = ubiops.ExperimentRunCreate(
            name="first", training_code=str(code), training_data=str(data), parameters={"epochs": 50, "lr": 0.02}
        )
        run = training.experiment_runs_create(PROJECT, EXPERIMENT, request, timeout=600)
    while (found := training.experiment_runs_get(PROJECT, EXPERIMENT, run.id)).status in ("pending", "processing"):
        time.sleep(0.5)
    print(f"run {run.id} is {found.status}")
    print(f"slope {found.result['metrics']['slope']:.3f} in {found.result['artifact']}")
    training.api_client.close()


if __name__ == "__main__":
    main()

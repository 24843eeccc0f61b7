"""Training with UbiOps' own client against a Runstream server: an experiment, a secret for it, and a run of it.

    pip install ubiops==4.15.0
    export UBIOPS_API_HOST=http://127.0.0.1:7070/ubiops/v2.1 UBIOPS_API_TOKEN="Token KEY"
    python examples/ubiops_example.py

The run stays pending until an agent (`runstream agent --project digits`) or `runstream.init("digits", run_id=...)`
takes it on. examples/ubiops_agent_example.py waits for an agent.
"""

import tempfile
from pathlib import Path

import ubiops

PROJECT, EXPERIMENT = "digits", "logistic-regression"
CODE = """
def train(training_data, parameters, context):
    return {"metrics": {"accuracy": 0.9}}
"""


def main() -> None:
    training = ubiops.Training()
    try:
        training.experiments_get(PROJECT, EXPERIMENT)
    except ubiops.exceptions.ApiException:
        new = ubiops.ExperimentCreate(name=EXPERIMENT, environment="python3-12", default_bucket="default")
        training.experiments_create(PROJECT, new)
        secret = ubiops.EnvironmentVariableCreate(name="DATABASE_PASSWORD", value="hunter2", secret=True)
        training.experiment_environment_variables_create(PROJECT, EXPERIMENT, secret)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "train.py")
        code.write_text(CODE)
        request = ubiops.ExperimentRunCreate(name="first", training_code=str(code), parameters={"epochs": 15})
        run = training.experiment_runs_create(PROJECT, EXPERIMENT, request, timeout=3_600)
    for variable in training.experiment_environment_variables_list(PROJECT, EXPERIMENT):
        print(f"{variable.name} = {'(secret)' if variable.secret else variable.value}")
    print(f"run {run.id} is {training.experiment_runs_get(PROJECT, EXPERIMENT, run.id).status}")
    training.api_client.close()


if __name__ == "__main__":
    main()

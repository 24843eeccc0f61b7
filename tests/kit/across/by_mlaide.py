"""ML Aide's client: `python by_mlaide.py URL KEY log`. It has no method to read runs or to delete one."""

import json
import sys

from mlaide import ConnectionOptions, MLAideClient

_, url, key, action = sys.argv
client = MLAideClient("across", ConnectionOptions(server_url=f"{url}/mlaide/api/v1", api_key=key))
run = client.start_new_run(experiment_key="e", run_name="by-mlaide")
run.log_parameter("lr", 0.1)
for value in (0.9, 0.5, 0.25):
    run.log_metric("loss", value)
run.set_completed_status()
print(json.dumps("by-mlaide"))

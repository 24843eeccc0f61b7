"""ML Aide's client: `python by_mlaide.py URL KEY log | artifact NAME`. It has no method to read runs or to delete one.
`artifact` loads the file `rows.csv` of the latest version of an artifact."""

import json
import sys
from io import BytesIO

from mlaide import ConnectionOptions, MLAideClient

_, url, key, action, *names = sys.argv
client = MLAideClient("across", ConnectionOptions(server_url=f"{url}/mlaide/api/v1", api_key=key))
if action == "artifact":
    print(json.dumps(client.get_artifact(names[0], None).load("rows.csv").read().decode()))
    sys.exit()
run = client.start_new_run(experiment_key="e", run_name="by-mlaide")
run.log_parameter("lr", 0.1)
for value in (0.9, 0.5, 0.25):
    run.log_metric("loss", value)
made = run.create_artifact("made-by-mlaide", "dataset", {"rows": "1"})
run.add_artifact_file(made, BytesIO(b"a,b\n"), "rows.csv")
run.set_completed_status()
print(json.dumps("by-mlaide"))

"""Keep three small trainings and their models with ML Aide's own client: `python mlaide_example.py [SERVER_URL]`.

Needs `pip install mlaide==0.1.0`, a server (`runstream up`), and its key in MLAIDE_API_KEY if it has keys.
`runstream runs --project parabola` shows the runs that it kept, `runstream artifacts minimum` the models.
"""

import json
import os
import sys
from io import BytesIO

from mlaide import ConnectionOptions, MLAideClient


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7070/mlaide/api/v1"
    client = MLAideClient("parabola", ConnectionOptions(server_url=url, api_key=os.environ.get("MLAIDE_API_KEY", "")))
    for rate in (0.01, 0.1, 0.4):
        run = client.start_new_run(experiment_key="descent", run_name=f"rate {rate}")
        run.log_parameter("rate", rate)
        position = 1.0
        for _ in range(20):
            position -= rate * 2 * position
            run.log_metric("loss", position**2)
        model = run.create_artifact("minimum", "model", {"rate": str(rate)})
        run.add_artifact_file(model, BytesIO(json.dumps({"position": position}).encode()), "model.json")
        run.set_completed_status()
        print(f"{run.run.name}: loss {position**2:.3g}")
    newest = client.get_artifact("minimum", None)
    found = json.load(newest.load("model.json"))
    print(f"version {newest.artifact.version} of the model is at {found['position']:.3g}")


if __name__ == "__main__":
    main()

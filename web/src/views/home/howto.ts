/** How a program logs to this server, as lines that can be copied. */
export interface HowTo {
  readonly client: string;
  readonly about: string;
  readonly lines: string;
}

/** What stands for the key: the page shows none. */
export const KEY = "YOUR-KEY";

/** @param url the address of the server, without a slash at its end. Keyless servers take any word for a key. */
export function howTos(url: string): readonly HowTo[] {
  return [
    {
      client: "Python",
      about: "pip install runstream",
      lines: `import runstream as rs
with rs.init(project="digits", config={"lr": 0.1}, url="${url}", api_key="${KEY}") as run:
    run.log({"loss": 0.5})`,
    },
    {
      client: "Comet",
      about: "the unmodified comet_ml",
      lines: `import os
os.environ["COMET_URL_OVERRIDE"] = "${url}/clientlib/"
os.environ["COMET_API_KEY"] = "${KEY}"
import comet_ml
experiment = comet_ml.start(workspace="team", project_name="digits")
experiment.log_metric("loss", 0.3, step=1)`,
    },
    {
      client: "MLaide",
      about: "pip install mlaide==0.1.0",
      lines: `from mlaide import ConnectionOptions, MLAideClient
options = ConnectionOptions(server_url="${url}/mlaide/api/v1", api_key="${KEY}")
client = MLAideClient("vision", options)
run = client.start_new_run(experiment_key="resnet", run_name="first")`,
    },
    {
      client: "SageMaker",
      about: "pip install sagemaker-experiments==0.1.45",
      lines: `export AWS_ENDPOINT_URL=${url}/sagemaker
export AWS_ACCESS_KEY_ID=${KEY} AWS_SECRET_ACCESS_KEY=${KEY}
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1`,
    },
    {
      client: "UbiOps",
      about: "pip install ubiops==4.15.0",
      lines: `export UBIOPS_API_HOST=${url}/ubiops/v2.1
export UBIOPS_API_TOKEN="Token ${KEY}"`,
    },
    {
      client: "Bender",
      about: "pip install bender-client==0.4.0",
      lines: `from benderclient import Bender
b = Bender(host="${url}/bender")
b.create_experiment(name="digits", metrics=[{"metric_name": "loss", "type": "loss"}])`,
    },
  ];
}

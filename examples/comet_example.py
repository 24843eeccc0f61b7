"""Keep a small training with Comet's own client: `python comet_example.py`.

Needs `pip install comet_ml`, a server (`runstream up`), and where it is:

    export COMET_URL_OVERRIDE=http://127.0.0.1:7070/clientlib/ COMET_API_KEY=KEY COMET_WORKSPACE=default
"""

import comet_ml


def main() -> None:
    experiment = comet_ml.start(project_name="parabola")
    experiment.set_name("descent")
    experiment.log_parameters({"rate": 0.1, "optimizer": "plain"})
    position = 1.0
    for step in range(50):
        position -= 0.1 * 2 * position
        experiment.log_metric("loss", position**2, step=step)
    experiment.add_tag("example")
    experiment.end()
    api = comet_ml.API()
    kept = api.get_experiment_by_key(experiment.get_key())
    print(f"{kept.name}: lowest loss {float(kept.get_metrics_summary('loss')['valueMin']):.3g}")


if __name__ == "__main__":
    main()

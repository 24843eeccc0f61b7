"""Curves of one metric, drawn by matplotlib, with the client's own widgets."""

import matplotlib.pyplot as plt
from comet_ml import API, ui

api = API()
experiments = api.get_panel_experiments()
metric = ui.dropdown("Metric", api.get_panel_metrics_names())
log_scale = ui.checkbox("Log scale", False)

charts = api.get_metrics_for_chart([e.key for e in experiments], [metric], parameters=["lr"])
figure, axes = plt.subplots(figsize=(7, 4))
for experiment in experiments:
    for curve in charts[experiment.key]["metrics"]:
        axes.plot(curve["steps"], curve["values"], label=experiment.get_name())
if log_scale:
    axes.set_yscale("log")
axes.set_title(f"{metric} of {len(experiments)} experiments")
axes.legend()
ui.display(figure)

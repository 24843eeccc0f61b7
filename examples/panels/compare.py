"""Two runs side by side, in tabs."""

import pandas as pd
import streamlit as st
from comet_ml import API, APIExperiment

api = API()
experiments = api.get_panel_experiments()
names = {experiment.id: experiment.name for experiment in experiments}
left, right = st.columns(2)
first = left.selectbox("Left", experiments, format_func=lambda e: e.name)
second = right.selectbox("Right", experiments, index=min(1, len(experiments) - 1), format_func=lambda e: e.name)
assert isinstance(first, APIExperiment)

parameters, metrics, code = st.tabs(["Parameters", "Metrics", "Details"])
with parameters:
    both = [{p["name"]: p["valueCurrent"] for p in e.get_parameters_summary()} for e in (first, second)]
    frame = pd.DataFrame(both, index=[first.name, second.name]).T
    only = st.toggle("Only what differs", True)
    st.table(frame[frame.nunique(axis=1) > 1] if only else frame)
with metrics:
    for experiment, column in zip((first, second), st.columns(2), strict=True):
        for one in experiment.get_metrics_summary():
            column.metric(one["name"], f"{float(one['valueCurrent']):.4g}", delta=f"min {float(one['valueMin']):.3g}")
with code:
    st.json({e.id: {"tags": e.get_tags(), "url": e.url} for e in (first, second)})

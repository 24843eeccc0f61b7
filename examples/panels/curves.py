"""Curves by plotly, in the colours of the page, with smoothing."""

import plotly.graph_objects as go
import streamlit as st
from comet_ml import API

api = API()
experiments = api.get_panel_experiments()
colors = api.get_panel_experiment_colors()
metrics = st.sidebar.multiselect("Metrics", api.get_panel_metrics_names(), default=api.get_panel_metrics_names()[:1])
weight = st.sidebar.slider("Smoothing", 0.0, 0.99, 0.0)
if not metrics:
    st.info("Choose a metric")
    st.stop()

charts = api.get_metrics_for_chart([e.id for e in experiments], metrics)
figure = go.Figure()
for experiment in experiments:
    for curve in charts[experiment.id]["metrics"]:
        values, last = [], None
        for value in curve["values"]:
            last = value if last is None else weight * last + (1 - weight) * value
            values.append(last)
        color = colors.get(experiment.id, {}).get("primary")
        figure.add_scatter(
            x=curve["steps"], y=values, name=f"{experiment.name} {curve['metricName']}", line={"color": color}
        )
figure.update_layout(height=400, margin={"t": 20})
st.plotly_chart(figure, use_container_width=True)

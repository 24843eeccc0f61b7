"""A parameter against a metric, read once for all viewers, chosen in a form."""

import pandas as pd
import plotly.express as px
import streamlit as st
from comet_ml import API


@st.cache_data(ttl=60)
def read(keys, metric):
    api = API()
    rows = []
    for key in keys:
        experiment = api.get_experiment_by_key(key)
        summary = experiment.get_metrics_summary(metric)
        parameters = {one["name"]: one["valueCurrent"] for one in experiment.get_parameters_summary()}
        rows.append({"name": experiment.name, metric: float(summary["valueCurrent"]), **parameters})
    return pd.DataFrame(rows)


api = API()
with st.form("choice"):
    metric = st.selectbox("Metric", api.get_panel_metrics_names())
    log_x = st.checkbox("Log x")
    submitted = st.form_submit_button("Draw")

frame = read(tuple(api.get_panel_experiment_keys()), metric)
st.plotly_chart(px.scatter(frame, x="lr", y=metric, hover_name="name", log_x=log_x))
st.caption(f"{len(frame)} experiments" + (", drawn on request" if submitted else ""))

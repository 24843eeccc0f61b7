"""Every metric at one step, as bars."""

import plotly.express as px
import streamlit as st
from comet_ml import API

api = API()
metrics = api.get_panel_metrics_names()
frame = api.get_metrics_df(api.get_panel_experiment_keys(), metrics, interpolate=False)
step = st.sidebar.slider("Step", int(frame["step"].min()), int(frame["step"].max()))
at = frame.loc[frame["step"] == step]
for metric, column in zip(metrics, st.columns(len(metrics)), strict=True):
    column.plotly_chart(px.bar(at, x="experiment_name", y=metric), key=metric)
st.dataframe(at[["experiment_name", *metrics]], hide_index=True)

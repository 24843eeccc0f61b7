"""Summaries as numbers at the top, and a file of them to take along."""

import pandas as pd
import streamlit as st
from comet_ml import API

api = API()
rows = [
    {"experiment": experiment.name, "metric": one["name"], "last": one["valueCurrent"], "min": one["valueMin"]}
    for experiment in api.get_panel_experiments()
    for one in experiment.get_metrics_summary()
]
frame = pd.DataFrame(rows)
count, metrics = st.columns(2)
count.metric("Experiments", frame["experiment"].nunique())
metrics.metric("Metrics", frame["metric"].nunique())
st.download_button("Download CSV", frame.to_csv(index=False), file_name="summaries.csv", mime="text/csv")
with st.expander("All rows"):
    st.dataframe(frame)

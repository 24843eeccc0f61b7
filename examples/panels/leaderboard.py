"""A table of the best runs, with links to their pages."""

import pandas as pd
import streamlit as st
from comet_ml import API

st.set_page_config(layout="wide")
api = API()
experiments = api.get_panel_experiments()
metric = st.sidebar.selectbox("Metric", api.get_panel_metrics_names(), key="metric")
order = st.sidebar.radio("Best is", ["lowest", "highest"], horizontal=True)
top = st.sidebar.slider("Rows", min_value=1, max_value=20, value=5)

rows = []
for experiment in experiments:
    summary = experiment.get_metrics_summary(metric)
    if not summary:
        continue
    rows.append(
        {
            "name": experiment.get_name(),
            "best": float(summary["valueMin"] if order == "lowest" else summary["valueMax"]),
            "link": experiment.url,
        }
    )
table = pd.DataFrame(rows).sort_values("best", ascending=order == "lowest").head(top)
st.subheader(f"Best {metric}")
st.dataframe(
    table,
    hide_index=True,
    column_config={"link": st.column_config.LinkColumn("page", display_text="open")},
)

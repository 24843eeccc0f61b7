"""How far training is: runs again whenever there are new points."""

import streamlit as st
from comet_ml import API, ui

ui.refresh(0.5)
api = API()
for experiment in api.get_panel_experiments():
    metrics = experiment.get_metrics_summary()
    points = max((int(one["stepCurrent"] or 0) for one in metrics), default=0)
    st.write(f"{experiment.name}: step {points}")
st.line_chart({"a": [1, 3, 2]})

"""A histogram of the last values, by numpy and matplotlib's pyplot."""

import matplotlib.pyplot as plt
import numpy as np
import streamlit as st
from comet_ml import API

api = API()
metric = st.sidebar.selectbox("Metric", api.get_panel_metrics_names())
bins = st.sidebar.number_input("Bins", min_value=2, max_value=50, value=5)
summaries = [experiment.get_metrics_summary(metric) for experiment in api.get_panel_experiments()]
values = np.array([float(one["valueCurrent"]) for one in summaries if one])
plt.figure(figsize=(5, 3))
plt.hist(values, bins=int(bins))
plt.xlabel(metric)
st.pyplot(plt.gcf())
st.write("mean", values.mean(), "std", values.std())

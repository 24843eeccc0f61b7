"""What is chosen stands in the address, so that a link opens it."""

import streamlit as st
from comet_ml import API

api = API()
names = [experiment.name for experiment in api.get_panel_experiments()]
wanted = st.query_params.get("run", names[0])
name = st.selectbox("Run", names, index=names.index(wanted) if wanted in names else 0)
st.query_params["run"] = name
st.write(f"Chosen: **{name}**")
st.link_button("Documentation", "https://example.org/docs")

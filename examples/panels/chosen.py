"""A question in the query language of the client, and its experiments in a table."""

import pandas as pd
import streamlit as st
from comet_ml import API
from comet_ml.api import Metric, Parameter

api = API()
most = st.number_input("Highest final loss", value=10.0, step=0.5)
found = api.query(
    api.get_panel_workspace(), api.get_panel_project_name(), (Metric("loss") <= most) & (Parameter("lr") > 0)
)
st.success(f"{len(found)} experiments") if found else st.warning("no experiment is that good")
st.dataframe(pd.DataFrame({"name": [one.name for one in found], "key": [one.id for one in found]}))

# ruff: noqa: F821, UP031
from comet_ml import API

# `st` and a `print` that shows on the page are there without an import.
st.set_page_config(layout="wide")
experiments = API().get_panel_experiments()
print("### Summary")
print("<b>%d</b> experiments" % len(experiments))
with st.sidebar:
    name = st.selectbox("Experiment", [experiment.name for experiment in experiments])
print("Chosen:", name)

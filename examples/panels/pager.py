"""One run at a time: what a session keeps between clicks, and callbacks."""

import streamlit as st
from comet_ml import API

experiments = API().get_panel_experiments()
if "place" not in st.session_state:
    st.session_state.place = 0


def move(by):
    st.session_state.place = (st.session_state.place + by) % len(experiments)


before, middle, after = st.columns([1, 4, 1])
before.button("Previous", on_click=move, args=(-1,))
after.button("Next", on_click=move, args=(1,))
experiment = experiments[st.session_state.place]
middle.markdown(f"### {experiment.name} ({st.session_state.place + 1} of {len(experiments)})")

with st.expander("Parameters", expanded=True):
    st.write({one["name"]: one["valueCurrent"] for one in experiment.get_parameters_summary()})
st.text_area("Notes", experiment.notes or "none", disabled=True)

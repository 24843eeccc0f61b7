"""All of the client's widgets, in the sidebar and in columns."""

import streamlit as st
from comet_ml import API, ui

api = API()
with st.sidebar:
    text = ui.input("Text", "hello", key="text")
    many = ui.dropdown("Experiments", api.get_panel_experiments(), multiple=True)
    number = ui.slider("Number", 0, 10, 4)
ui.display(text, number, [one.name for one in many])
left, right = ui.columns(2)
left.display_text("left")
right.checkbox("right")
ui.progress("done", 40)
if st.button("Count"):
    ui.session_state["count"] = ui.session_state.get("count", 0) + 1
st.write("count", ui.session_state.get("count", 0))

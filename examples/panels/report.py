"""A report: Markdown, HTML, a drawing, and styles."""

from comet_ml import API, ui

api = API()
ui.add_css("h2 { color: teal; }")
ui.display("## Report", format="markdown")
wide, narrow = ui.columns([3, 1])
lines = [f"- **{one.name}**: {one.status}" for one in api.get_panel_experiments()]
wide.display_markdown("\n".join(lines))
narrow.display_image(
    "<svg xmlns='http://www.w3.org/2000/svg' width='80' height='80'><circle cx='40' cy='40' r='30'/></svg>",
    format="svg",
)
ui.display(f"<p>Made of <b>{api.get_panel_project_name()}</b></p>")
first, second = ui.tabs(["Text", "Size"])
first.display_text("plain *text*")
second.display_text(str(api.get_panel_size()), ui.get_theme())
if ui.button("Say more"):
    ui.display_text("more")

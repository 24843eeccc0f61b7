"""What a live panel stands on: its file as Python, `comet_ml` in its process, and the names of `ui`."""

import importlib
import inspect
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.wheels import wheel_of
from runstream.errors import Invalid
from runstream.panels import UI, shim
from runstream.panels.installing import NotInstalled, installed, missing, told
from runstream.panels.preparing import prepared
from runstream.panels.script import is_inside
from runstream.panels.streamlit_ui import StreamlitUI

#: Of comet_ml 3.58.
NAMES = (
    *("add_css", "button", "checkbox", "columns", "display", "display_figure", "display_image", "display_markdown"),
    *("display_plotly_figure", "display_text", "dropdown", "get_progress", "input", "progress", "reset_progress"),
    *("session_state", "set_css"),
)


@pytest.fixture
def shimmed() -> Iterator[None]:
    shim.install()
    shim.install()
    yield
    shim.uninstall()
    assert "comet_ml" not in sys.modules


def test_both_interfaces_have_the_names_of_the_client_and_each_others() -> None:
    here, there = ({name for name in dir(one) if not name.startswith("_")} for one in (UI, StreamlitUI))
    assert here == there
    assert here >= set(NAMES)


def test_both_interfaces_take_the_same_first_arguments() -> None:
    for name in NAMES:
        if name == "session_state":
            continue
        here, there = (inspect.signature(getattr(one, name)).parameters for one in (UI, StreamlitUI))
        assert list(here)[1] == list(there)[1] if len(there) > 1 else True, name


def test_a_panel_without_such_lines_is_itself() -> None:
    source = "text = '''\n%pip install x\n'''\n"
    assert prepared(source).source == source
    assert prepared(source).packages == ()


def test_lines_that_install_keep_their_place_and_name_packages() -> None:
    source = (
        "import os\n%pip install -q -U seaborn 'altair>=5,<6' # for it\nif True:\n    !pip install wandb[media]\n1/0\n"
    )
    made = prepared(source, installs=True)
    assert made.packages == ("seaborn", "altair>=5,<6", "wandb[media]")
    assert made.source.split("\n") == ["import os", "pass", "if True:", "    pass", "1/0", ""]
    assert "told(['seaborn', 'altair>=5,<6'])" in prepared(source).source.split("\n")[1]


@pytest.mark.parametrize(
    "wanted",
    [
        "--index-url https://evil.example x",
        "-r requirements.txt",
        "./here",
        "x @ https://evil.example/x.whl",
        "git+https://evil.example/x",
        "/etc/x",
        "'x; import os'",
        "x" * 300,
        '"unclosed',
    ],
)
def test_a_line_that_installs_anything_but_packages_is_refused(wanted: str) -> None:
    with pytest.raises(Invalid, match="line 1 of the panel"):
        prepared(f"%pip install {wanted}\n")


def test_so_many_packages_are_a_mistake() -> None:
    with pytest.raises(Invalid, match="101 packages: at most 100"):
        prepared("%pip install " + " ".join(f"p{n}" for n in range(101)))


def test_missing_packages_are_told_where_they_would_be_installed(capsys: pytest.CaptureFixture[str]) -> None:
    told(["pytest", "pytest>=1"])
    assert capsys.readouterr().out == ""
    told(["pytest", "no-such-package-of-ours>=1"])
    assert "no-such-package-of-ours>=1, and this server installs nothing" in capsys.readouterr().out


@pytest.mark.usefixtures("shimmed")
def test_imports_of_the_client_give_ours() -> None:
    import comet_ml
    from comet_ml import API, APIExperiment, ui
    from comet_ml.api import Metric
    from comet_ml.query import Parameter

    import runstream

    assert (API, ui) == (runstream.API, runstream.ui)
    query = importlib.import_module("runstream.query")
    assert (Metric, Parameter) == (query.Metric, query.Parameter)
    assert comet_ml.api.API is API
    assert comet_ml.init(api_key="x") is None
    assert comet_ml.__version__ == runstream.__version__
    assert not isinstance(1, APIExperiment)


def test_where_the_client_is_installed_its_name_means_ours_in_a_panel_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "comet_ml").mkdir()
    (tmp_path / "comet_ml" / "__init__.py").write_text("API = 'the real one'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("comet_ml").API == "the real one"
    (tmp_path / "comet_ml" / "data_structure.py").write_text("from comet_ml.query import Metric\nHistogram = Metric\n")
    shim.install()
    try:
        assert importlib.import_module("comet_ml").API is importlib.import_module("runstream").API
        theirs, query = (importlib.import_module(name) for name in ("comet_ml.data_structure", "runstream.query"))
        assert theirs.Histogram is query.Metric, "what is not ours is theirs"
    finally:
        shim.uninstall()
    assert importlib.import_module("comet_ml").API == "the real one"
    del sys.modules["comet_ml"]


@pytest.mark.usefixtures("shimmed")
def test_what_writes_is_refused_when_it_is_called() -> None:
    from comet_ml import Experiment, start

    for write in (Experiment, start):
        with pytest.raises(shim.NotInPanels, match="a panel only reads"):
            write()
    with pytest.raises(shim.NotInPanels, match="a panel only reads"):
        importlib.import_module("comet_ml").APIExperiment(workspace="w")


@pytest.mark.usefixtures("shimmed")
def test_what_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="comet_ml of a panel has no 'Nothing': it has API"):
        _ = importlib.import_module("comet_ml").Nothing
    with pytest.raises(ModuleNotFoundError, match=r"a panel of Runstream has no comet_ml\.connection"):
        importlib.import_module("comet_ml.connection")


def test_a_script_is_no_panel_of_streamlit() -> None:
    assert not is_inside()


def test_packages_are_installed_once(tmp_path: Path) -> None:
    wheel_of("panel_package_of_ours", tmp_path / "wheels")
    pip = {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    assert missing(["pytest", "panel_package_of_ours"]) == ["panel_package_of_ours"]
    folder = installed(["panel_package_of_ours"], tmp_path / "cache", pip)
    assert "ANSWER = 42" in (folder / "panel_package_of_ours.py").read_text()
    shutil.rmtree(tmp_path / "wheels")
    assert installed(["panel_package_of_ours"], tmp_path / "cache", pip) == folder, "without pip"
    with pytest.raises(NotInstalled, match=r"no-such-package-of-ours|No matching distribution"):
        installed(["no-such-package-of-ours"], tmp_path / "cache", pip)
    assert [one.name for one in (tmp_path / "cache").iterdir()] == [folder.name], "nothing is left of what failed"

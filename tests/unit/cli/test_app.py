"""How commands end: exit codes and what stands where."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from runstream_infra.cli import app
from runstream_infra.cli.exits import (
    BAD_INPUT,
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    NOT_EVERYTHING,
    OK,
    UNREACHABLE,
    BadInput,
    Failed,
    NotEverything,
    Unreachable,
)


def command_that(end: Callable[[], object]) -> click.Group:
    group = click.Group("runstream")
    group.add_command(click.Command("act", callback=end))
    return group


def raising(error: BaseException) -> Callable[[], object]:
    def end() -> object:
        raise error

    return end


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda: None, OK),
        (lambda: 4, 4),
        (raising(Failed("a")), FAILED),
        (raising(BadInput("a")), BAD_INPUT),
        (raising(Unreachable("a")), UNREACHABLE),
        (raising(NotEverything("a")), NOT_EVERYTHING),
        (raising(click.UsageError("a")), BAD_INPUT),
        (raising(KeyboardInterrupt()), INTERRUPTED),
        (raising(click.Abort()), INTERRUPTED),
        (raising(BrokenPipeError()), OK),
        (raising(ZeroDivisionError("a")), FAILED),
    ],
)
def test_every_end_has_its_exit_code(
    end: Callable[[], object], code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "cli", command_that(end))
    monkeypatch.setattr(app, "_discard_stdout", lambda: None)
    assert app.run(["act"]) == code
    assert capfd.readouterr().out == ""


def test_an_error_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "cli", command_that(raising(BadInput("no such\nrun: look it up", "  abc\n  ^"))))
    app.run(["act"])
    assert capfd.readouterr().err == "runstream: no such run: look it up\n  abc\n  ^\n"


def test_ctrl_c_is_not_talked_about(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(app, "cli", command_that(raising(KeyboardInterrupt())))
    assert app.run(["act"]) == INTERRUPTED
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.strip() == ""  # the end of the line on which the terminal shows ^C


def test_a_fault_of_ours_shows_where_only_when_requested(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "cli", command_that(raising(ZeroDivisionError("boom"))))
    monkeypatch.delenv("RUNSTREAM_DEBUG", raising=False)
    assert app.run(["act"]) == FAILED
    assert capfd.readouterr().err == (
        "runstream: unexpected ZeroDivisionError: boom (set RUNSTREAM_DEBUG=1 to see where)\n"
    )
    monkeypatch.setenv("RUNSTREAM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        app.run(["act"])


def test_an_unknown_option_names_the_command_whose_help_tells_more(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["runs", "--colour"]) == BAD_INPUT
    output = capfd.readouterr().err
    assert output.startswith("runstream: no such option")
    assert "runstream runs --help" in output
    assert output.count("\n") == 1


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by what is typed, those of groups included."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


@pytest.mark.parametrize(("name", "command"), list(commands(app.cli)))
def test_every_command_has_help_with_an_example_and_answers_in_json(name: str, command: click.Command) -> None:
    assert command.help
    assert "Examples:" in (command.epilog or "")
    assert f"runstream {name}" in (command.epilog or "")
    assert any("--json" in parameter.opts for parameter in command.params)


def test_the_help_lists_every_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help"]) == OK
    shown = capfd.readouterr().out
    for code, meaning in EXIT_CODES:
        assert any(str(code) in line and meaning in line for line in shown.splitlines())


def test_help_loads_neither_the_server_nor_the_client() -> None:
    """Speed itself depends on the machine; what is loaded does not."""
    code = (
        "import sys; from runstream_infra.cli import app; app.run(['--help']);"
        "loaded = {m.partition('.')[0] for m in sys.modules};"
        "print(sorted(loaded & {'pydantic', 'rich', 'runstream', 'runstream_query', 'aiohttp', 'numpy', 'pyarrow'}),"
        " file=sys.stderr)"
    )
    response = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert response.stderr.strip() == "[]"


def test_version_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["version", "--json"]) == OK
    assert set(json.loads(capfd.readouterr().out)) == {"runstream", "python", "server"}


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "runstream_infra.cli", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    output = process.stderr.read()
    process.stderr.close()
    assert process.wait() == OK
    assert output == b""

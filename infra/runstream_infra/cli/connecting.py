"""The client of a command: `runstream.API` over the settings, and what its errors mean for a command."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.exits import BadInput, CommandError, Failed, Unreachable

if TYPE_CHECKING:
    from runstream.api import API, Refused
    from runstream.settings import Settings

#: A full read of a long curve is slow to begin; everything else responds in well under a second.
TIMEOUT_S: Final = 60.0


@contextlib.contextmanager
def connected(url: str | None, api_key: str | None) -> "Iterator[API]":
    """Yield the API of the server that options, environment and files name, in that order; its errors leave the block
    as those of a command. Raises BadInput."""
    settings = client_settings(url=url, api_key=api_key)
    with explained(settings.values.url):
        yield api_of(settings)


def api_of(settings: "Settings", timeout_s: float = TIMEOUT_S) -> "API":
    """Return the API of the server of these settings. `timeout_s` bounds every wait for it."""
    from runstream.api import API, Session

    values = settings.values
    return API.over(Session(values.url, secret_of(settings), timeout_s=timeout_s))


def secret_of(settings: "Settings") -> str | None:
    """Return the key of these settings."""
    key = settings.values.api_key
    return key.get_secret_value() if key else None


def client_settings(**arguments: Any) -> "Settings":
    """Load the client's settings, as `runstream.init` would see them here. Raises BadInput."""
    from runstream.errors import InvalidSetting
    from runstream.settings import load_settings

    try:
        settings = load_settings(**arguments)
    except InvalidSetting as error:
        raise BadInput(str(error)) from None
    for note in settings.notes:
        click.echo(note, err=True)
    return settings


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Raise the client's errors as what they mean for a command."""
    from runstream.api import Refused, ServerFailed, ServerUnreachable
    from runstream.errors import Invalid

    try:
        with _told():
            yield
    except ServerUnreachable as error:
        raise Unreachable(str(error)) from None
    except ServerFailed as error:
        raise Failed(str(error)) from None
    except Refused as error:
        raise refusal(error, url) from None
    except Invalid as error:
        raise BadInput(str(error)) from None


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Write to stderr what the server tells of names that nothing has; each once."""
    from runstream.api import UnknownName

    told: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", UnknownName)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **further: Any) -> None:
            if not issubclass(category, UnknownName):
                shown(message, category, *rest, **further)
            elif str(message) not in told:
                told.add(str(message))
                click.echo(f"runstream: {message}", err=True)

        warnings.showwarning = show
        yield


def refusal(error: "Refused", url: str) -> CommandError:
    """Return what a response that refuses (RFC 9457) means for a command. Pure."""
    problem = error.problem
    detail = str(problem.get("detail") or problem.get("title") or "the request was refused")
    if problem.get("status") in (401, 403):
        return Unreachable(f"{url} does not let this in: {detail} (--api-key or RUNSTREAM_API_KEY)")
    pointed = problem.get("pointed")
    shown = "\n".join(f"  {line}" for line in pointed.splitlines()) if isinstance(pointed, str) else ""
    return BadInput(detail, shown)

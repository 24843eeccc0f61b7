"""How a run ends: the status, and the event that says it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from runstream.client.content.text import clean

if TYPE_CHECKING:
    from runstream.events.control import RunFinished

EndStatus = Literal["finished", "failed", "killed"]
#: A traceback is there to be read; the end of it says the most.
_MAX_TRACEBACK_CHARS: Final = 30_000
_MAX_MESSAGE_CHARS: Final = 2_000
_MAX_LOOKED_AT_CHARS: Final = 100_000


def status_of(error: BaseException | None) -> EndStatus:
    """How a run ends whose code raised `error`."""
    match error:
        case None:
            return "finished"
        case KeyboardInterrupt():
            return "killed"
        case SystemExit():
            return "failed" if error.code else "finished"
        case _:
            return "failed"


def end_event(
    status: EndStatus,
    message: str | None,
    error: BaseException | None,
    at_us: int,
    mask: Callable[[str], str] = str,
) -> "RunFinished":
    """The last event of a writer. Without a message, that of `error` counts. `mask` hides the secrets in both."""
    import traceback

    from runstream.events.control import RunFinished

    trace = None
    if error is not None:
        message = message or f"{type(error).__name__}: {error}"
        # Hidden before it is cut: half a key is known by nothing.
        trace = mask("".join(traceback.format_exception(error))[-_MAX_LOOKED_AT_CHARS:])[-_MAX_TRACEBACK_CHARS:]
    return RunFinished(
        at_us=at_us,
        status=status,
        message=clean(mask(message[:_MAX_LOOKED_AT_CHARS])[:_MAX_MESSAGE_CHARS]) if message else None,
        traceback=clean(trace) if trace else None,
    )

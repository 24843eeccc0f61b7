"""Responses of another form than a Runstream server's become ServerFailed."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any, Final, TypeVar

from runstream.api.errors import ServerFailed
from runstream.api.session import Session
from runstream.api.transport import IS_IT_OURS, shortened
from runstream.errors import RunstreamError

_Part = TypeVar("_Part", bound=type)
#: What Python raises where JSON has another form than it is taken to have.
_MISUNDERSTOOD: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def reads_responses(part: _Part) -> _Part:
    """Decorate a class with a `_session`: where one of its public methods stumbles over a response of another form than
    a Runstream server's, it raises ServerFailed."""
    for name, method in list(vars(part).items()):
        if inspect.isfunction(method) and (name[0] != "_" or name == "__call__"):
            setattr(part, name, _guarded(method))
    return part


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        with understood(self._session):
            result = method(self, *arguments, **options)
        return _guarded_steps(self._session, result) if isinstance(result, GeneratorType) else result

    return call


def _guarded_steps(session: Session, steps: Iterator[Any]) -> Iterator[Any]:
    # A step may go wrong because of a response that came in an earlier one.
    before = session.responses
    while True:
        try:
            with understood(session, before):
                step = next(steps)
        except StopIteration:
            return
        yield step


@contextmanager
def understood(session: Session, before: int | None = None) -> Iterator[None]:
    """Blame what goes wrong in here after a response came on that response. `before`: how many responses had come when
    the work began, if not only now."""
    if before is None:
        before = session.responses
    try:
        yield
    except RunstreamError:
        raise
    except _MISUNDERSTOOD as error:
        if session.responses == before:
            raise
        raise ServerFailed(
            f"the response of {session.url} has an unknown form ({shortened(error)}): {IS_IT_OURS}"
        ) from error

"""Methods of a part, under a name of the whole."""

from collections.abc import Callable
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Method = TypeVar("_Method")


class _Forward:
    def __init__(self, part: str, method: Callable[..., Any]) -> None:
        self.part: Final = part
        self.method: Final = method
        self.__doc__ = method.__doc__

    def _get(self, whole: object | None) -> Any:
        """Return the part's method, bound to the part of `whole`."""
        return self.method if whole is None else getattr(getattr(whole, self.part), self.method.__name__)


class forward(_Forward, Generic[_P, _R]):
    """An attribute that is a method of a part: `rename = forward("runs", RunCalls.rename)`."""

    def __init__(self, part: str, method: Callable[Concatenate[Any, _P], _R]) -> None:
        super().__init__(part, method)

    @overload
    def __get__(self, whole: None, kind: type) -> Callable[Concatenate[Any, _P], _R]: ...
    @overload
    def __get__(self, whole: object, kind: type) -> Callable[_P, _R]: ...
    def __get__(self, whole: object | None, kind: type) -> Any:
        return self._get(whole)


class forward_as(_Forward, Generic[_Method]):
    """The same of a method that has several signatures, which are those of a protocol:
    `read = forward_as[Reads]("files", Files.read)`."""

    @overload
    def __get__(self, whole: None, kind: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, whole: object, kind: type) -> _Method: ...
    def __get__(self, whole: object | None, kind: type) -> Any:
        return self._get(whole)

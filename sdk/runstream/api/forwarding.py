"""Methods of a part, under a name of the whole."""

from collections.abc import Callable
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")


class forward(Generic[_P, _R]):
    """An attribute that is a method of a part: `rename = forward("runs", RunCalls.rename)`."""

    def __init__(self, part: str, method: Callable[Concatenate[Any, _P], _R]) -> None:
        self.part: Final = part
        self.method: Final = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, whole: None, kind: type) -> Callable[Concatenate[Any, _P], _R]: ...
    @overload
    def __get__(self, whole: object, kind: type) -> Callable[_P, _R]: ...
    def __get__(self, whole: object | None, kind: type) -> Callable[Concatenate[Any, _P], _R] | Callable[_P, _R]:
        """Return the part's method, bound to the part of `whole`."""
        if whole is None:
            return self.method
        method: Callable[_P, _R] = getattr(getattr(whole, self.part), self.method.__name__)
        return method

"""Errors that every protocol has, before each gives them the form that its client reads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runstream_service.problems import ErrorMapping, Problem, problem_of


class Refused(Problem):
    """A request that cannot be done as it is."""

    def __init__(self, detail: str, *, status: int = 400, **extensions: Any) -> None:
        super().__init__(status, "refused", "The request cannot be done", detail, **extensions)


@contextmanager
def shaped(shape: Callable[[Problem], Problem], mappings: Sequence[ErrorMapping] = ()) -> Iterator[None]:
    """For the block, raise each error that means something to a client as `shape` makes it; others pass unchanged.

    mappings: what else errors mean, beside `runstream_service.problems.problem_of`; the first that knows one counts.
    """
    try:
        yield
    except Exception as error:
        found = (mapping(error) for mapping in (*mappings, problem_of))
        problem = next((problem for problem in found if problem is not None), None)
        if problem is None:
            raise
        raise shape(problem) from error

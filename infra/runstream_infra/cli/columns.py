"""Which columns a table of runs has. Pure."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

#: What is worth seeing of any run.
DEFAULT_COLUMNS: Final = ("id", "name", "status", "project", "started", "duration")
#: One key of a list; a comma in quotes is part of a name.
_KEY: Final = re.compile(r"""(?:[^,"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')+""")


def row_key(member: str) -> str:
    """What a table calls a member of a run's row: `id`, `started`, `duration`, ..."""
    return "id" if member == "run" else member.removesuffix("_at").removesuffix("_s")


@cache
def row_members() -> dict[str, str]:
    """Return the keys of columns that every row has, and the member of the row that each is."""
    from runstream_model.run_state import RUN_STATES

    return {row_key(column.name): column.name for column in RUN_STATES.visible}


@cache
def text_columns() -> tuple[str, ...]:
    """Return the keys of columns that are texts, in the order of the row."""
    from runstream_model.projection import TEXT
    from runstream_model.run_state import RUN_STATES

    return tuple(row_key(column.name) for column in RUN_STATES.visible if column.kind == TEXT)


def chosen_columns(text: str | None) -> list[str]:
    """The keys of `--columns`, in order, each once."""
    return list(dict.fromkeys(key.strip() for key in _KEY.findall(text or "") if key.strip()))


def expanded_columns(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of `--columns`, globs (`param.*`, `metric.val/*`) replaced by the columns of `rows` that they mean."""
    found = {key: None for row in rows for key in row if key not in row_members()}
    named: dict[str, None] = {}
    for key in keys:
        if not is_glob_of_columns(key):
            named[key] = None
            continue
        named |= dict.fromkeys(one for one in sorted(found) if _means(key, one))
    return list(named)


def is_glob_of_columns(key: str) -> bool:
    """Return whether `key` means several columns."""
    from runstream.globs import is_glob

    return is_glob(key) and not ('"' in key or "'" in key)


def _means(glob: str, key: str) -> bool:
    from runstream.globs import matcher

    return matcher(glob.removesuffix(".last"))(key.replace('"', ""))


def filter_columns(filter_text: str, sort: str | None) -> list[str]:
    """The fields that a filter and a sort key look at, as columns: whoever asks for runs with a loss below 0.1 wants to
    see the loss. Those of the filter only where it has no mistake: the server decides what is one and points at it."""
    named = [key.lstrip("-") for key in chosen_columns(sort)]
    if filter_text.strip():
        named += _fields(filter_text)
    shown = ["tags" if key == "tag" else key for key in named]
    return [key for key in dict.fromkeys(shown) if key not in DEFAULT_COLUMNS]


def _fields(filter_text: str) -> list[str]:
    from runstream_query.filters import FilterError, fields_of, parse, print_field

    try:
        return sorted(print_field(field) for field in fields_of(parse(filter_text)))
    except FilterError:
        return []

"""Which columns a table of runs has. Pure."""

from typing import Final

#: What is worth seeing of any run.
DEFAULT_COLUMNS: Final = ("id", "name", "status", "project", "started", "duration")


def chosen_columns(text: str | None) -> list[str]:
    """The keys of `--columns`, in order, each once. A comma in quotes is part of a name."""
    from runstream_query.sql.pages import split_fields

    return list(dict.fromkeys(split_fields(text or "")))


def filter_columns(filter_text: str, sort: str | None) -> list[str]:
    """The fields that a filter and a sort key look at, as columns: whoever asks for runs with a loss below 0.1 wants to
    see the loss. Empty where one has a mistake; the server, which decides what is one, points at it."""
    from runstream_query.filters import FilterError, fields_of, parse, print_field
    from runstream_query.sql.pages import parse_sort

    try:
        fields = [key.field for key in parse_sort(sort or "")]
        fields += sorted(fields_of(parse(filter_text)), key=print_field) if filter_text.strip() else []
    except FilterError:
        return []
    keys = ["tags" if field.kind == "tag" else print_field(field) for field in fields]
    return [key for key in dict.fromkeys(keys) if key not in DEFAULT_COLUMNS]

"""Conditions on where in the log a row comes from: a prefix of the log, or what is behind one."""

from runstream.events.positions import Positions
from runstream_query.repositories.statements.parameters import Parameters


def within(prefix: Positions, parameters: Parameters) -> str:
    """Rows from the log's records before `prefix`."""
    conditions = [
        f"(part = {parameters.integer(part)} AND offset < {parameters.bind(offset, 'UInt64')})"
        for part, offset in prefix
    ]
    return "(" + " OR ".join(conditions) + ")" if conditions else "0"


def beyond(seen: Positions, parameters: Parameters) -> str:
    """Rows from the log's records that `seen` does not cover; every row of a partition that is at its beginning."""
    known = [part for part, _ in seen]
    conditions = [
        f"(part = {parameters.integer(part)} AND offset >= {parameters.bind(offset, 'UInt64')})"
        for part, offset in seen
    ]
    conditions.append(f"NOT has({parameters.bind(known, 'Array(Int64)')}, part)")
    return "(" + " OR ".join(conditions) + ")"

"""Tables of points and buckets as one Arrow IPC stream, sent as fast as its reader takes it."""

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import pyarrow as pa
from aiohttp import web

from runstream_query.http.context import Context
from runstream_query.http.sending import Packing, tag_headers
from runstream_query.http.serving import POSITION_HEADER

ARROW: Final = "application/vnd.apache.arrow.stream"
#: Rows of 40 bytes: 2.6 MB are written while the reader takes in what was written before.
_BATCH_ROWS: Final = 65_536
POINTS_SCHEMA: Final = pa.schema(
    [
        ("run", pa.dictionary(pa.int32(), pa.string())),
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("value", pa.float64()),
        ("writer", pa.uint64()),
    ]
)
ENVELOPE_FIELDS: Final = [
    ("run", pa.dictionary(pa.int32(), pa.string())),
    ("metric", pa.dictionary(pa.int32(), pa.string())),
    ("first_step", pa.int64()),
    ("last_step", pa.int64()),
    ("count", pa.uint64()),
    ("nan_count", pa.uint64()),
    ("min", pa.float64()),
    ("max", pa.float64()),
    ("mean", pa.float64()),
]


async def stream_tables(
    context: Context,
    request: web.Request,
    schema: pa.Schema,
    tables: AsyncGenerator[pa.Table, None],
    headers: dict[str, str],
) -> web.StreamResponse:
    """Send the tables as one Arrow IPC stream. The first is read before the response begins, so that its error is a
    response."""
    position = str(context.visibility.visible())
    with context.outgoing.stream(request):
        async with aclosing(tables):
            first = await anext(tables, None)
            packing = Packing(request, 0 if first is None else first.nbytes)
            own = {"Content-Type": ARROW, POSITION_HEADER: position, **tag_headers(request), **packing.headers}
            response = web.StreamResponse(headers={**own, **headers})
            await response.prepare(request)
            sink = _Sink()
            writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema)

            def write(batch: pa.RecordBatch) -> bytes:
                writer.write_batch(batch)
                return packing.pack(sink.take())

            table = first
            first = None
            while table is not None:
                fitting = await asyncio.to_thread(lambda rows: _encoded(rows).cast(schema), table)
                table = None
                for batch in fitting.to_batches(max_chunksize=_BATCH_ROWS):
                    if data := await asyncio.to_thread(write, batch):
                        await context.outgoing.write(request, response, data)
                del fitting
                table = await anext(tables, None)
            writer.close()
            await context.outgoing.write(request, response, packing.end(sink.take()))
            await response.write_eof()
            return response


def _encoded(table: pa.Table) -> pa.Table:
    """The names as dictionaries: one text a series instead of one a point."""
    for name in ("run", "metric"):
        if name not in table.column_names:
            continue
        at = table.column_names.index(name)
        if pa.types.is_dictionary(table.schema.field(at).type):
            continue
        table = table.set_column(at, name, table.column(name).dictionary_encode().combine_chunks())
    return table


class _Sink(io.RawIOBase):
    """Collects what an Arrow writer writes until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken

"""Live updates by Server-Sent Events: what changed in the read models, as it becomes visible.

A stream holds no queue. It remembers the position up to which it has told everything, and what follows comes from the
feed of its scope (`Feed`), which all streams with that scope share. A reader that is slower than what the feed keeps
is told the newest state of everything behind its position instead. So it costs no memory and misses nothing: it is
told fewer intermediate states. The position is the `id` of the last message of a tick, and a stream that resumes with
it (Last-Event-ID) goes on exactly there; a row may be told twice, never left out.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic import Field as ModelField

from runstream.events.limits import MAX_METRIC_NAME_BYTES
from runstream.events.moments import moment_of
from runstream.events.positions import InvalidPositions, Positions
from runstream_query.errors import InvalidRequest, TooBusy
from runstream_query.http.context import Context
from runstream_query.http.feeds import KINDS, Feed, Kind, Watched, message_of
from runstream_query.http.requests import MAX_POSITION_CHARS, RequestParameters
from runstream_query.http.tails import Followed
from runstream_query.http.unknown import unknown_header, unknown_metrics, unknown_place
from runstream_query.live_responses import Changes, ServerClock
from runstream_query.repositories.arguments import Place, TailAxis
from runstream_query.repositories.selection import Selection
from runstream_service.access import Action
from runstream_service.protocol import keep_little_unsent
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

EVENT_STREAM: Final = "text/event-stream"
#: What `RUNSTREAM_QUERY_LIVE_TAILS` can allow: a body of so many has a tenth of its values left.
MAX_TAILS: Final = 7_000
#: Names of metrics that a stream's are looked for among.
_METRICS: Final = 10_000


class LiveParameters(RequestParameters):
    runs: list[str] = ModelField(default_factory=list, max_length=1000, description="run ids; none means all")
    workspace: str | None = None
    project: str | None = None
    metrics: list[str] = ModelField(default_factory=list, max_length=100, description="names or globs; none means all")
    since: str | None = ModelField(
        default=None,
        max_length=MAX_POSITION_CHARS,
        description="begin behind this position (Last-Event-ID goes before)",
    )


class TailParameters(BaseModel):
    """The end of a curve, in the buckets that `/api/v1/charts` gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = ModelField(max_length=200)
    metric: str = ModelField(max_length=MAX_METRIC_NAME_BYTES)
    x: TailAxis = ModelField(default="step", description="what the axis is, as in /api/v1/charts")
    width: int = ModelField(ge=1, le=2**62, description="of a bucket, a power of two: the `width` of the series")
    low: int | None = ModelField(
        default=None,
        alias="from",
        ge=-(2**63),
        lt=2**63,
        description="the first place that is wanted: of points in front of it only `earlier` tells. None: all",
    )

    @field_validator("width")
    @classmethod
    def _is_a_power_of_two(cls, width: int) -> int:
        if width & (width - 1):
            raise ValueError("give a power of two, as the series of /api/v1/charts has it")
        return width


class FollowParameters(LiveParameters):
    tails: list[TailParameters] = ModelField(
        default_factory=list, max_length=MAX_TAILS, description="curves whose ends are told when they grow"
    )
    kinds: list[Kind] = ModelField(
        default=list(KINDS), min_length=1, max_length=len(KINDS), description="which messages are sent"
    )


async def follow(context: Context, call: Call[FollowParameters]) -> web.StreamResponse:
    """Tell what changes, and how the curves of `tails` grow. Says the server's clock at first and when nothing
    changes."""
    parameters = call.parameters
    if len(parameters.tails) > context.settings.live_tails:
        raise InvalidRequest(
            f"tails has {len(parameters.tails)} curves: at most {context.settings.live_tails} are allowed "
            "(RUNSTREAM_QUERY_LIVE_TAILS); follow those that are in sight",
            name="tails",
        )
    watched = Watched(_selection(parameters), _followed(parameters.tails), frozenset(parameters.kinds))
    return await _open(context, call, watched, tells_clock=True)


async def live(context: Context, call: Call[LiveParameters]) -> web.StreamResponse:
    """Tell what changes."""
    return await _open(context, call, Watched(_selection(call.parameters)), tells_clock=False)


def _selection(parameters: LiveParameters) -> Selection:
    return Selection(tuple(parameters.runs), parameters.workspace, parameters.project, tuple(parameters.metrics))


def _followed(tails: Iterable[TailParameters]) -> tuple[Followed, ...]:
    """Return each curve once, in one order: streams that follow the same ones share what is made for them."""
    lows: dict[tuple[str, str, TailAxis, int], int | None] = {}
    for tail in tails:
        key = (tail.run, tail.metric, tail.x, tail.width)
        other = lows.get(key, tail.low)
        lows[key] = None if tail.low is None or other is None else min(tail.low, other)
    return tuple(Followed(*key, low) for key, low in sorted(lows.items(), key=lambda item: item[0]))


async def _open(context: Context, call: Call[Any], watched: Watched, *, tells_clock: bool) -> web.StreamResponse:
    parameters = call.parameters
    if len(context.live) >= context.settings.max_live:
        raise TooBusy(
            f"{len(context.live)} live streams are open, which is the limit (RUNSTREAM_QUERY_MAX_LIVE): end one, ask "
            "for lists every few seconds instead, or try again later"
        )
    seen = _since(call.request.headers.get("Last-Event-ID") or parameters.since)
    if seen is None:
        seen = context.visibility.visible()
    mark = object()
    context.live.add(mark)
    try:
        with _feed(context, watched) as feed:
            told = await _unknown(context, parameters)
            return await _Stream(context, feed, seen, unknown_header(told), tells_clock).run(call.request)
    finally:
        context.live.discard(mark)


async def _unknown(context: Context, parameters: LiveParameters) -> list[str]:
    """Tell what the stream waits for and nothing there has yet."""
    told = await unknown_place(context, Place(parameters.workspace, parameters.project))
    if parameters.runs and parameters.metrics:
        found = await context.repositories.summaries.metrics(context.scope, parameters.runs, _METRICS)
        told += await unknown_metrics(context, parameters.runs, parameters.metrics, set(found))
    return told


@contextmanager
def _feed(context: Context, watched: Watched) -> Iterator[Feed]:
    """The feed of what is watched within the scope, which the first stream begins and the last one ends."""
    key = (context.scope, watched)
    feed: Feed | None = context.feeds.get(key)
    if feed is None or feed.is_over:
        feed = context.feeds[key] = Feed(context, watched)
    feed.streams += 1
    try:
        yield feed
    finally:
        feed.streams -= 1
        if not feed.streams:
            feed.end()
            if context.feeds.get(key) is feed:
                del context.feeds[key]


def _since(text: str | None) -> Positions | None:
    if text is None:
        return None
    if len(text) > MAX_POSITION_CHARS:
        raise InvalidRequest(
            f"Last-Event-ID has {len(text)} characters: give an id as a message had it", name="Last-Event-ID"
        )
    try:
        return Positions.parse(text)
    except InvalidPositions as error:
        raise InvalidRequest(f"Last-Event-ID: {error}", name="Last-Event-ID") from None


class _Stream:
    """One reader's stream, from its first byte to its last."""

    def __init__(
        self, context: Context, feed: Feed, seen: Positions, headers: Mapping[str, str], tells_clock: bool
    ) -> None:
        self._context = context
        self._headers = headers
        self._feed = feed
        self._seen = seen
        self._tells_clock = tells_clock
        #: The last event of the feed that was told, and the lost runs as they were told.
        self._number = 0
        self._lost: frozenset[str] | None = None

    async def run(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": EVENT_STREAM,
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
                **self._headers,
            }
        )
        settings = self._context.settings
        loop = asyncio.get_running_loop()
        try:
            await self._catch_up(request, response)
            beat_at = loop.time() + settings.live_heartbeat_s
            while not self._context.stopping.is_set():
                events = await self._feed.following(self._number, max(0.0, beat_at - loop.time()))
                if events is None or any(event.data is None for event in events):
                    await self._catch_up(request, response)
                else:
                    for event in events:
                        await self._write(response, event.data or b"")
                        self._number, self._seen, self._lost = event.number, self._seen.merged(event.seen), event.lost
                if loop.time() >= beat_at:
                    beat_at = loop.time() + settings.live_heartbeat_s
                    await self._write(response, self._sign_of_life())
            await self._write(response, b": the server stops\n\n")
            await response.write_eof()
        except TimeoutError:
            # The reader takes nothing: it comes back with the last id that it saw.
            if request.transport is not None:
                request.transport.abort()
        except ConnectionResetError:
            pass  # the reader is gone
        return response

    async def _catch_up(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell everything behind the position from the store. The first look comes before the response, so that a
        question which is refused is a problem, not a stream."""
        await self._feed.ready()
        number, lost = self._feed.number, self._feed.lost
        visible = self._context.visibility.visible()
        async for message in self._feed.changes.behind(self._seen, visible):
            if not response.prepared:
                await response.prepare(request)
                keep_little_unsent(request, self._context.settings.live_buffer_bytes)
                if self._tells_clock:
                    await self._write(response, self._sign_of_life())
            await self._write(response, message)
        if self._lost is not None and self._lost != lost:
            await self._write(response, await self._feed.changes.about(sorted(self._lost ^ lost)))
        self._number, self._lost, self._seen = number, lost, self._seen.merged(visible)

    def _sign_of_life(self) -> bytes:
        """What says up to where everything is told, and when."""
        if not self._tells_clock:
            return f": {self._seen}\n\n".encode()
        clock = ServerClock(at=moment_of(self._context.now_us()))
        return f"id: {self._seen}\n".encode() + message_of("clock", clock)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._context.settings.live_write_s):
            await response.write(data)


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        "/api/v1/live",
        Action.READ,
        "Changes as they become visible",
        live,
        LiveParameters,
        None,
        (EVENT_STREAM,),
        media_models=(Changes,),
        query_class=QueryClass.LIVE,
    ),
    Route(
        "POST",
        "/api/v1/live",
        Action.READ,
        "Changes as they become visible, and the ends of curves as they grow",
        follow,
        FollowParameters,
        None,
        (EVENT_STREAM,),
        media_models=(Changes, ServerClock),
        query_class=QueryClass.LIVE,
        examples={"a curve": {"project": "p", "tails": [{"run": "r1", "metric": "loss", "width": 16}]}},
    ),
)

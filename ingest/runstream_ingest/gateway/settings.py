"""What can be chosen about a gateway."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runstream.events import limits
from runstream_service.bodies import Pace
from runstream_service.settings import Composed


class GatewaySettings(BaseModel):
    """Every bound of the gateway. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_request_bytes: int = Field(default=limits.MAX_REQUEST_BYTES, ge=1)
    #: A frame takes about 15 us of the event loop, 5 of them without a break: 5,000 are 75 and 25 ms.
    max_frames_per_request: int = Field(default=5_000, ge=1)
    #: The frames of a larger body are checked in a thread. A frame of 57 bytes takes 5 us, a group of 25 bytes 1 us,
    #: and a byte of lz4 unpacks to at most 255: 64 kB of the worst are 10 ms of the event loop.
    check_in_thread_bytes: int = Field(default=64_000, ge=0)
    #: A body up to this size is still checked in the event loop if it has at most 200 frames, none of them with several
    #: groups or a ragged one: 5 us a frame, and 1 ms for the checksums of 1 MB.
    check_plain_in_thread_bytes: int = Field(default=1_000_000, ge=0)
    #: Requests with frames that are read or wait for the log, together: 4 of the largest; more get a 429. What
    #: counts is what came of them, not what they declare.
    max_in_flight_bytes: int = Field(default=64_000_000, ge=1)
    #: All other bodies (commands, foreign clients) may hold this share of as much, beside the frames, of which they
    #: take nothing: 32 MB. What their JSON takes in memory counts, 100 bytes a value: that is 2 of the largest, or 30
    #: batches of 1,000 values of metrics.
    other_in_flight_share: float = Field(default=0.5, gt=0)
    #: Of what is its own and what is free together, a key may hold so much, and an address: 6.4 MB are always free for
    #: another key, 21 MB for another address.
    key_share_percent: int = Field(default=90, ge=1, le=100)
    address_share_percent: int = Field(default=67, ge=1, le=100)
    #: A body of which nothing came for so long is given up.
    body_silence_s: float = Field(default=10.0, gt=0)
    #: So is one of which less came in `body_window_s` of waiting: a tenth of the slowest mobile network.
    min_body_bytes_per_s: int = Field(default=1000, ge=0)
    body_window_s: float = Field(default=10.0, gt=0)
    #: Values in the JSON of a body, of which the parser builds objects without a break: 50,000 take 1 to 6 ms. A
    #: batch of 1,000 values of metrics has 9,000; a command for 1,000 files of an artifact has 6,000.
    max_json_items: int = Field(default=50_000, ge=1)
    #: Items of a list in a request of a foreign client that cost something each (values, lines, parameters, tags): ten
    #: of the usual batches; 10,000 values take about 0.2 s, in turns.
    max_list_items: int = Field(default=10_000, ge=1)
    #: A body of a foreign client that only names and describes things: 4 of the largest events.
    max_description_bytes: int = Field(default=4 * limits.MAX_EVENT_BYTES, ge=1)
    #: Files that are received at once: each holds about 0.5 MB (a piece of 256 kB and the socket's buffers), or 25 MB
    #: where it goes to an object store: 32 MB or 1.6 GB.
    max_uploads: int = Field(default=64, ge=1)
    #: Parts of a multipart body. Clients send up to 4.
    max_parts: int = Field(default=100, ge=1)
    #: Requests that wait until their events are visible: about 20 kB each. Beyond, a response does not wait (202).
    max_waiting: int = Field(default=1000, ge=1)
    #: How many records the read models may be behind what this gateway appended before it sends a 429; None: any.
    max_lag_records: int | None = Field(default=None, ge=1)
    max_asset_bytes: int = Field(default=limits.MAX_ASSET_BYTES, ge=0)
    #: A body of commands: 16 of the largest events.
    max_commands_bytes: int = Field(default=16 * limits.MAX_EVENT_BYTES, ge=1)
    max_commands_per_request: int = Field(default=1000, ge=1)
    #: How long a command's response waits until its event is visible.
    visible_timeout_s: float = Field(default=10.0, ge=0)
    #: How long a command about a run that the read models do not have waits for it, before it is refused (404): the
    #: first record of a new run takes some 0.2 s to come there.
    unknown_run_patience_s: float = Field(default=1.0, ge=0)
    #: Writers whose next number is remembered: about 0.5 kB each. A forgotten one's next frame is taken as it comes.
    remembered_writers: int = Field(default=100_000, ge=1)
    #: Whether all of a writer's requests come here. Beside other gateways one that goes on behind a gap is taken at its
    #: word: another gateway has what is missing, and what the sender gave up it cannot send again.
    is_only_gateway: Annotated[bool, Composed()] = True
    #: A writer's heartbeats that come sooner after one that was appended are acknowledged and left out.
    heartbeat_every_s: float = Field(default=1.0, ge=0)
    retry_after_s: int = Field(default=1, ge=1)

    @property
    def pace(self) -> Pace:
        """How slowly a body may come."""
        return Pace(self.body_silence_s, self.min_body_bytes_per_s, self.body_window_s)

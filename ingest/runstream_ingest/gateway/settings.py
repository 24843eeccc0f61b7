"""What can be chosen about a gateway."""

from pydantic import BaseModel, ConfigDict, Field

from runstream.events import limits


class GatewaySettings(BaseModel):
    """Every bound of the gateway. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_request_bytes: int = Field(default=limits.MAX_REQUEST_BYTES, ge=1)
    #: Checking a frame's header costs about 5 us of the event loop: 20,000 are 0.1 s.
    max_frames_per_request: int = Field(default=20_000, ge=1)
    #: The frames of a larger body are checked in a thread. A frame of 57 bytes takes 5 us, a group of 25 bytes 1 us,
    #: and a byte of lz4 unpacks to at most 255: 64 kB of the worst are 10 ms of the event loop.
    check_in_thread_bytes: int = Field(default=64_000, ge=0)
    #: Requests that are read or wait for the log, together: 4 of the largest; more are answered 429.
    max_in_flight_bytes: int = Field(default=64_000_000, ge=1)
    #: A body of which nothing came for so long is given up.
    body_silence_s: float = Field(default=10.0, gt=0)
    #: How many records the read models may be behind what this gateway appended before it answers 429; None: any.
    max_lag_records: int | None = Field(default=None, ge=1)
    max_asset_bytes: int = Field(default=limits.MAX_ASSET_BYTES, ge=0)
    #: A body of commands: 16 of the largest events.
    max_commands_bytes: int = Field(default=16 * limits.MAX_EVENT_BYTES, ge=1)
    max_commands_per_request: int = Field(default=1000, ge=1)
    #: How long a command's answer waits until its event is visible.
    visible_timeout_s: float = Field(default=10.0, ge=0)
    #: Writers whose next number is remembered: about 0.5 kB each. A forgotten one's next frame is taken as it comes.
    remembered_writers: int = Field(default=100_000, ge=1)
    #: Whether all of a writer's requests come here. Beside other gateways one that goes on behind a gap is taken at its
    #: word: another gateway has what is missing, and what the sender gave up it cannot send again.
    is_only_gateway: bool = True
    #: A writer's heartbeats that come sooner after one that was appended are acknowledged and left out.
    heartbeat_every_s: float = Field(default=1.0, ge=0)
    retry_after_s: int = Field(default=1, ge=1)

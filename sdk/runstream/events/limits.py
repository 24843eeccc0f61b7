"""Every size that the contract checks. A limit that is met gives an error that names it."""

from typing import Final

#: A frame is one record of the log, and Kafka's default `max.message.bytes` is 1,048,588. The rest is room for
#: the record's own header and key.
MAX_FRAME_BYTES: Final = 1_000_000
#: What the events and groups of one frame may unpack to, taken together: 1 MB of lz4 holds at most 255 MB of one
#: repeated byte, and nobody's metrics look like that. A frame of incompressible rows is below MAX_FRAME_BYTES; 16
#: times that is generous.
MAX_FRAME_RAW_BYTES: Final = 16_000_000
#: What the events of one frame may unpack to. A sender puts at most TARGET_FRAME_RAW_BYTES and one event of
#: MAX_EVENT_BYTES into a frame: five times as much is allowed, and bounds what reading them as JSON takes.
MAX_FRAME_EVENTS_BYTES: Final = 4_000_000
#: Events of one frame: a sender's 500 kB hold at most 12,000 of the shortest ones.
MAX_FRAME_EVENTS: Final = 20_000
#: What a sender puts into one frame before compression. Half of the frame's limit, so that no row is ever unsendable.
TARGET_FRAME_RAW_BYTES: Final = 500_000
#: Metrics of one log() call: a row of 20,000 is 160 kB, still under TARGET_FRAME_RAW_BYTES.
MAX_METRICS_PER_ROW: Final = 20_000
MAX_METRIC_NAME_BYTES: Final = 500
MAX_KEY_BYTES: Final = 255
MAX_RUN_ID_CHARS: Final = 128
MAX_NAME_CHARS: Final = 250
#: One control event as JSON. Larger texts are assets.
MAX_EVENT_BYTES: Final = 256_000
MAX_PARAMETER_NAME_CHARS: Final = 500
MAX_TAG_CHARS: Final = 200
#: Files of one version of an artifact: one with a name of 80 characters takes about 250 bytes of the event's JSON.
MAX_ARTIFACT_FILES: Final = 1000
MAX_FILE_NAME_CHARS: Final = 500
#: What file systems allow for one name in a directory.
MAX_FILE_PART_BYTES: Final = 255
#: An artifact's description or notes.
MAX_ARTIFACT_TEXT_CHARS: Final = 50_000
MAX_COMMENT_CHARS: Final = 5_000
#: Tags that a run keeps, the first that came: each further event is folded into all of them, and lists show them all
#: (200 kB at most). 20,000 events of one frame with a tag each take 0.5 s so, and without a bound half a minute.
MAX_RUN_TAGS: Final = 1000
#: Projects that a run can be linked to, the first that came: its row has them all.
MAX_RUN_LINKS: Final = 1000
#: Resumed attempts that a run's state remembers, the last ones.
MAX_RUN_RESUMES: Final = 1000
#: Writers of one run whose starts and ends its state has: each further start or end copies them all (0.1 ms, resumed
#: ones 1 ms), and each change of the state is a row with all of them (2 MB). Jobs have a writer for each rank.
MAX_RUN_WRITERS: Final = 10_000
#: Starts and ends in one frame, which has one writer: it starts once, and ends once.
MAX_FRAME_ATTEMPTS: Final = 20
#: Writers of one key: 0.5 kB in memory and a row each. A foreign client makes one in ten minutes, a gateway one in
#: its life.
MAX_KEY_WRITERS: Final = 100_000
#: Tags, aliases or stages of one thing.
MAX_LABELS: Final = 50
#: What can change of all versions of an artifact, and what lists show of them, in characters: it is held and stored as
#: one. 20,000 versions with a comment of 50 characters.
MAX_ARTIFACT_CHARS: Final = 4_000_000
MAX_ENTITY_NAME_CHARS: Final = 500
#: Levels of an entity's name, which slashes divide: each is one more place to look for what is below a name.
MAX_ENTITY_NAME_PARTS: Final = 8
#: What the entities of one project hold, names and properties, in characters: a worker has all of them in memory.
MAX_PROJECT_ENTITY_CHARS: Final = 50_000_000
#: A request of a sender: many frames of many runs. 16 MB keeps a gateway's memory bounded with 100 senders.
MAX_REQUEST_BYTES: Final = 16_000_000
#: Console text travels in pieces of at most this many characters.
MAX_OUTPUT_CHARS: Final = 32_000
#: 2299-12-31T23:59:59.999999 UTC in microseconds since 1970: the last moment that ClickHouse's DateTime64 shows.
MAX_AT_US: Final = 10_413_791_999_999_999
MAX_ASSET_BYTES: Final = 100 * 1024**3
#: A writer's clock further from the log's own than this is shown as off; what it wrote is kept as it is.
CLOCK_SKEW_S: Final = 3600

"""A frame as a record in Kafka: what everyone who writes one agrees on, a gateway or a training node's sender.

Nothing here needs Kafka's client.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final, Self

from runstream.events import limits

#: A batch, not a record, is what a broker bounds. 48,576 bytes above the largest frame: room for its key (255 bytes),
#: the header of the batch (61), that of the record (at most 21) and the stamp (15).
MAX_BATCH_BYTES: Final = limits.MAX_FRAME_BYTES + 48_576
#: What a batch, a record in it and its stamp take beside key and value, rounded up: 61 + 21 + 15.
RECORD_OVERHEAD_BYTES: Final = 100
#: The name of the header that holds a record's stamp in microseconds: 5 bytes of each record.
STAMP_HEADER: Final = "at_us"
STAMP: Final = struct.Struct(">q")

SCHEME: Final = "kafka://"
_BROKER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:,/\[\]@]+):(?P<port>\d{1,5})")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class InvalidAddress(ValueError):
    """A text that is no address of a topic; the message says what is missing."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key. The same in every log, so that a replay keeps the order of each run."""
    return zlib.crc32(key) % partitions


def stamp_headers(stamp_us: int) -> list[tuple[str, bytes]]:
    """The headers of a record that is stamped with `stamp_us` (microseconds since 1970)."""
    return [(STAMP_HEADER, STAMP.pack(stamp_us))]


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Some of the brokers, as HOST:PORT, and the log's topic."""

    brokers: tuple[str, ...]
    topic: str

    def __str__(self) -> str:
        return f"{SCHEME}{','.join(self.brokers)}/{self.topic}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kafka://HOST:PORT[,HOST:PORT]/TOPIC`. Raises InvalidAddress."""
        form = "give kafka://HOST:PORT[,HOST:PORT]/TOPIC"
        if not text.startswith(SCHEME):
            raise InvalidAddress(f"is no address of Kafka: {form}")
        hosts, _, topic = text.removeprefix(SCHEME).partition("/")
        brokers = tuple(broker.strip() for broker in hosts.split(",") if broker.strip())
        for broker in brokers:
            found = _BROKER.fullmatch(broker)
            if found is None or not 0 < int(found["port"]) < 65536:
                raise InvalidAddress(f"names {broker!r}, which is no broker: {form}, without user and password")
        if not brokers or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
            raise InvalidAddress(f"names {'no topic' if brokers else 'no broker'}: {form}")
        return cls(brokers, topic)

"""Both sides of a log in Kafka, for whoever writes and reads."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from runstream.clock import SYSTEM_CLOCK
from runstream.events.positions import Positions
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import ensure_topic
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_service.log import Record


class KafkaLog:
    """LogWriter and LogReader (see `runstream_service.log`) over one topic. A gateway only needs `KafkaWriter`, a query
    server only `KafkaReader`; their docstrings say what holds beyond the interfaces.

    Writing and closing belong to the event loop that opened it, reading to any loop and thread.
    """

    def __init__(self, settings: KafkaSettings, writer: KafkaWriter, reader: KafkaReader) -> None:
        self.settings = settings
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, settings: KafkaSettings, clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us) -> Self:
        """Create the topic or check it, and connect. `clock_us` stamps what is appended (microseconds since 1970).

        Raises LogMismatch (the topic is not what the settings say), LogUnavailable, InvalidSetting.
        """
        partitions = await ensure_topic(settings)
        writer = KafkaWriter(settings, partitions, clock_us)
        reader = KafkaReader(settings, partitions)
        log = cls(settings, writer, reader)
        try:
            await writer.start()
            await reader.begin_offsets()
        except BaseException:
            await log.close()
            raise
        return log

    @property
    def partitions(self) -> int:
        return self._writer.partitions

    @property
    def pending_bytes(self) -> int:
        """See KafkaWriter."""
        return self._writer.pending_bytes

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        return await self._writer.append(records)

    async def replay(self, records: Sequence[Record]) -> Positions:
        """See KafkaWriter."""
        return await self._writer.replay(records)

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        return await self._reader.read(partition, next_offset, max_bytes, timeout_s)

    async def begin_offsets(self) -> Mapping[int, int]:
        return await self._reader.begin_offsets()

    async def next_offsets(self) -> Mapping[int, int]:
        return await self._reader.next_offsets()

    async def position_at(self, at_us: int) -> Positions:
        return await self._reader.position_at(at_us)

    async def close(self) -> None:
        """Deliver what is pending, then release both sides. A second call does nothing more."""
        await self._writer.close()
        await self._reader.close()

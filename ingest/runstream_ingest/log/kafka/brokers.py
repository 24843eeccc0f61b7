"""Whether any broker answers, for readiness."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka.client import AIOKafkaClient

from runstream.errors import InvalidSetting
from runstream_ingest.log.kafka.failures import CLIENT_ERRORS, ended, unavailable
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogUnavailable

_logger = logging.getLogger(__name__)

_ASK_EVERY_S: Final = 3.0
#: How long one broker may take to answer, before the next is asked.
_RESPONSE_S: Final = 3.0
#: Brokers that are silent for so long are away. Where one of three dies, another has answered by then: two wait for
#: `_RESPONSE_S` each, and the pause before.
_AWAY_S: Final = 15.0


async def ask_brokers(settings: KafkaSettings) -> None:
    """Connect as every client does and ask for the brokers of the cluster: those of RUNSTREAM_KAFKA_BOOTSTRAP, in any
    order, until one answers. Raises LogUnavailable if none does, InvalidSetting where certificates cannot be read."""
    client = AIOKafkaClient(**settings.client_arguments() | {"request_timeout_ms": int(_RESPONSE_S * 1000)})
    try:
        await client.bootstrap()
    except CLIENT_ERRORS as error:
        raise unavailable("no broker answers", settings.bootstrap, settings.topic, error) from error
    finally:
        await ended(client.close(), _RESPONSE_S)


class BrokerWatch:
    """Asks the brokers again and again. One response will do: where a partition has no leader its records are refused,
    and those of all others are taken. Belongs to one event loop."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        monotonic_s: Callable[[], float] = time.monotonic,
        ask_every_s: float = _ASK_EVERY_S,
    ) -> None:
        """ask: `ask_brokers` of some settings. They count as having answered now."""
        self._ask = ask
        self._monotonic_s = monotonic_s
        self._ask_every_s = ask_every_s
        self._answered_s = monotonic_s()
        self._failed = "they do not answer"

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._ask()
                self._answered_s = self._monotonic_s()
            except (LogUnavailable, InvalidSetting) as error:  # certificates may be missing while they are replaced
                self._failed = str(error)
                _logger.debug("no broker answers: %s", error)
            await asyncio.sleep(self._ask_every_s)

    async def trouble(self) -> str | None:
        """None while they answer; the reason once none has for 15 s. A check for `add_operations`."""
        silent_s = self._monotonic_s() - self._answered_s
        return None if silent_s < _AWAY_S else f"no broker has answered for {silent_s:.0f} s: {self._failed}"

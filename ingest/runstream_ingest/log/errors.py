"""What can be wrong with an embedded log beyond what every log knows (`runstream_service.log`)."""

from runstream_service.log import LogError


class LogBusy(LogError):
    """Another process holds the log's directory; the message names both and says what to do."""


class LogMismatch(LogError):
    """The directory holds a log of another shape or version than the one that was asked for."""

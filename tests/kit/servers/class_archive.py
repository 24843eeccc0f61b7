"""What the JVM of a broker knows of its classes, kept for the next one: it starts with two thirds of the CPU time.

The archive lies beside the jars. The first process of tests that needs a broker makes it, which takes as long as three
starts; without one brokers start as ever.
"""

import fcntl
import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runstream_infra.kafka import KafkaCluster, KafkaStartFailed
from runstream_infra.kafka.libs import find_java, find_libs

_OPTIONS: Final = "JAVA_TOOL_OPTIONS"


@functools.cache
def use_class_archive() -> None:
    """Let the JVMs that this process and its children start use the archive, which is made if it is missing, can be
    written, and nobody else makes it. Raises KafkaMissing."""
    java, libs = find_java().resolve(), find_libs()
    java_id = hashlib.sha256(f"{java} {java.stat().st_mtime_ns}".encode()).hexdigest()[:8]
    archive = libs.with_name(f"{libs.name}-java-{java_id}.jsa")
    if archive.exists() or _made(archive):
        os.environ[_OPTIONS] = _with_option(f"-XX:SharedArchiveFile={archive}")


def _made(archive: Path) -> bool:
    if not os.access(archive.parent, os.W_OK):
        return False
    with archive.with_suffix(".lock").open("w") as lock, tempfile.TemporaryDirectory() as folder:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        arriving = archive.with_suffix(".part")
        with _options(_with_option(f"-XX:ArchiveClassesAtExit={arriving}")):
            try:
                with KafkaCluster(Path(folder), heap_mb=256):
                    pass
            except KafkaStartFailed:
                return False
        if arriving.exists():
            arriving.rename(archive)
    return archive.exists()


def _with_option(option: str) -> str:
    return f"{os.environ.get(_OPTIONS, '')} {option}".strip()


@contextmanager
def _options(options: str) -> Iterator[None]:
    before = os.environ.get(_OPTIONS)
    os.environ[_OPTIONS] = options
    try:
        yield
    finally:
        if before is None:
            del os.environ[_OPTIONS]
        else:
            os.environ[_OPTIONS] = before

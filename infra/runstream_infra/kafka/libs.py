"""Where Kafka's jars are, and the Java that runs them."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runstream.settings import home

#: Where a checkout has it, and where an installed wheel does.
_CHECKOUT_POM: Final = Path(__file__).resolve().parents[2] / "kafka" / "pom.xml"
_INSTALLED_POM: Final = Path(__file__).resolve().with_name("pom.xml")
POM: Final = _CHECKOUT_POM if _CHECKOUT_POM.is_file() else _INSTALLED_POM
#: Kafka 4 needs it.
_MIN_JAVA: Final = 17
#: 54 MB in 92 files: 8 s on a good line.
_MAVEN_TIMEOUT_S: Final = 600


class KafkaMissing(RuntimeError):
    """Java, Maven or the jars are not there. The message says which, and what to do."""


def find_java(environ: Mapping[str, str] = os.environ) -> Path:
    """The `java` of JAVA_HOME, else the one on the path. Raises KafkaMissing also if it is too old."""
    home = environ.get("JAVA_HOME")
    found = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java", path=environ.get("PATH"))
    if found is None:
        where = f"in JAVA_HOME={home}" if home else "on the PATH"
        raise KafkaMissing(f"there is no `java` {where}: install Java {_MIN_JAVA} or newer (a headless JRE is enough)")
    output = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < _MIN_JAVA:
        raise KafkaMissing(f"{found} says {output[:80]!r}: install Java {_MIN_JAVA} or newer, or set JAVA_HOME to it")
    return Path(found)


def find_libs(environ: Mapping[str, str] = os.environ, pom: Path = POM) -> Path:
    """The folder with the jars: RUNSTREAM_KAFKA_LIBS, else one that is named after what the POM says, beside that of a
    checkout, or in the user's cache.

    The first call has Maven fill that folder; others, also of other processes, wait for it. Raises KafkaMissing.
    """
    given = environ.get("RUNSTREAM_KAFKA_LIBS")
    if given:
        if not any(Path(given).glob("kafka_2.13-*.jar")):
            raise KafkaMissing(
                f"RUNSTREAM_KAFKA_LIBS={given} holds no kafka_2.13-*.jar: give the folder with Kafka's jars"
            )
        return Path(given)
    if not pom.is_file():
        raise KafkaMissing(
            f"there is no {pom}, which names Kafka's jars: install runstream again, or set RUNSTREAM_KAFKA_LIBS to the "
            "`libs` folder of a Kafka"
        )
    folder = _cache(environ) if pom == _INSTALLED_POM else pom.parent
    libs = folder / f"libs-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if libs.is_dir():
        return libs
    folder.mkdir(parents=True, exist_ok=True)
    with libs.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libs.is_dir():
            _bring(libs, pom, environ)
    return libs


def _cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of this user for jars: where packages are installed not everybody may write."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home() / ".cache") / "runstream" / "kafka"


def _bring(libs: Path, pom: Path, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH"))
    if maven is None:
        raise KafkaMissing(
            "there is no `mvn` on the PATH, which brings Kafka's jars: install Maven, or set RUNSTREAM_KAFKA_LIBS to "
            "the `libs` folder of a Kafka"
        )
    arriving = libs.with_suffix(".part")
    shutil.rmtree(arriving, ignore_errors=True)
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={arriving}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MAVEN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise KafkaMissing(
            f"Maven did not bring Kafka's jars within {_MAVEN_TIMEOUT_S} s: look at the network"
        ) from None
    if done.returncode or not any(arriving.glob("kafka_2.13-*.jar")):
        shutil.rmtree(arriving, ignore_errors=True)
        output = (done.stdout + done.stderr).strip().splitlines()
        raise KafkaMissing(f"Maven could not bring Kafka's jars: {' / '.join(output[:3]) or 'it wrote nothing'}")
    arriving.rename(libs)

"""How Kafka is reached and how the log's topic shall be. Built once at the entry point."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runstream.errors import InvalidSetting
from runstream_service.auth import is_loopback
from runstream_service.settings import refuse_irregular

#: Settings by the environment variable that holds them.
ENVIRONMENT: Final = {
    "RUNSTREAM_KAFKA_BOOTSTRAP": "bootstrap",
    "RUNSTREAM_KAFKA_TOPIC": "topic",
    "RUNSTREAM_KAFKA_PARTITIONS": "partitions",
    "RUNSTREAM_KAFKA_REPLICATION": "replication",
    "RUNSTREAM_KAFKA_MIN_INSYNC": "min_insync",
    "RUNSTREAM_KAFKA_RETENTION_S": "retention_s",
    "RUNSTREAM_KAFKA_RETENTION_BYTES": "retention_bytes",
    "RUNSTREAM_KAFKA_APPEND_TIMEOUT_S": "append_timeout_s",
    "RUNSTREAM_KAFKA_REQUEST_TIMEOUT_S": "request_timeout_s",
    "RUNSTREAM_KAFKA_MAX_PENDING_BYTES": "max_pending_bytes",
    "RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "security_protocol",
    "RUNSTREAM_KAFKA_SASL_MECHANISM": "sasl_mechanism",
    "RUNSTREAM_KAFKA_SASL_USERNAME": "sasl_username",
    "RUNSTREAM_KAFKA_SASL_PASSWORD": "sasl_password",
    "RUNSTREAM_KAFKA_SSL_CAFILE": "ssl_cafile",
    "RUNSTREAM_KAFKA_SSL_CERTFILE": "ssl_certfile",
    "RUNSTREAM_KAFKA_SSL_KEYFILE": "ssl_keyfile",
}
_VARIABLE: Final = {name: variable for variable, name in ENVIRONMENT.items()}
_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:,/\[\]]+):(?P<port>\d{1,5})")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSettings(BaseModel):
    """Where the brokers are, who we are to them, and the shape of the topic. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: HOST:PORT, several with commas: some of the brokers, from which the others are learnt.
    bootstrap: str
    topic: str = "runstream-frames"
    #: A run's partition is crc32 % partitions, so the number is fixed when the topic is made. None takes what the
    #: topic has, and makes a new one with `topic.DEFAULT_PARTITIONS`.
    partitions: int | None = Field(default=None, ge=1, le=1024)
    replication: int = Field(default=3, ge=1, le=32)
    #: How many replicas hold a record before it is acknowledged, at least. None: all but one, so that a broker may be
    #: down.
    min_insync: int | None = Field(default=None, ge=1, le=32)
    #: The log is the truth from which everything can be rebuilt, so by default nothing of it is removed.
    retention_s: float | None = Field(default=None, gt=0)
    retention_bytes: int | None = Field(default=None, ge=1)
    #: How long an append waits to be acknowledged before it is given up as LogUnavailable.
    append_timeout_s: float = Field(default=20.0, gt=0, le=3600)
    #: How long one request to a broker may take, and a start.
    request_timeout_s: float = Field(default=10.0, gt=0, le=3600)
    #: Appends beyond it are refused until some are acknowledged: four of the largest requests of a sender. All of it
    #: may go to a broker as one request, of which it takes 100 MiB (`socket.request.max.bytes`).
    max_pending_bytes: int = Field(default=64_000_000, ge=1, le=90_000_000)

    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    #: Certificates of who signs the brokers' certificates, in PEM. None: those that the system trusts.
    ssl_cafile: Path | None = None
    #: Our own certificate and its key, where the brokers ask for one.
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The settings that `environ` holds under the names in ENVIRONMENT; an empty value counts as unset.

        Raises InvalidSetting, which names the variable; never shows a password.
        """
        given = {name: environ[variable] for variable, name in ENVIRONMENT.items() if environ.get(variable)}
        if "bootstrap" not in given:
            raise InvalidSetting("RUNSTREAM_KAFKA_BOOTSTRAP is not set: give HOST:PORT of a Kafka broker")
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidSetting("; ".join(_problem(found, given) for found in error.errors())) from None

    @property
    def wanted_min_insync(self) -> int:
        """`min_insync`, or what stands for None."""
        return max(1, self.replication - 1) if self.min_insync is None else self.min_insync

    def client_arguments(self) -> dict[str, Any]:
        """What every client of the library is made with. Reads the certificate files; raises InvalidSetting."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "request_timeout_ms": int(self.request_timeout_s * 1000),
            "security_protocol": self.security_protocol,
            # A new leader is learnt from a refusal; this only finds brokers that were added.
            "metadata_max_age_ms": 60_000,
        }
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.sasl_mechanism and self.sasl_password is not None:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = self.sasl_password.get_secret_value()
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        files = {"ssl_cafile": self.ssl_cafile, "ssl_certfile": self.ssl_certfile, "ssl_keyfile": self.ssl_keyfile}
        given = {_VARIABLE[name]: file for name, file in files.items() if file is not None}
        try:
            for variable, file in given.items():
                refuse_irregular(variable, file)
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            if self.ssl_certfile is not None:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidSetting(
                f"the certificates for Kafka cannot be used ({', '.join(map(str, given.values()))}): {error}; give PEM "
                "files that this process may read, the key without a passphrase"
            ) from error
        return context

    @field_validator("bootstrap")
    @classmethod
    def _bootstrap(cls, bootstrap: str) -> str:
        addresses = [address.strip() for address in bootstrap.split(",") if address.strip()]
        for address in addresses:
            found = _ADDRESS.fullmatch(address)
            if found is None or not 0 < int(found["port"]) < 65536:
                raise ValueError(f"{address!r} is no address: give HOST:PORT, several with commas, without a scheme")
        if not addresses:
            raise ValueError("holds no address: give HOST:PORT of a Kafka broker")
        return ",".join(addresses)

    @field_validator("topic")
    @classmethod
    def _topic(cls, topic: str) -> str:
        if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
            raise ValueError(f"{topic[:80]!r} is no topic's name: give 1 to 249 of the characters A-Z a-z 0-9 . _ -")
        return topic

    @model_validator(mode="after")
    def _legal_together(self) -> Self:
        if self.wanted_min_insync > self.replication:
            raise ValueError(
                f"RUNSTREAM_KAFKA_MIN_INSYNC={self.wanted_min_insync} is more than RUNSTREAM_KAFKA_REPLICATION="
                f"{self.replication}: nothing could ever be acknowledged; give at most the replication"
            )
        self._check_sasl()
        self._check_ssl()
        return self

    def _check_sasl(self) -> None:
        with_sasl = self.security_protocol.startswith("SASL")
        parts = {name: getattr(self, name) for name in ("sasl_mechanism", "sasl_username", "sasl_password")}
        given = [_VARIABLE[name] for name, value in parts.items() if value is not None]
        missing = [_VARIABLE[name] for name, value in parts.items() if value is None]
        if with_sasl and missing:
            raise ValueError(
                f"RUNSTREAM_KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs {' and '.join(missing)} as well"
            )
        if not with_sasl and given:
            raise ValueError(
                f"{' and '.join(given)} would not be used with RUNSTREAM_KAFKA_SECURITY_PROTOCOL="
                f"{self.security_protocol}: set it to SASL_SSL"
            )
        if self.security_protocol == "SASL_PLAINTEXT" and self.sasl_mechanism == "PLAIN":
            away = [host for host in self._hosts() if not is_loopback(host)]
            if away:
                raise ValueError(
                    f"the password would travel to {away[0]} in clear: set RUNSTREAM_KAFKA_SECURITY_PROTOCOL=SASL_SSL, "
                    "or RUNSTREAM_KAFKA_SASL_MECHANISM=SCRAM-SHA-512"
                )

    def _check_ssl(self) -> None:
        files = {"ssl_cafile": self.ssl_cafile, "ssl_certfile": self.ssl_certfile, "ssl_keyfile": self.ssl_keyfile}
        given = [_VARIABLE[name] for name, value in files.items() if value is not None]
        if given and not self.security_protocol.endswith("SSL"):
            raise ValueError(
                f"{' and '.join(given)} would not be used with RUNSTREAM_KAFKA_SECURITY_PROTOCOL="
                f"{self.security_protocol}: set it to SSL or SASL_SSL"
            )
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError(
                "RUNSTREAM_KAFKA_SSL_CERTFILE and RUNSTREAM_KAFKA_SSL_KEYFILE only work together: give both or neither"
            )

    def _hosts(self) -> list[str]:
        return [address.rpartition(":")[0] for address in self.bootstrap.split(",")]


def _problem(found: Any, given: Mapping[str, str]) -> str:
    """One of pydantic's findings as a sentence that names the variable, and its value unless that is a secret."""
    message = str(found["msg"]).removeprefix("Value error, ")
    if not found["loc"]:
        return message
    name = str(found["loc"][0])
    shown = "" if name == "sasl_password" else f"={given.get(name, '')[:100]}"
    return f"{_VARIABLE.get(name, name)}{shown}: {message}"

"""Where the ClickHouse server is and how it is used: from arguments or the environment, checked once at the start."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runstream_processors.store.profiles import EngineProfile, Kind
from runstream_service.store import StoreInvalid

#: Settings that the environment can hold, by the name of the variable.
VARIABLES: Final[Mapping[str, str]] = {
    "RUNSTREAM_CLICKHOUSE_URL": "url",
    "RUNSTREAM_CLICKHOUSE_DATABASE": "database",
    "RUNSTREAM_CLICKHOUSE_USER": "user",
    "RUNSTREAM_CLICKHOUSE_PASSWORD": "password",
    "RUNSTREAM_CLICKHOUSE_CA_FILE": "ca_file",
    "RUNSTREAM_CLICKHOUSE_CLIENT_CERT_FILE": "client_cert_file",
    "RUNSTREAM_CLICKHOUSE_CLIENT_KEY_FILE": "client_key_file",
    "RUNSTREAM_CLICKHOUSE_PROFILE": "profile",
    "RUNSTREAM_CLICKHOUSE_CLUSTER": "cluster",
    "RUNSTREAM_CLICKHOUSE_QUORUM": "quorum",
    "RUNSTREAM_CLICKHOUSE_COMPRESSION": "compression",
    "RUNSTREAM_CLICKHOUSE_CONNECT_TIMEOUT_S": "connect_timeout_s",
    "RUNSTREAM_CLICKHOUSE_TIMEOUT_S": "timeout_s",
    "RUNSTREAM_CLICKHOUSE_COMMAND_TIMEOUT_S": "command_timeout_s",
    "RUNSTREAM_CLICKHOUSE_QUERY_THREADS": "query_threads",
    "RUNSTREAM_CLICKHOUSE_INSERT_THREADS": "insert_threads",
}


class StoreSettings(BaseModel):
    """A ClickHouse server. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: http://host:port or https://host:port, without user and password. The ports default to 8123 and 8443.
    url: str
    #: Made if it is missing.
    database: str = "runstream"
    user: str = "default"
    password: SecretStr = SecretStr("")
    #: The certificates that sign the server's, instead of the system's. For https.
    ca_file: Path | None = None
    #: What this process shows of itself, for servers that ask for it. For https.
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    profile: Kind = "plain"
    #: For the replicated and the distributed profile: the name in ON CLUSTER. Empty: databases pass DDL on themselves.
    cluster: str = "{cluster}"
    #: For the same: how many replicas have an insert before it counts. "auto" is the majority, "0" is one replica.
    quorum: str = Field(default="auto", pattern=r"^(auto|[0-9]{1,2})$")
    #: How blocks travel. lz4 leaves a quarter of the 44 bytes a point, for 0.05 us of CPU here and some there: it pays
    #: below about 5 Gbit/s (33 bytes in 0.05 us).
    compression: Literal["none", "lz4"] = "none"
    connect_timeout_s: int = Field(default=5, ge=1)
    #: The server ends a query or an insert after it; this side waits a little longer. What is left open then is looked
    #: up (docs/design/exactly-once.md).
    timeout_s: int = Field(default=60, ge=1)
    #: The same for commands: DDL on a cluster, mutations, OPTIMIZE.
    command_timeout_s: int = Field(default=300, ge=1)
    query_threads: int = Field(default=4, ge=1, le=64)
    insert_threads: int = Field(default=4, ge=1, le=64)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **arguments: Any) -> Self:
        """What the environment says, under what `arguments` say. Raises StoreInvalid."""
        found = {field: environment[name] for name, field in VARIABLES.items() if environment.get(name)}
        try:
            return cls.model_validate({**found, **arguments})
        except ValidationError as error:
            named = {field: name for name, field in VARIABLES.items()}
            wrong = []
            for problem in error.errors(include_input=False, include_url=False):
                field = str(problem["loc"][0]) if problem["loc"] else "together"
                wrong.append(f"{named.get(field, field)}: {problem['msg']}")
            raise StoreInvalid(f"the settings of ClickHouse cannot be used: {'; '.join(wrong)}") from None

    @property
    def engine_profile(self) -> EngineProfile:
        """The profile for `migrate` and `complete_roll_up`."""
        return EngineProfile(self.profile, self.cluster)

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (8443 if self.secure else 8123)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server: give http://host:port or https://host:port")
        if parts.username or parts.password:
            raise ValueError("it holds a user: give RUNSTREAM_CLICKHOUSE_USER and RUNSTREAM_CLICKHOUSE_PASSWORD")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"{url!r} has more than host and port: leave the rest away")
        _ = parts.port  # raises if it is none
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        certificates = (self.ca_file, self.client_cert_file, self.client_key_file)
        if not self.secure and any(certificates):
            raise ValueError("certificates are for https:// only")
        for path in certificates:
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        if self.client_key_file and not self.client_cert_file:
            raise ValueError("client_key_file needs client_cert_file")
        try:
            _ = self.engine_profile
        except StoreInvalid as error:
            raise ValueError(str(error)) from error
        return self


def insert_settings(settings: StoreSettings) -> dict[str, str]:
    """What the profile adds to an insert. docs/design/clickhouse.md has the reasons."""
    if settings.profile == "plain":
        return {}
    quorum = {"insert_quorum": settings.quorum, "insert_quorum_parallel": "0"} if settings.quorum != "0" else {}
    timeout = {"insert_quorum_timeout": str(settings.timeout_s * 1000)} if quorum else {}
    at_once = {"distributed_foreground_insert": "1"} if settings.profile == "distributed" else {}
    return {**quorum, **timeout, **at_once}


def read_settings(settings: StoreSettings) -> dict[str, str]:
    """What the profile adds to a query."""
    if settings.profile == "plain":
        return {}
    fresh = {"select_sequential_consistency": "1"} if settings.quorum != "0" else {}
    whole = {"distributed_product_mode": "global", "skip_unavailable_shards": "0"}
    return {**fresh, **(whole if settings.profile == "distributed" else {})}


def command_settings(settings: StoreSettings) -> dict[str, str]:
    """What the profile adds to a command: it returns when every server has done it."""
    if settings.profile == "plain":
        return {}
    return {"distributed_ddl_task_timeout": str(settings.command_timeout_s), "distributed_ddl_output_mode": "throw"}

"""Settings of the processes of a cluster, built once at the entry point from the environment and options."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from runstream.errors import InvalidSetting
from runstream_infra.limits import Limits
from runstream_infra.settings import AccessSettings, environment_keys
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.assets.objects import ObjectAssets
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_processors.store.settings import StoreSettings
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.assets import AssetStorage
from runstream_service.store import StoreInvalid

#: Object stores by the beginning of their URL; anything else is a directory that all gateways and query servers share.
_OBJECT_STORES: Final = ("s3://", "gs://", "az://")
#: There are other gateways; and a worker process folds several partitions, each with a worker of its own: together they
#: may hold what the one of an embedded server does, times two.
LIMITS: Final = Limits(
    gateway=GatewaySettings(is_only_gateway=False), worker=WorkerSettings(max_ahead_bytes=16_000_000, max_keys=10_000)
)


class RoleSettings(BaseModel):
    """What a gateway, a worker and a query server have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: KafkaSettings
    store: StoreSettings
    #: A directory, or the URL of an object store.
    assets: str
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    api_keys: tuple[str, ...] = ()
    log_format: Literal["text", "json"] = "text"
    #: Workers of one store are one group.
    group: str = Field(default="runstream-workers", min_length=1)
    #: A worker that the brokers do not hear of for so long loses its partitions.
    session_s: float = Field(default=6.0, gt=0, le=300)
    #: Where workers mark which record they are at, so that one that ends its process is known at the next start: a
    #: directory that outlives the process. None: one of the user's, by group and topic.
    state_dir: Path | None = None
    limits: Limits = LIMITS
    access: AccessSettings = AccessSettings()

    def worker_dir(self, environ: Mapping[str, str] = os.environ) -> Path:
        """The directory of this group's workers on this machine."""
        if self.state_dir is not None:
            return self.state_dir
        base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(base) / "runstream" / f"{self.group}-{self.kafka.topic}"

    def open_assets(self) -> AssetStorage:
        """The storage of assets. Raises AssetError."""
        return (
            ObjectAssets.at(self.assets) if self.assets.startswith(_OBJECT_STORES) else LocalAssets(Path(self.assets))
        )


def role_settings(
    host: str, port: int, log_format: Literal["text", "json"], environ: Mapping[str, str] = os.environ
) -> RoleSettings:
    """Settings from the environment: those of Kafka and ClickHouse under their own names, and RUNSTREAM_ASSETS,
    RUNSTREAM_API_KEYS, RUNSTREAM_WORKER_GROUP, RUNSTREAM_WORKER_SESSION_S, RUNSTREAM_WORKER_STATE_DIR,
    RUNSTREAM_TRUSTED_PROXIES, RUNSTREAM_LOCAL_METRICS, and every bound (see `limits`). Raises InvalidSetting."""
    if not environ.get("RUNSTREAM_CLICKHOUSE_URL"):
        raise InvalidSetting("RUNSTREAM_CLICKHOUSE_URL is not set: give http://HOST:PORT of a ClickHouse server")
    if not environ.get("RUNSTREAM_ASSETS"):
        raise InvalidSetting(
            "RUNSTREAM_ASSETS is not set: give a directory that every gateway and query server reaches, or s3://BUCKET/PATH"
        )
    try:
        store = StoreSettings.from_environment(environ)
    except StoreInvalid as error:
        raise InvalidSetting(str(error)) from None
    return RoleSettings(
        kafka=KafkaSettings.from_environment(environ),
        store=store,
        assets=environ["RUNSTREAM_ASSETS"],
        host=host,
        port=port,
        log_format=log_format,
        api_keys=environment_keys(environ),
        group=environ.get("RUNSTREAM_WORKER_GROUP") or "runstream-workers",
        session_s=_seconds(environ, "RUNSTREAM_WORKER_SESSION_S", 6.0),
        state_dir=Path(environ["RUNSTREAM_WORKER_STATE_DIR"]) if environ.get("RUNSTREAM_WORKER_STATE_DIR") else None,
        limits=LIMITS.from_environment(environ),
        access=AccessSettings.from_environment(environ),
    )


def _seconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    text = environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 300.0:
        raise InvalidSetting(f"{variable}={text!r} is no number of seconds from 1 to 300")
    return seconds

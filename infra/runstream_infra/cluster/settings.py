"""Settings of the processes of a cluster, built once at the entry point from the environment and options."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from runstream.errors import InvalidSetting
from runstream_infra.limits import Limits
from runstream_infra.settings import CommonSettings
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.assets.objects import ObjectAssets
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_processors.store.settings import StoreSettings
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.assets import AssetStorage
from runstream_service.settings import Place, Section, given_settings, refuse_unknown
from runstream_service.store import StoreInvalid

#: Object stores by the beginning of their URL; anything else is a directory that all gateways and query servers share.
_OBJECT_STORES: Final = ("s3://", "gs://", "az://")
#: There are other gateways; and a worker process folds several partitions, each with a worker of its own: together they
#: may hold what the one of an embedded server does, times two.
LIMITS: Final = Limits(
    gateway=GatewaySettings(is_only_gateway=False), worker=WorkerSettings(max_ahead_bytes=16_000_000, max_keys=10_000)
)


class GenerationSettings(BaseModel):
    """How the processes of a cluster follow each other from one generation of the read models to the next. Times in
    seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Between two looks at which generation serves. What a process read is good for ten times as long. It is the same
    #: for all processes of a cluster: the store keeps what the first one had.
    poll_s: float = Field(default=1.0, ge=0.05, le=10)
    #: How long the tables of a generation that served are kept and folded, for processes of a build before: that long
    #: an upgrade may take. Ten looks at least.
    grace_s: float = Field(default=600.0, ge=0)

    @property
    def lease_s(self) -> float:
        """For how long a process acts on what it read."""
        return 10 * self.poll_s


class RoleSettings(CommonSettings):
    """What a gateway, a worker and a query server have in common."""

    kafka: KafkaSettings
    store: Annotated[StoreSettings, Section("clickhouse")]
    #: A directory, or the URL of an object store.
    assets: str
    #: Workers of one store are one group.
    worker_group: Annotated[str, Place(("worker", "group")), Field(min_length=1)] = "runstream-workers"
    #: A worker that the brokers do not hear of for so long loses its partitions.
    worker_session_s: Annotated[float, Place(("worker", "session_s")), Field(ge=1, le=300)] = 6.0
    #: Where workers mark which record they are at, so that one that ends its process is known at the next start: a
    #: directory that outlives the process. None: one of the user's, by group and topic.
    worker_state_dir: Annotated[Path | None, Place(("worker", "state_dir"))] = None
    generations: Annotated[GenerationSettings, Section("generations")] = GenerationSettings()
    limits: Annotated[Limits, Section("")] = LIMITS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **options: Any) -> Self:
        """Return what the environment, the file that RUNSTREAM_CONFIG names, and options of the command line say.

        Raises InvalidSetting.
        """
        given = given_settings(cls, environ)
        variables = given.variables
        refuse_unknown(cls, variables)
        if not variables.get("RUNSTREAM_CLICKHOUSE_URL"):
            raise InvalidSetting("RUNSTREAM_CLICKHOUSE_URL is not set: give http://HOST:PORT of a ClickHouse server")
        if not variables.get("RUNSTREAM_ASSETS"):
            raise InvalidSetting(
                "RUNSTREAM_ASSETS is not set: give a directory that every gateway and query server reaches, or "
                "s3://BUCKET/PATH"
            )
        try:
            store = StoreSettings.from_environment(variables)
        except StoreInvalid as error:
            raise InvalidSetting(str(error)) from None
        return cls.read(given, {"kafka": KafkaSettings.from_environment(variables), "store": store}, **options)

    def worker_dir(self, environ: Mapping[str, str] = os.environ) -> Path:
        """Return the directory of this group's workers on this machine."""
        if self.worker_state_dir is not None:
            return self.worker_state_dir
        base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(base) / "runstream" / f"{self.worker_group}-{self.kafka.topic}"

    def open_assets(self) -> AssetStorage:
        """Return the storage of assets. Raises AssetError."""
        return (
            ObjectAssets.at(self.assets) if self.assets.startswith(_OBJECT_STORES) else LocalAssets(Path(self.assets))
        )

"""Settings of the embedded server, built once at the entry point; illegal combinations are refused here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from runstream.errors import InvalidSetting
from runstream_infra.limits import Limits
from runstream_service.proxies import TrustedProxies

_DEFAULT_PORT = 7070


def environment_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys in RUNSTREAM_API_KEYS, which stand there with commas between them; () without any."""
    return tuple(key.strip() for key in environ.get("RUNSTREAM_API_KEYS", "").split(",") if key.strip())


class AccessSettings(BaseModel):
    """Who is taken for whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Proxies that write the client's address into X-Forwarded-For (or Forwarded, or X-Real-IP). Name none that passes
    #: on what clients wrote there.
    proxies: TrustedProxies = TrustedProxies()
    #: Whether programs of this machine need no key for /metrics and the reasons of /readyz, where the server has keys.
    #: A proxy on this machine that adds no header to requests makes everybody behind it such a program.
    local_metrics: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """RUNSTREAM_TRUSTED_PROXIES (addresses and networks, with commas) and RUNSTREAM_LOCAL_METRICS (1 or 0). Raises
        InvalidSetting."""
        given = environ.get("RUNSTREAM_TRUSTED_PROXIES", "")
        try:
            proxies = TrustedProxies.of(text for text in given.split(",") if text.strip())
        except ValueError as error:
            raise InvalidSetting(f"RUNSTREAM_TRUSTED_PROXIES={given!r} cannot be used: {error}") from None
        local = environ.get("RUNSTREAM_LOCAL_METRICS", "") or "0"
        if local not in ("0", "1"):
            raise InvalidSetting(f"RUNSTREAM_LOCAL_METRICS={local!r} cannot be used: give 1 or 0")
        return cls(proxies=proxies, local_metrics=local == "1")


class ServerSettings(BaseModel):
    """What `runstream up` takes. Paths are created when they are missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=_DEFAULT_PORT, ge=0, le=65535)
    data_dir: Path
    api_keys: tuple[str, ...] = ()
    partitions: int = Field(default=1, ge=1, le=64)
    log_format: Literal["text", "json"] = "text"
    #: How long a stop waits for what is acknowledged to become visible. What is left is folded by the next start.
    drain_s: float = Field(default=30.0, ge=0)
    #: Where assets go instead of `data_dir/assets`: an object store's URL (s3://, gs://, az://).
    asset_url: str | None = None
    #: Segments of the log that are older or beyond this size are removed. The log is the truth from which everything
    #: can be rebuilt, so the default keeps all of it.
    log_retention_bytes: int | None = Field(default=None, ge=1)
    log_retention_s: float | None = Field(default=None, gt=0)
    limits: Limits = Limits()
    access: AccessSettings = AccessSettings()

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def worker_dir(self) -> Path:
        """The worker's marks: which record it was at when its process died."""
        return self.data_dir / "worker"

    @property
    def assets_dir(self) -> Path:
        return self.data_dir / "assets"

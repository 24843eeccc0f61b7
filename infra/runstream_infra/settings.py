"""Settings of the embedded server, built once at the entry point; illegal combinations are refused here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runstream_infra.limits import Limits

_DEFAULT_PORT = 7070


def environment_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys in RUNSTREAM_API_KEYS, which stand there with commas between them; () without any."""
    return tuple(key.strip() for key in environ.get("RUNSTREAM_API_KEYS", "").split(",") if key.strip())


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

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def assets_dir(self) -> Path:
        return self.data_dir / "assets"

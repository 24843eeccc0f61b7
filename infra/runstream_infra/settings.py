"""Settings of the embedded server, built once at the entry point; illegal combinations are refused here."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runstream_infra.limits import Limits
from runstream_infra.panels.settings import PanelSettings
from runstream_ingest.log.format import MAX_PARTITIONS
from runstream_service.proxies import TrustedProxies
from runstream_service.sealing import KEY_FILE, Sealing
from runstream_service.settings import Place, ProcessSettings, Secret, Section, given_settings, refuse_unknown
from runstream_service.tls import server_context

_DEFAULT_PORT: Final = 7070
#: Variables of the cluster form whose names begin as those of a section do.
_OTHER_VARIABLES: Final = frozenset(
    {"RUNSTREAM_WORKER_GROUP", "RUNSTREAM_WORKER_SESSION_S", "RUNSTREAM_WORKER_STATE_DIR"}
)


def _split(given: object) -> object:
    """Return the parts of a text that has commas between them; anything else as it is."""
    return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given


def _proxies(given: object) -> object:
    parts = _split(given)
    return TrustedProxies.of(parts) if isinstance(parts, tuple) else parts


def _switch(given: object) -> object:
    """Return the meaning of 1 and 0; pydantic would take many other texts."""
    if isinstance(given, str) and given not in ("0", "1", ""):
        raise ValueError("give 1 or 0")
    return given == "1" if isinstance(given, str) else given


def _sealing_keys(given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse texts that are no keys of secrets, at the start."""
    Sealing.of(given)
    return given


#: API keys; in a variable with commas between them.
ApiKeyTexts = Annotated[tuple[str, ...], Secret(), BeforeValidator(_split)]
#: Keys of secrets; in a variable with commas between them.
SealingKeyTexts = Annotated[tuple[str, ...], Secret(), BeforeValidator(_split), AfterValidator(_sealing_keys)]


class AccessSettings(BaseModel):
    """Who is taken for whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Proxies that write the client's address into X-Forwarded-For (or Forwarded, or X-Real-IP): addresses and
    #: networks. Name none that passes on what clients wrote there.
    trusted_proxies: Annotated[TrustedProxies, BeforeValidator(_proxies)] = TrustedProxies()
    #: Whether programs of this machine need no key for /metrics and the reasons of /readyz, where the server has keys.
    #: A proxy on this machine that adds no header to requests makes everybody behind it such a program.
    local_metrics: Annotated[bool, BeforeValidator(_switch)] = False


class CommonSettings(ProcessSettings):
    """What every process that serves has."""

    #: Not RUNSTREAM_HOST and RUNSTREAM_PORT: Kubernetes sets the latter for every service that is called `runstream`.
    host: Annotated[str, Place(("listen", "host"))] = "127.0.0.1"
    port: Annotated[int, Place(("listen", "port")), Field(ge=0, le=65535)] = 0
    #: The certificate (PEM, with those between it and its CA) and the key of TLS at this port. None: HTTP in clear.
    tls_cert: Annotated[Path | None, Place(("tls", "cert"))] = None
    tls_key: Annotated[Path | None, Place(("tls", "key"))] = None
    api_keys: ApiKeyTexts = ()
    #: What secrets of users are encrypted with before they reach the log: the first encrypts, all of them decrypt.
    secrets_keys: Annotated[SealingKeyTexts, Place(("secrets", "key"))] = ()
    #: The file that has them where the setting above has none; made with the first secret.
    secrets_file: Annotated[Path | None, Place(("secrets", "file"))] = None
    log_format: Literal["text", "json"] = "text"
    limits: Annotated[Limits, Section("")] = Limits()
    access: Annotated[AccessSettings, Section("")] = AccessSettings()

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            given, missing = ("cert", "key") if self.tls_key is None else ("key", "cert")
            raise ValueError(
                f"a TLS {given} is given without its {missing}: give both (--tls-cert and --tls-key, or "
                "RUNSTREAM_TLS_CERT and RUNSTREAM_TLS_KEY)"
            )
        return self

    def tls_context(self) -> ssl.SSLContext | None:
        """Read certificate and key; None where the port serves without TLS. Raises InvalidCertificate."""
        if self.tls_cert is None or self.tls_key is None:
            return None
        return server_context(self.tls_cert, self.tls_key)

    def sealing(self) -> Sealing:
        """Return what encrypts and decrypts secrets of users."""
        return Sealing.of(self.secrets_keys, self.secrets_file)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **options: Any) -> Self:
        """Return what the environment, the file that RUNSTREAM_CONFIG names, and options of the command line say.

        Raises InvalidSetting.
        """
        given = given_settings(cls, environ)
        refuse_unknown(cls, given.variables, _OTHER_VARIABLES)
        return cls.read(given, **options)


class ServerSettings(CommonSettings):
    """What `runstream up` takes. Paths are created when they are missing."""

    port: Annotated[int, Place(("listen", "port")), Field(ge=0, le=65535)] = _DEFAULT_PORT
    data_dir: Path = Path("runstream-data")
    partitions: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    #: How long a stop waits for what is acknowledged to become visible. What is left is folded by the next start.
    drain_s: float = Field(default=30.0, ge=0)
    #: Where assets go instead of `data_dir/assets`: an object store's URL (s3://, gs://, az://).
    asset_url: str | None = None
    #: Segments of the log that are older or beyond this size are removed. The log is the truth from which everything
    #: can be rebuilt, so the default keeps all of it.
    log_retention_bytes: int | None = Field(default=None, ge=1)
    log_retention_s: float | None = Field(default=None, gt=0)
    panels: Annotated[PanelSettings, Section("panels")] = PanelSettings()

    def sealing(self) -> Sealing:
        """Return what encrypts and decrypts secrets of users; its file stands beside the data unless a setting names
        another."""
        return Sealing.of(self.secrets_keys, self.secrets_file or self.data_dir / KEY_FILE)

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
    def panel_packages_dir(self) -> Path:
        """What panels installed: it can be removed while no panel runs."""
        return self.data_dir / "panel-packages"

    @property
    def assets_dir(self) -> Path:
        return self.data_dir / "assets"

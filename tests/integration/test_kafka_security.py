"""A broker that speaks TLS and asks for a password: the settings reach it, and what is wrong with them is said."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.servers import real_kafka
from runstream.errors import InvalidSetting
from runstream.events.positions import Positions
from runstream_infra.kafka import KafkaCluster, KafkaMissing
from runstream_infra.kafka.libs import find_java
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogUnavailable

PASSWORD = "pass word, with 'quotes'=and more;"


@dataclass(frozen=True)
class SecureBroker:
    cluster: KafkaCluster
    certificate: Path
    other_certificate: Path

    def settings(self, **changed: object) -> KafkaSettings:
        values: dict[str, object] = {
            "partitions": 1,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "runstream",
            "sasl_password": PASSWORD,
            "ssl_cafile": self.certificate,
            "request_timeout_s": 3.0,
        }
        return real_kafka.settings(self.cluster.bootstrap, **(values | changed))


def make_certificate(java: Path, directory: Path, name: str) -> tuple[Path, Path]:
    """A key store for a broker on 127.0.0.1, and its certificate in PEM; by the tool that comes with Java."""
    keytool, store, certificate = (
        java.resolve().with_name("keytool"),
        directory / f"{name}.p12",
        directory / f"{name}.pem",
    )
    common = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", "changeit", "-alias", name]
    made = ["-genkeypair", *common, "-keyalg", "RSA", "-dname", f"CN={name}", "-ext", "san=ip:127.0.0.1"]
    subprocess.run([str(keytool), *made], check=True, capture_output=True)
    subprocess.run(
        [str(keytool), "-exportcert", "-rfc", *common, "-file", str(certificate)], check=True, capture_output=True
    )
    return store, certificate


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    directory = tmp_path_factory.mktemp("kafka")
    try:
        java = find_java()
    except KafkaMissing as missing:
        real_kafka.skip_or_fail(missing)
    store, certificate = make_certificate(java, directory, "broker")
    _, other = make_certificate(java, directory, "other")
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": (
            f'{login} username="runstream" password="{PASSWORD}" user_runstream="{PASSWORD}";'
        ),
        "ssl.keystore.location": str(store),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": "changeit",
        "ssl.truststore.location": str(certificate),  # for the broker's talk with itself
        "ssl.truststore.type": "PEM",
    }
    client = {
        "security_protocol": "SASL_SSL",
        "ssl_context": ssl.create_default_context(cafile=certificate),
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "runstream",
        "sasl_plain_password": PASSWORD,
    }
    cluster = real_kafka.new_cluster(directory / "data", 1, properties, client)
    cluster.start()
    yield SecureBroker(cluster, certificate, other)
    cluster.kill()


async def test_tls_and_a_password(broker: SecureBroker) -> None:
    log = await KafkaLog.open(broker.settings())
    assert await log.append([(b"run", b"%d" % n) for n in range(100)]) == Positions.after(0, 99)
    assert [record.value for record in await log.read(0, 0, 1 << 30, 5.0)] == [b"%d" % n for n in range(100)]
    assert await log.position_at(0) == Positions({})
    await log.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sasl_password": "wrong"}, "RUNSTREAM_KAFKA_SASL_PASSWORD"),
        (
            {
                "security_protocol": "PLAINTEXT",
                "sasl_mechanism": None,
                "sasl_username": None,
                "sasl_password": None,
                "ssl_cafile": None,
            },
            "try again",
        ),
    ],
)
async def test_who_does_not_fit_is_told_within_bounds(
    broker: SecureBroker, changed: dict[str, object], message: str
) -> None:
    settings = broker.settings(**changed)
    async with asyncio.timeout(240):
        with pytest.raises(LogUnavailable) as refused:
            await KafkaLog.open(settings)
    assert message in str(refused.value)
    assert settings.bootstrap in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_a_certificate_of_somebody_else_is_not_trusted(broker: SecureBroker) -> None:
    async with asyncio.timeout(240):
        with pytest.raises(LogUnavailable, match="RUNSTREAM_KAFKA_SSL_CAFILE"):
            await KafkaLog.open(broker.settings(ssl_cafile=broker.other_certificate))


async def test_a_file_that_is_no_certificate_is_an_invalid_setting(broker: SecureBroker, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    for path in (nothing, tmp_path / "missing.pem"):
        with pytest.raises(InvalidSetting, match="give PEM files") as refused:
            await KafkaLog.open(broker.settings(ssl_cafile=path))
        assert str(path) in str(refused.value)

"""How Kafka is reached: what may stand together, and that whatever may not is refused by name."""

import pytest

from runstream.errors import InvalidSetting
from runstream_ingest.log.kafka.settings import ENVIRONMENT, KafkaSettings
from runstream_ingest.log.kafka.topic import TopicFound, TopicSpec, mismatches

SECURE = {
    "RUNSTREAM_KAFKA_BOOTSTRAP": "kafka-1:9093,kafka-2:9093",
    "RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "RUNSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "RUNSTREAM_KAFKA_SASL_USERNAME": "gateway",
    "RUNSTREAM_KAFKA_SASL_PASSWORD": "do not show this",
}


def from_environment(**variables: str) -> KafkaSettings:
    given = {f"RUNSTREAM_KAFKA_{name}": value for name, value in variables.items()}
    return KafkaSettings.from_environment({"RUNSTREAM_KAFKA_BOOTSTRAP": "localhost:9092"} | given)


def test_every_variable_is_a_setting() -> None:
    assert set(ENVIRONMENT.values()) == set(KafkaSettings.model_fields)


def test_what_is_not_set_has_its_default() -> None:
    settings = KafkaSettings.from_environment({"RUNSTREAM_KAFKA_BOOTSTRAP": " a:1, [::1]:2 ", "PATH": "x"})
    assert settings.bootstrap == "a:1,[::1]:2"
    assert (settings.partitions, settings.replication, settings.wanted_min_insync) == (None, 3, 2)
    assert settings.client_arguments()["bootstrap_servers"] == ["a:1", "[::1]:2"]
    assert TopicSpec.of(settings).configs()["retention.ms"] == "-1"


def test_an_empty_variable_is_unset() -> None:
    assert from_environment(PARTITIONS="", SASL_USERNAME="").partitions is None


@pytest.mark.parametrize(("replication", "min_insync"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_all_replicas_but_one_must_hold_a_record(replication: int, min_insync: int) -> None:
    assert from_environment(REPLICATION=str(replication)).wanted_min_insync == min_insync


def test_credentials_reach_the_client_and_nothing_else() -> None:
    settings = KafkaSettings.from_environment(SECURE)
    arguments = settings.client_arguments()
    assert arguments["sasl_plain_password"] == SECURE["RUNSTREAM_KAFKA_SASL_PASSWORD"]
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert arguments["ssl_context"].check_hostname
    assert "do not show this" not in repr(settings)
    assert "do not show this" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"BOOTSTRAP": ""}, "RUNSTREAM_KAFKA_BOOTSTRAP is not set"),
        ({"BOOTSTRAP": "kafka"}, "RUNSTREAM_KAFKA_BOOTSTRAP=kafka: 'kafka' is no address: give HOST:PORT"),
        ({"BOOTSTRAP": "kafka://a:1"}, "without a scheme"),
        ({"BOOTSTRAP": "a:70000"}, "is no address"),
        ({"BOOTSTRAP": " , "}, "holds no address"),
        ({"TOPIC": "a topic"}, "RUNSTREAM_KAFKA_TOPIC=a topic: 'a topic' is no topic's name"),
        ({"TOPIC": ".."}, "is no topic's name"),
        ({"PARTITIONS": "0"}, "RUNSTREAM_KAFKA_PARTITIONS=0"),
        ({"PARTITIONS": "many"}, "RUNSTREAM_KAFKA_PARTITIONS=many"),
        (
            {"REPLICATION": "2", "MIN_INSYNC": "3"},
            "RUNSTREAM_KAFKA_MIN_INSYNC=3 is more than RUNSTREAM_KAFKA_REPLICATION=2",
        ),
        ({"RETENTION_S": "-1"}, "RUNSTREAM_KAFKA_RETENTION_S=-1"),
        ({"SECURITY_PROTOCOL": "TLS"}, "RUNSTREAM_KAFKA_SECURITY_PROTOCOL=TLS"),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL"},
            "needs RUNSTREAM_KAFKA_SASL_MECHANISM and RUNSTREAM_KAFKA_SASL_USERNAME and",
        ),
        (
            {"SASL_USERNAME": "me", "SASL_PASSWORD": "hidden"},
            "would not be used with RUNSTREAM_KAFKA_SECURITY_PROTOCOL",
        ),
        ({"SSL_CAFILE": "ca.pem"}, "RUNSTREAM_KAFKA_SSL_CAFILE would not be used"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": "me.pem"}, "RUNSTREAM_KAFKA_SSL_KEYFILE only work together"),
        (
            {
                "BOOTSTRAP": "kafka:9092",
                "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "SASL_MECHANISM": "PLAIN",
                "SASL_USERNAME": "me",
                "SASL_PASSWORD": "hidden",
            },
            "the password would travel to kafka in clear",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variables: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        from_environment(**variables)
    assert message in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_a_password_in_clear_is_fine_on_this_machine_and_hashed_elsewhere() -> None:
    login = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_USERNAME": "me", "SASL_PASSWORD": "hidden"}
    assert from_environment(SASL_MECHANISM="PLAIN", **login).sasl_mechanism == "PLAIN"
    assert from_environment(BOOTSTRAP="kafka:9092", SASL_MECHANISM="SCRAM-SHA-256", **login)


def test_a_topic_as_declared_has_no_mismatch_and_each_change_is_one() -> None:
    spec = TopicSpec("frames", partitions=4, replication=2, min_insync=2)
    held = spec.configs()
    assert mismatches(spec, TopicFound(4, 2, held), "kafka:9092") == []
    assert mismatches(spec, TopicFound(4, 3, held | {"segment.bytes": "1"}), "kafka:9092") == []
    assert mismatches(spec, TopicFound(4, 2, held | {"min.insync.replicas": "3"}), "kafka:9092") == []
    for name in held:
        changed = held | {name: "1" if held[name].lstrip("-").isdigit() else "otherwise"}
        (problem,) = mismatches(spec, TopicFound(4, 2, changed), "kafka:9092")
        assert f"--add-config {name}={held[name]}" in problem

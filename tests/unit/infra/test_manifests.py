"""The compose file, the image and the Kubernetes manifests, held against schemas and against the program."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import kubernetes_validate
import pytest
import yaml
from obstore.exceptions import UnknownConfigurationKeyError
from obstore.store import S3Store

from runstream._version import VERSION
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.settings import CommonSettings
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_processors.hosting.faust_app import GroupSettings, make_app
from runstream_processors.hosting.generations import GenerationWorkers
from runstream_protocols.all import LOCATIONS
from runstream_service.auth import ApiKeys, check_bind
from runstream_service.settings import known_settings

ROLES = ("gateway", "worker", "query-server")
SECRETS = {"RUNSTREAM_API_KEYS": "0123456789abcdef", "RUNSTREAM_CLICKHOUSE_PASSWORD": "fedcba9876543210"}
#: The variables that a process of a cluster reads.
READ = known_settings(RoleSettings).keys()
#: An old one that is still in use, and the newest that is bundled.
KUBERNETES = ("1.31.0", "1.37.0")

Compose = Callable[..., dict[str, Any]]
Manifests = list[dict[str, Any]]


def check_locations(locations: dict[str, str]) -> None:
    """The locations of a front, each with the process kind that it leads to, are those of the gateway, the protocols,
    and the query servers for the rest."""
    protocols = {location.path: str(location.side) for location in LOCATIONS if not location.one_machine}
    assert locations == {"/": "query-server", "/ingest/": "gateway", **protocols}


def is_read(name: str) -> bool:
    """Whether the program, or the object stores' library, reads the variable."""
    if name.startswith("AWS_"):
        try:
            # Which names it knows, its annotations do not say.
            S3Store("bucket", config={name.removeprefix("AWS_").lower(): "x"})  # type: ignore[arg-type]
        except UnknownConfigurationKeyError:
            return False
        except Exception:
            return True  # known, and not enough alone
        return True
    return name in READ


def test_the_check_of_variables_finds_wrong_ones() -> None:
    assert is_read("RUNSTREAM_WORKER_GROUP")
    assert is_read("RUNSTREAM_KAFKA_BOOTSTRAP")
    assert not is_read("RUNSTREAM_ASSET_URL")
    assert not is_read("AWS_NO_SUCH_THING")


# Compose


@pytest.fixture(scope="session")
def compose_schema() -> dict[str, Any]:
    text = (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text()
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.monitoring.yaml"])
def test_compose_files_keep_to_the_specification(infra: Path, compose_schema: dict[str, Any], name: str) -> None:
    written = yaml.safe_load((infra / name).read_text())
    jsonschema.Draft7Validator(compose_schema).validate(written)
    written["services"][next(iter(written["services"]))]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.Draft7Validator(compose_schema).validate(written)


def test_compose_refuses_to_start_without_secrets(compose: Compose) -> None:
    for missing in SECRETS:
        with pytest.raises(KeyError, match=missing):
            compose(**{name: value for name, value in SECRETS.items() if name != missing})


@pytest.mark.parametrize("role", ROLES)
def test_composes_roles_start_with_settings_that_the_program_takes(
    compose: Compose, parse_command: Callable[[list[str]], Any], role: str
) -> None:
    service = compose(**SECRETS)["services"][role]
    parsed = parse_command(service["command"])
    assert parsed.info_name == role
    environment = service["environment"]
    assert [name for name in environment if not is_read(name)] == []
    options = {name: parsed.params[name] for name in ("host", "port", "log_format")}
    settings = RoleSettings.from_environment(environment, **options)
    check_bind(settings.host, ApiKeys.from_plain(settings.api_keys))
    # The port that the health check asks, inside the container.
    assert f"127.0.0.1:{settings.port}/readyz" in service["healthcheck"]["test"][-1]
    assert settings.assets in [volume.partition(":")[2] for volume in service["volumes"]], "the same for all of them"


def test_composes_roles_reach_its_kafka_and_its_clickhouse(compose: Compose) -> None:
    services = compose(**SECRETS)["services"]
    environment = services["gateway"]["environment"]
    kafka, clickhouse = services["kafka"]["environment"], services["clickhouse"]["environment"]
    assert kafka["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{environment['RUNSTREAM_KAFKA_BOOTSTRAP']}"
    assert environment["RUNSTREAM_KAFKA_REPLICATION"] == "1", "there is one broker"
    assert environment["RUNSTREAM_CLICKHOUSE_URL"] == "http://clickhouse:8123"
    assert clickhouse["CLICKHOUSE_USER"] == environment["RUNSTREAM_CLICKHOUSE_USER"]
    assert (
        clickhouse["CLICKHOUSE_PASSWORD"]
        == environment["RUNSTREAM_CLICKHOUSE_PASSWORD"]
        == SECRETS["RUNSTREAM_CLICKHOUSE_PASSWORD"]
    )


def test_only_the_front_has_a_port_and_only_on_loopback(compose: Compose) -> None:
    for name in ("compose.yaml", "compose.monitoring.yaml"):
        found = compose(name, RUNSTREAM_GRAFANA_PASSWORD="x", RUNSTREAM_METRICS_KEY="y", **SECRETS)
        for service, described in found["services"].items():
            assert not described.get("privileged")
            for port in described.get("ports", ()):
                assert port.startswith("127.0.0.1:"), service
                assert service in ("front", "prometheus", "grafana")


def test_the_front_passes_ingest_to_gateways_and_the_rest_to_query_servers(infra: Path, compose: Compose) -> None:
    services = compose(**SECRETS)["services"]
    config = (infra / "compose" / "front.conf").read_text()
    upstreams = dict(re.findall(r"upstream (\w+) \{[^}]*server ([\w:-]+) resolve;", config))
    for name, role in {"gateways": "gateway", "query_servers": "query-server"}.items():
        port = services[role]["command"][services[role]["command"].index("--port") + 1]
        assert upstreams[name] == f"{role}:{port}"
    locations = dict(re.findall(r"location (\S+|= \S+) \{\s*(?:proxy_pass http://)?([^;]*);", config))
    assert locations.pop("= /metrics") == "return 404"
    kinds = {"gateways": "gateway", "query_servers": "query-server"}
    # One that is a path alone is written with an equals sign.
    assert all(path.endswith("/") is not path.startswith("= ") for path in locations)
    check_locations({path.removeprefix("= "): kinds[name] for path, name in locations.items()})
    listens = re.search(r"listen (\d+);", config)
    assert listens
    assert services["front"]["ports"][0].endswith(f":{listens[1]}")


def test_the_front_says_who_asks_and_the_roles_believe_it(infra: Path, compose: Compose) -> None:
    """What a client wrote there itself is not passed on."""
    config = (infra / "compose" / "front.conf").read_text()
    headers = dict(re.findall(r"proxy_set_header (\S+) (.*);", config))
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["Forwarded"] == headers["X-Real-IP"] == '""'
    for role in ROLES:
        environment = compose(**SECRETS)["services"][role]["environment"]
        assert CommonSettings.from_environment(environment).access.trusted_proxies.covers("172.18.0.5"), (
            "networks that Docker makes"
        )


def test_files_that_compose_names_are_there(infra: Path, compose: Compose) -> None:
    for name in ("compose.yaml", "compose.monitoring.yaml"):
        found = compose(name, RUNSTREAM_GRAFANA_PASSWORD="x", RUNSTREAM_METRICS_KEY="y", **SECRETS)
        used = {config["source"] for service in found["services"].values() for config in service.get("configs", ())}
        assert used == set(found["configs"])
        for config in found["configs"].values():
            assert (infra / config["file"]).is_file()
        volumes = {volume.partition(":")[0] for one in found["services"].values() for volume in one.get("volumes", ())}
        assert volumes == set(found["volumes"])


# The image


@pytest.mark.parametrize(("name", "extra"), [("Dockerfile", "cluster"), ("one-machine.Dockerfile", "server")])
def test_the_images_are_built_from_what_the_distribution_has(infra: Path, name: str, extra: str) -> None:
    dockerfile = (infra / name).read_text()
    project = tomllib.loads((infra.parent / "pyproject.toml").read_text())
    copied = [source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M) for source in line.split()]
    assert all((infra.parent / source).exists() for source in copied)
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"].keys() <= set(copied)
    for package in wheel["packages"]:
        assert any(package == source or package.startswith(f"{source}/") for source in copied), package
    assert {project["project"]["readme"], "pyproject.toml"} <= set(copied)
    kept = [line.removeprefix("!") for line in (infra / f"{name}.dockerignore").read_text().splitlines()]
    assert set(copied) <= set(kept)
    assert f"'.[{extra}]'" in dockerfile
    assert extra in project["project"]["optional-dependencies"]


def test_no_role_needs_what_the_image_leaves_out(infra: Path) -> None:
    left_out = re.search(r"uninstall --yes (.*)", (infra / "Dockerfile").read_text())
    assert left_out
    assert left_out[1].split() == ["chdb", "chdb-core"]
    script = "import sys; sys.modules['chdb'] = None; import runstream_infra.cli"
    script += "; from runstream_infra.cluster import gateway, query_server, roles, worker"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_versions_and_users_agree(infra: Path, compose: Compose, manifests: Manifests) -> None:
    services = compose(**SECRETS)["services"]
    dockerfile = (infra / "Dockerfile").read_text()
    assert {services[role]["image"] for role in ROLES} == {f"runstream:{VERSION}"}
    overlay = yaml.safe_load((infra / "k8s" / "example" / "kustomization.yaml").read_text())
    assert [(image["name"], image["newTag"]) for image in overlay["images"]] == [("runstream", VERSION)]
    pom = ElementTree.parse(infra / "kafka" / "pom.xml").getroot()
    kafka = pom.findtext("{*}properties/{*}kafka.version")
    assert services["kafka"]["image"] == f"apache/kafka:{kafka}", "the version that is tested"
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.M)
    assert user
    for deployment in of_kind(manifests, "Deployment"):
        security = deployment["spec"]["template"]["spec"]["securityContext"]
        assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user.groups()
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == overlay["images"][0]["name"]


async def test_a_worker_makes_no_folders_where_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # read-only in the containers
    workers = GenerationWorkers(lambda error: None)
    app = make_app(GroupSettings(bootstrap=("127.0.0.1:1",), topic="runstream-frames"), workers)
    await app.on_first_start()
    assert list(tmp_path.iterdir()) == []


# Kubernetes


def of_kind(manifests: Manifests, kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in manifests if one["kind"] == kind)


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_keep_to_kubernetes_schemas(manifests: Manifests, version: str) -> None:
    builtin = [one for one in manifests if "keda.sh" not in one["apiVersion"] and "coreos" not in one["apiVersion"]]
    assert len(builtin) == 3 + 3 + 2 + 2 + 1 + 1  # Deployments, budgets, Services, autoscalers, Ingress, account
    for one in builtin:
        kubernetes_validate.validate(one, version, strict=True)
    wrong = json.loads(json.dumps(next(of_kind(manifests, "Deployment"))))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(wrong, version, strict=True)


def configured(infra: Path) -> dict[str, str]:
    """The environment of every pod, with the examples of the secrets filled in."""
    k8s = infra / "k8s"
    environment: dict[str, str] = {}
    for folder in ("base", "example"):
        written = yaml.safe_load((k8s / folder / "kustomization.yaml").read_text())
        for generator in written["configMapGenerator"]:
            environment |= dict(literal.split("=", 1) for literal in generator["literals"])
    for path in sorted((k8s / "example" / "secrets").glob("*.env.example")):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        environment |= {line.partition("=")[0]: "0123456789abcdef" for line in lines}
    return environment


def settings_of_pods(infra: Path, tmp_path: Path) -> RoleSettings:
    environment = configured(infra)
    for name, value in environment.items():
        if value.startswith("/etc/"):  # mounted from a Secret
            (tmp_path / Path(value).name).write_text("a certificate")
            environment[name] = str(tmp_path / Path(value).name)
    return RoleSettings.from_environment(environment, host="0.0.0.0", port=7070, log_format="json")


def test_pods_get_settings_that_the_program_takes(infra: Path, tmp_path: Path) -> None:
    assert [name for name in configured(infra) if not is_read(name)] == []
    settings = settings_of_pods(infra, tmp_path)
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert settings.store.secure
    assert settings.store.profile == "replicated"
    check_bind(settings.host, ApiKeys.from_plain(settings.api_keys))


def test_files_that_the_settings_name_are_mounted(infra: Path, manifests: Manifests) -> None:
    overlay = yaml.safe_load((infra / "k8s" / "example" / "kustomization.yaml").read_text())
    secrets = {one["name"]: one for one in overlay["secretGenerator"]}
    mounted = {Path(file).name for file in secrets["runstream-tls"]["files"]}
    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        tls = next(mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "tls")
        assert next(one for one in pod["volumes"] if one["name"] == "tls")["secret"]["secretName"] == "runstream-tls"
        for value in configured(infra).values():
            if value.startswith("/etc/"):
                assert str(Path(value).parent) == tls["mountPath"]
                assert Path(value).name in mounted


@pytest.mark.parametrize("role", ROLES)
def test_pods_run_a_role_that_can_be_probed(
    manifests: Manifests, parse_command: Callable[[list[str]], Any], role: str
) -> None:
    deployment = next(one for one in of_kind(manifests, "Deployment") if one["metadata"]["name"] == f"runstream-{role}")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    parsed = parse_command(container["args"])
    assert (parsed.info_name, parsed.params["log_format"]) == (role, "json")
    [port] = container["ports"]
    assert port == {"name": "http", "containerPort": parsed.params["port"]}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",  # a store that is away is no reason to start a process again
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert container["resources"].keys() == {"requests", "limits"}
    assert {"secretRef": {"name": "runstream"}} in container["envFrom"], "without keys it would not listen"


def test_pods_can_do_nothing_but_run(manifests: Manifests) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_what_selects_pods_selects_those_of_a_deployment(manifests: Manifests) -> None:
    deployments = {one["metadata"]["name"]: one["spec"]["template"] for one in of_kind(manifests, "Deployment")}
    assert set(deployments) == {f"runstream-{role}" for role in ROLES}
    for kind in ("Service", "PodDisruptionBudget"):
        for one in of_kind(manifests, kind):
            selector = one["spec"]["selector"]
            labels = deployments[one["metadata"]["name"]]["metadata"]["labels"]
            assert selector.get("matchLabels", selector).items() <= labels.items()
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for one in of_kind(manifests, kind):
            assert one["spec"]["scaleTargetRef"]["name"] in deployments
            assert "replicas" not in deployments[one["spec"]["scaleTargetRef"]["name"]]
    [ingress] = of_kind(manifests, "Ingress")
    [rule] = ingress["spec"]["rules"]
    backends = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    kinds = {path["path"]: path["pathType"] for path in rule["http"]["paths"]}
    assert all(path.endswith("/") is (kind == "Prefix") for path, kind in kinds.items())
    check_locations({path: name.removeprefix("runstream-") for path, name in backends.items()})
    assert set(backends.values()) == {one["metadata"]["name"] for one in of_kind(manifests, "Service")}


def test_workers_scale_by_the_lag_of_their_own_group(infra: Path, manifests: Manifests, tmp_path: Path) -> None:
    settings = settings_of_pods(infra, tmp_path)
    [scaled], [authentication] = of_kind(manifests, "ScaledObject"), of_kind(manifests, "TriggerAuthentication")
    [trigger] = scaled["spec"]["triggers"]
    told = trigger["metadata"]
    assert told["consumerGroup"] == settings.worker_group == RoleSettings.model_fields["worker_group"].default
    assert told["topic"] == settings.kafka.topic == KafkaSettings.model_fields["topic"].default
    assert told["bootstrapServers"] == settings.kafka.bootstrap
    assert settings.kafka.sasl_mechanism == "SCRAM-SHA-512"
    assert (told["sasl"], told["tls"]) == ("scram_sha512", "enable")
    assert scaled["spec"]["maxReplicaCount"] == settings.kafka.partitions, "more would find no work"
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    overlay = yaml.safe_load((infra / "k8s" / "example" / "kustomization.yaml").read_text())
    stable = {one["name"]: one for one in overlay["secretGenerator"] if one.get("options")}
    example = (infra / "k8s" / "example" / "secrets" / "kafka.env.example").read_text()
    for reference in authentication["spec"]["secretTargetRef"]:
        assert reference["name"] in stable, "KEDA names it, so its name must not change"
        inside = example if "envs" in stable[reference["name"]] else str(stable[reference["name"]]["files"])
        assert reference["key"] in inside


def test_kustomizations_name_every_file_and_nothing_else(infra: Path) -> None:
    for path in (infra / "k8s").rglob("kustomization.yaml"):
        written = yaml.safe_load(path.read_text())
        named = {entry for entry in written["resources"] if entry.endswith(".yaml")}
        assert named == {one.name for one in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
        for folder in [*written["resources"], *written.get("components", [])]:
            assert (path.parent / folder).exists()


def test_kubectl_builds_the_example(infra: Path, tmp_path: Path) -> None:
    """Beside the checks above, which need no tool: where `kubectl` is, what it makes is whole."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    shutil.copytree(infra / "k8s", tmp_path / "k8s")
    secrets = tmp_path / "k8s" / "example" / "secrets"
    for example in secrets.glob("*.example"):
        example.with_suffix("").write_text(re.sub("=$", "=0123456789abcdef", example.read_text(), flags=re.M))
    for name in ("metrics-key", "kafka-ca.crt", "clickhouse-ca.crt"):
        (secrets / name).write_text("x")
    built = subprocess.run(
        [kubectl, "kustomize", str(tmp_path / "k8s" / "example")], capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stderr
    objects = [one for one in yaml.safe_load_all(built.stdout) if one]
    named = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for deployment in of_kind(objects, "Deployment"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"registry.example.com/runstream:{VERSION}"
        kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
        for source in container["envFrom"]:
            [(kind, reference)] = source.items()
            assert (kinds[kind], reference["name"]) in named
    for one in objects:
        assert one["metadata"]["namespace"] == "runstream"

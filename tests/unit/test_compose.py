"""compose/, as far as it can be checked without an engine: keys, files, tags, addresses, the native settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cartridge.stack import docker, kafka, plan
from cartridge.stack.installed import Installed
from cartridge.stack.minio import Credentials, minio
from cartridge.stack.ports import Ports, variable
from cartridge.stack.server import Server
from cartridge.stack.services import services

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
PORTS = Ports(kafka=19092, actor_1_metrics=19111)
# Of the compose specification, what this project uses: a misspelt key is one that is not here.
SERVICE_KEYS = {
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "logging",
    "network_mode",
    "profiles",
    "restart",
    "stop_grace_period",
    "volumes",
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries"}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def native_services(home: Path) -> list[Server]:
    settings = plan.stack_settings(home=home, ports=PORTS, environment={})
    return services(settings=settings, ports=PORTS, environment={})


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `docker compose` gets in its --env-file."""
    path = docker.write_environment(tmp_path_factory.mktemp("home"), PORTS)
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@pytest.fixture(scope="module")
def compose(environment: dict[str, str]) -> dict[str, Any]:
    """compose.yaml with its variables filled in, as Docker does."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        assert name in environment or kind == "-", f"{name} is given by nobody"
        return environment.get(name, default)

    text = "\n".join(
        line for line in docker.COMPOSE_FILE.read_text().splitlines() if not line.strip().startswith("#")
    )
    loaded = yaml.safe_load(VARIABLE.sub(value, text))
    assert isinstance(loaded, dict)
    return loaded


def test_only_keys_of_the_specification_are_used(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"services", "volumes"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK_KEYS
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        assert all(isinstance(value, str | int) for value in service.get("environment", {}).values())


def test_the_servers_are_those_that_are_started_and_the_services_the_native_ones(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    with_profile = {
        name for name, service in compose["services"].items() if service.get("profiles") == ["services"]
    }
    own = native_services(tmp_path)
    assert with_profile == {server.name for server in own}
    assert set(compose["services"]) - with_profile == set(docker.SERVERS)
    for server in own:
        container = compose["services"][server.name]
        assert tuple(container["command"]) == server.command[3:]
        told = {name: str(value) for name, value in container["environment"].items()}
        for name in ("CARTRIDGE_METRICS_PORT", "CARTRIDGE_HOST", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            assert told[name] == server.environment[name], (server.name, name)


def test_every_image_has_one_version() -> None:
    text = docker.COMPOSE_FILE.read_text() + (COMPOSE / "Dockerfile").read_text().replace("FROM ", "image: ")
    images = set(re.findall(r"image: (\S+)", text)) - {"cartridge"}
    assert len(images) == 5
    for image in images:
        assert re.fullmatch(r"[\w./-]+:(v?\d+\.\d+\.\d+[\w.-]*|RELEASE\.[\dTZ-]+)", image), image
    assert "image: apache/kafka:4.2.1" in text
    assert "kafka_2.13:4.2.1" in (COMPOSE / "native" / "kafka.toml").read_text()


def test_everything_listens_on_loopback_alone(compose: dict[str, Any], environment: dict[str, str]) -> None:
    for name, service in compose["services"].items():
        assert service["network_mode"] == "host", (
            name
        )  # nothing is published, so each must bind to loopback itself
        assert "ports" not in service
        assert "0.0.0.0" not in str(service)
    servers = compose["services"]
    assert f"127.0.0.1:{environment['CARTRIDGE_MINIO_PORT']}" in servers["minio"]["command"]
    assert "--web.listen-address=127.0.0.1:9090" in servers["prometheus"]["command"]
    assert servers["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert all(
        service["environment"]["CARTRIDGE_HOST"] == "127.0.0.1"
        for service in servers.values()
        if "profiles" in service
    )


def test_every_mounted_file_is_there(compose: dict[str, Any], environment: dict[str, str]) -> None:
    mounted = [
        volume.split(":") for service in compose["services"].values() for volume in service.get("volumes", ())
    ]
    assert len(mounted) >= 8
    for source, target, *_ in mounted:
        assert target.startswith("/")
        if source in compose["volumes"]:
            continue
        path = Path(source) if source.startswith("/") else COMPOSE / source
        assert path.exists(), source
    assert (COMPOSE / "Dockerfile").exists()
    assert environment["CARTRIDGE_HOME"].startswith("/")


def test_kafka_has_the_native_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    container = compose["services"]["kafka"]
    assert "./kafka.properties:/mnt/shared/config/server.properties:ro" in container["volumes"]
    native = properties(kafka.settings(ports=PORTS, data=tmp_path))
    shared = properties(kafka.SHARED_SETTINGS.read_text())
    own = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in container["environment"].items()
        if name != "KAFKA_HEAP_OPTS"
    }
    assert {**shared, **own, "log.dirs": ""} == {**native, "log.dirs": ""}
    assert container["environment"]["KAFKA_HEAP_OPTS"] == " ".join(kafka.HEAP)


def test_minio_has_the_native_settings(
    compose: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    credentials = Credentials(
        s3_access_key=environment["CARTRIDGE_S3_ACCESS_KEY"],
        s3_secret_key=environment["CARTRIDGE_S3_SECRET_KEY"],
    )
    installed = Installed(
        java=tmp_path, kafka_jars=(), class_archive=None, minio=Path("/minio"), prometheus=None
    )
    native = minio(installed=installed, home=tmp_path, ports=PORTS, credentials=credentials)
    container = compose["services"]["minio"]
    assert container["environment"].items() <= native.environment.items()
    assert container["command"][:-1] == list(native.command[1:-1])


def test_no_credential_is_committed() -> None:
    for path in (*COMPOSE.rglob("*"), *(ROOT / "dashboards").rglob("*")):
        if path.is_file() and "lock" not in path.name:
            found = re.findall(
                r"(?i)(?:password|secret_key|access_key)\s*[:=]\s*(?![$?])\S+", path.read_text()
            )
            assert found == [], path


def test_every_port_of_compose_can_be_set() -> None:
    used = {
        name for name, _, _ in VARIABLE.findall(docker.COMPOSE_FILE.read_text()) if name.endswith("_PORT")
    }
    assert used == {variable(name) for name, _ in Ports().items()} - {"CARTRIDGE_ENGINE_PORT"}
    defaults = {
        name: default
        for name, kind, default in VARIABLE.findall(docker.COMPOSE_FILE.read_text())
        if kind == "-"
    }
    for name, port in Ports().items():
        assert defaults.get(variable(name), str(port)) == str(port)


def test_the_image_is_built_from_what_is_there() -> None:
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    for source in re.findall(r"^COPY (\S+) \S+$", dockerfile, re.MULTILINE):
        assert (ROOT / source).exists(), source
    assert (COMPOSE / "Dockerfile.dockerignore").exists()
    assert 'RUN ["python", "-I", "cartridge/stack/bootstrap.py"]' in dockerfile


def test_grafana_finds_its_datasource_and_dashboard(compose: dict[str, Any]) -> None:
    provisioning = COMPOSE / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    grafana = compose["services"]["grafana"]
    assert source["url"].removeprefix("$") in grafana["environment"]
    assert grafana["environment"]["PROMETHEUS_ADDRESS"] == "http://127.0.0.1:9090"
    provider = yaml.safe_load((provisioning / "dashboards" / "cartridge.yaml").read_text())["providers"][0]
    folder = provider["options"]["path"]
    assert any(f":{folder}/cartridge.json:" in volume for volume in grafana["volumes"])
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/cartridge.json"

"""What servers and services are told: settings files, credentials, environments, the plan."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from cartridge.stack import kafka, plan, prometheus
from cartridge.stack.installed import Installed
from cartridge.stack.minio import Credentials, minio
from cartridge.stack.ports import Ports
from cartridge.stack.server import Server
from cartridge.stack.services import services

PORTS = Ports.load({"CARTRIDGE_KAFKA_PORT": "19092", "CARTRIDGE_ACTOR_1_METRICS_PORT": "19111"})
INSTALLED = Installed(
    java=Path("/java"),
    kafka_jars=(Path("/a.jar"), Path("/b.jar")),
    class_archive=Path("/kafka.jsa"),
    minio=Path("/minio"),
    prometheus=None,
)


def stack_settings(home: Path, **environment: str) -> Settings:
    return plan.stack_settings(home=home, ports=PORTS, environment=environment)


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [(name, value) for name, _, value in (line.partition("=") for line in lines)]
    assert len(dict(pairs)) == len(pairs), "a setting is given twice"
    return dict(pairs)


def test_kafka_listens_on_loopback_alone_and_needs_no_second_node(tmp_path: Path) -> None:
    settings = properties(kafka.settings(ports=PORTS, data=tmp_path))
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:9093"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert settings["log.dirs"] == str(tmp_path)
    copies = {
        name: value for name, value in settings.items() if name.endswith(("replication.factor", "min.isr"))
    }
    assert len(copies) >= 5
    assert set(copies.values()) == {"1"}
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["message.max.bytes"]) <= int(settings["replica.fetch.max.bytes"])


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    made = {kafka.cluster_id() for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", one) for one in made)


def test_what_kafka_says_about_storage_that_it_cannot_format_is_passed_on(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text(
        "#!/bin/sh\necho 'usage: format'\necho 'Exception: disk full' >&2\necho at x >&2\nexit 1\n"
    )
    java.chmod(0o755)
    with pytest.raises(CartridgeError, match=r"data/kafka cannot be formatted: Exception: disk full$"):
        kafka.prepare(installed=replace(INSTALLED, java=java), home=tmp_path, ports=PORTS)
    assert not (tmp_path / "data" / "kafka" / "meta.properties").exists()


def test_the_java_command_names_each_jar_and_the_archive() -> None:
    command = kafka.java_command(INSTALLED)
    assert command[-2:] == ("-cp", "/a.jar:/b.jar")
    assert "-XX:SharedArchiveFile=/kafka.jsa" in command
    assert "-Xmx512m" in command


def test_credentials_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    made = Credentials.of(tmp_path / "home")
    assert made == Credentials.of(tmp_path / "home")
    assert made != Credentials.of(tmp_path / "other")
    path = tmp_path / "home" / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.s3_secret_key not in repr(made)
    path.write_text("{}")
    with pytest.raises(UsageError, match=r"credentials.json cannot be read .*--delete-data"):
        Credentials.of(tmp_path / "home")


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    credentials = Credentials.of(tmp_path)
    store = minio(installed=INSTALLED, home=tmp_path, ports=PORTS, credentials=credentials)
    assert store.environment["MINIO_ROOT_PASSWORD"] == credentials.s3_secret_key
    assert "--address 127.0.0.1:9000" in shlex.join(store.command)
    own = services(settings=stack_settings(tmp_path), ports=PORTS, environment={})
    for server in (store, *own):
        assert credentials.s3_secret_key not in shlex.join(server.command)
        assert credentials.s3_secret_key not in repr(server.address)


def test_the_stack_uses_its_own_servers_whatever_the_environment_names(tmp_path: Path) -> None:
    settings = stack_settings(tmp_path, CARTRIDGE_KAFKA="elsewhere:1", CARTRIDGE_BUCKET="mine")
    assert (settings.kafka, settings.bucket) == ("127.0.0.1:19092", "mine")


def test_each_service_is_told_where_everything_is(tmp_path: Path) -> None:
    settings = stack_settings(tmp_path)
    own = {
        server.name: server
        for server in services(
            settings=settings, ports=PORTS, environment={"PATH": "/bin", "CARTRIDGE_X": "y"}
        )
    }
    assert list(own) == ["engine", "compactor", "learner", "actor-0", "actor-1"]
    for server in own.values():
        assert server.command[1:3] == ("-m", "cartridge")
        told = Settings.load(server.environment)
        assert (told.kafka, told.s3_endpoint, told.engine) == (
            settings.kafka,
            settings.s3_endpoint,
            settings.engine,
        )
        assert (told.s3_secret_key, told.host) == (settings.s3_secret_key, "127.0.0.1")
        assert server.environment["OMP_NUM_THREADS"] == "1"
        assert "CARTRIDGE_X" not in server.environment
    assert own["actor-1"].command[3:] == ("actor", "--index", "1")
    assert own["actor-1"].environment["CARTRIDGE_METRICS_PORT"] == "19111"
    metrics = [server.environment["CARTRIDGE_METRICS_PORT"] for server in own.values()]
    assert len(set(metrics)) == len(metrics)


def test_servers_outlive_the_services_and_records_are_drained_in_order(tmp_path: Path) -> None:
    own = services(settings=stack_settings(tmp_path), ports=PORTS, environment={})
    stage = {server.name: server.stage for server in own}
    assert (
        stage["actor-0"]
        > stage["compactor"]
        > kafka.kafka(installed=INSTALLED, home=tmp_path, ports=PORTS).stage
    )
    assert stage["actor-0"] > stage["engine"] > 0
    names = {server.name for server in own} | {"kafka", "minio"}
    assert all(set(server.needs) <= names for server in own)


def test_stack_json_is_what_settings_reads_and_holds_no_secret(tmp_path: Path) -> None:
    settings = stack_settings(tmp_path)
    servers: tuple[Server, ...] = tuple(services(settings=settings, ports=PORTS, environment={}))
    addresses = plan.Plan(settings=settings, ports=PORTS, kind="native", servers=servers).addresses()
    assert settings.s3_secret_key not in str(addresses)
    (tmp_path / "stack.json").write_text(json.dumps(addresses))
    read = Settings.load({"CARTRIDGE_HOME": str(tmp_path)})
    assert (read.kafka, read.engine, read.s3_secret_key) == (
        settings.kafka,
        settings.engine,
        settings.s3_secret_key,
    )
    assert plan.running_settings(tmp_path, {}) == settings


def test_prometheus_scrapes_every_service_and_knows_the_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    configuration = yaml.safe_load(prometheus.configuration(ports=PORTS, rules=rules))
    assert configuration["rule_files"] == [str(rules)]
    targets = {
        target
        for job in configuration["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    own = services(settings=stack_settings(tmp_path), ports=PORTS, environment={})
    assert targets == {f"127.0.0.1:{server.environment['CARTRIDGE_METRICS_PORT']}" for server in own}

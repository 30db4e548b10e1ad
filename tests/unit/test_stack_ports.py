"""Ports: chosen, refused, and named with their holder when in use."""

from __future__ import annotations

import os
import re
import socket

import pytest

from cartridge.errors import UsageError
from cartridge.stack.ports import Ports, answers, is_free, variable


def test_defaults_are_all_different_and_documented() -> None:
    ports = dict(Ports.load({}).items())
    assert (ports["kafka"], ports["minio"], ports["engine"]) == (9092, 9000, 50051)
    assert len(set(ports.values())) == len(ports)


def test_each_port_has_a_variable_that_overrides_it() -> None:
    for name in dict(Ports().items()):
        assert getattr(Ports.load({variable(name): "12345"}), name) == 12345


@pytest.mark.parametrize("text", ["", "a", "-1", "0", "65536", "9092.0"])
def test_an_impossible_port_is_refused_by_variable_and_value(text: str) -> None:
    with pytest.raises(UsageError, match=rf"CARTRIDGE_KAFKA_PORT is '?{re.escape(text)}'?.*1 to 65535"):
        Ports.load({"CARTRIDGE_KAFKA_PORT": text})


def test_one_port_for_two_listeners_is_refused() -> None:
    with pytest.raises(
        UsageError, match="CARTRIDGE_MINIO_PORT is 9092, which is CARTRIDGE_KAFKA_PORT as well"
    ):
        Ports.load({"CARTRIDGE_MINIO_PORT": "9092"})


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="CARTRIDGE_PORTS is 'any'"):
        Ports.load({"CARTRIDGE_PORTS": "any"})


def test_free_ports_can_be_listened_on_and_an_override_stays() -> None:
    ports = Ports.load({"CARTRIDGE_PORTS": "free", "CARTRIDGE_ENGINE_PORT": "50099"})
    assert ports.engine == 50099
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports.kafka))


def test_a_port_in_use_is_named_with_its_holder_and_what_to_set() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = int(listener.getsockname()[1])
        assert not is_free(port)
        assert answers(port)
        ports = Ports.load({"CARTRIDGE_PORTS": "free", "CARTRIDGE_KAFKA_PORT": str(port)})
        ports.require_free(["minio"])
        holder = rf"port {port} \(kafka\) is in use by pid {os.getpid()} \(.+\): .*set CARTRIDGE_KAFKA_PORT"
        with pytest.raises(UsageError, match=holder):
            ports.require_free(["minio", "kafka"])
    assert is_free(port)
    assert not answers(port)

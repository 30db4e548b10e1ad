"""Which processes a stack has, with which settings.

In: the home folder, the ports, whether Docker runs the servers. Out: one frozen `Plan`.
Invariant: nothing is started here; the same home and ports give the same plan.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cartridge.settings import Settings
from cartridge.stack import docker
from cartridge.stack.cache import cache_folder
from cartridge.stack.install import Folders, installed
from cartridge.stack.minio import Credentials
from cartridge.stack.ports import LOOPBACK, Ports
from cartridge.stack.prometheus import prometheus
from cartridge.stack.server import Server
from cartridge.stack.servers import base_servers
from cartridge.stack.services import services
from cartridge.stack.stack_file import stack_path

Kind = Literal["native", "docker"]  # who runs the servers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to run, in the order of starting."""

    settings: Settings
    ports: Ports
    kind: Kind
    servers: tuple[Server, ...]

    def addresses(self) -> dict[str, Any]:
        """What stack.json holds: `settings` for Settings.load, the ports for people. No secrets."""
        settings = self.settings
        return {
            "settings": {
                "kafka": settings.kafka,
                "s3_endpoint": settings.s3_endpoint,
                "bucket": settings.bucket,
                "engine": settings.engine,
            },
            "servers": self.kind,
            "ports": dict(self.ports.items()),
            "addresses": {server.name: server.address for server in self.servers},
        }


def plan(
    *,
    home: Path,
    ports: Ports,
    kind: Kind,
    environment: Mapping[str, str] | None = None,
) -> Plan:
    """The whole stack of a home. The native servers must be installed."""
    environment = os.environ if environment is None else environment
    settings = stack_settings(home=home, ports=ports, environment=environment)
    if kind == "docker":
        base = docker.containers(ports)
    else:
        found = installed(Folders.of(cache_folder(environment)))
        base = base_servers(installed=found, home=home, ports=ports, credentials=Credentials.of(home))
        if found.prometheus is not None:
            base.append(prometheus(program=found.prometheus, home=home, ports=ports))
    own = services(settings=settings, ports=ports, environment=environment)
    return Plan(settings=settings, ports=ports, kind=kind, servers=(*base, *own))


def running_settings(home: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of the stack that runs in this home, from the ports that it wrote down."""
    written = json.loads(stack_path(home).read_text())
    environment = os.environ if environment is None else environment
    return stack_settings(home=home, ports=Ports(**written["ports"]), environment=environment)


def stack_settings(*, home: Path, ports: Ports, environment: Mapping[str, str]) -> Settings:
    """Settings of the local stack: its own addresses and credentials, whatever else the environment names."""
    credentials = Credentials.of(home)
    kept = {
        name: environment[name] for name in ("CARTRIDGE_BUCKET", "CARTRIDGE_LOG_LEVEL") if name in environment
    }
    return Settings.load(
        {
            **kept,
            "CARTRIDGE_HOME": str(home),
            "CARTRIDGE_HOST": LOOPBACK,
            "CARTRIDGE_KAFKA": f"{LOOPBACK}:{ports.kafka}",
            "CARTRIDGE_S3_ENDPOINT": f"{LOOPBACK}:{ports.minio}",
            "CARTRIDGE_S3_ACCESS_KEY": credentials.s3_access_key,
            "CARTRIDGE_S3_SECRET_KEY": credentials.s3_secret_key,
            "CARTRIDGE_ENGINE": f"{LOOPBACK}:{ports.engine}",
        }
    )

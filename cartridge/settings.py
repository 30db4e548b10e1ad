"""Settings of one process, read once at its entry and passed on.

In: the environment (`CARTRIDGE_*`), else what the running local stack wrote to `stack.json`, else defaults.
Out: one frozen `Settings`. Invariant: the environment is read nowhere else.

    >>> Settings.load({"CARTRIDGE_KAFKA": "127.0.0.1:9092"}).kafka
    '127.0.0.1:9092'
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cartridge.errors import UsageError

ENVIRONMENT_PREFIX = "CARTRIDGE_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where everything is. `load` is the way to make one."""

    home: Path = Path(".cartridge")  # state of the local stack: data, logs, credentials
    kafka: str = "127.0.0.1:9092"  # bootstrap servers, host:port[,host:port]
    s3_endpoint: str = "127.0.0.1:9000"  # host:port of MinIO, without a scheme
    s3_access_key: str = field(default="", repr=False)
    s3_secret_key: str = field(default="", repr=False)
    bucket: str = "cartridge"  # shards and checkpoints live here
    engine: str = "127.0.0.1:50051"  # host:port that the engine serves and actors call
    host: str = "127.0.0.1"  # address that this process binds to
    metrics_port: int = 0  # 0 takes any free port
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not 0 <= self.metrics_port <= 65535:
            raise UsageError(f"CARTRIDGE_METRICS_PORT is {self.metrics_port}: it must be 0 to 65535")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise UsageError(
                f"CARTRIDGE_LOG_LEVEL is {self.log_level!r}: it must be debug, info, warning or error"
            )
        for name, addresses in (
            ("kafka", self.kafka),
            ("s3_endpoint", self.s3_endpoint),
            ("engine", self.engine),
        ):
            for address in addresses.split(","):
                _check_address(name, address)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Settings from `environment` (the process's own by default) over the local stack's over defaults.

        Raises UsageError naming the variable and its value.
        """
        environment = os.environ if environment is None else environment
        home = Path(environment.get("CARTRIDGE_HOME", ".cartridge")).absolute()
        values: dict[str, Any] = {**_of_stack(home), "home": home}
        for setting in fields(cls):
            variable = ENVIRONMENT_PREFIX + setting.name.upper()
            if setting.name != "home" and variable in environment:
                values[setting.name] = _parse(variable, environment[variable], integer=setting.type == "int")
        return cls(**values)


def _of_stack(home: Path) -> dict[str, Any]:
    """The addresses and credentials that the running local stack wrote, or nothing."""
    stack = home / "stack.json"
    if not stack.exists():
        return {}
    written = _object(stack).get("settings")
    if not isinstance(written, dict):
        raise UsageError(f"{stack} has no settings: remove it, then `./just up`")
    known = {setting.name for setting in fields(Settings)} - {"home", "metrics_port", "host"}
    credentials = home / "credentials.json"
    values = written | (_object(credentials) if credentials.exists() else {})
    for name in known & set(values):
        if not isinstance(values[name], str):
            raise UsageError(
                f"{name} is {values[name]!r} in {home}: it must be text; `./just down`, then `./just up`"
            )
    return {name: value for name, value in values.items() if name in known}


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises UsageError when there is another thing."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}): remove it, then `./just up`") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no JSON object: remove it, then `./just up`")
    return found


def _parse(variable: str, text: str, *, integer: bool) -> str | int:
    if not integer:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{variable} is {text!r}: it must be a whole number") from error


def _check_address(name: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise UsageError(f"CARTRIDGE_{name.upper()} is {address!r}: it must be host:port")

"""MinIO, the object store, on the loopback address.

In: the installed program, the home folder, the ports, the credentials. Out: a `Server`.
Invariant: the credentials are generated, kept in home/credentials.json (mode 0600) and given by environment, so
they are on no command line; data written under them can always be read again.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cartridge.errors import UsageError
from cartridge.stack.installed import Installed
from cartridge.stack.ports import LOOPBACK, Ports
from cartridge.stack.server import Server, http_ok


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """MinIO's root user."""

    s3_access_key: str
    s3_secret_key: str = field(repr=False)

    @classmethod
    def of(cls, home: Path) -> Credentials:
        """Those of this home; made, and written for its owner alone, the first time."""
        path = home / "credentials.json"
        if not path.exists():
            made = {"s3_access_key": secrets.token_hex(10), "s3_secret_key": secrets.token_hex(20)}
            home.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(made, file)
            part.rename(path)
        try:
            kept = json.loads(path.read_text())
            return cls(s3_access_key=kept["s3_access_key"], s3_secret_key=kept["s3_secret_key"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path} cannot be read ({error!r}): put its keys back, or `./just down --delete-data`"
            ) from error


def minio(*, installed: Installed, home: Path, ports: Ports, credentials: Credentials) -> Server:
    """The object store; its data is in home/data/minio."""
    data = home / "data" / "minio"
    return Server(
        name="minio",
        command=(
            str(installed.minio),
            "server",
            "--address",
            f"{LOOPBACK}:{ports.minio}",
            "--quiet",
            str(data),
        ),
        environment={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "MINIO_ROOT_USER": credentials.s3_access_key,
            "MINIO_ROOT_PASSWORD": credentials.s3_secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            # Its scanner walks all objects for lifecycle rules that the stack does not use.
            "MINIO_SCANNER_SPEED": "slowest",
        },
        address=f"{LOOPBACK}:{ports.minio}",
        port_names=("minio",),
        ready=lambda: http_ok(ports.minio, "/minio/health/ready"),
        prepare=lambda: data.mkdir(parents=True, exist_ok=True),
    )

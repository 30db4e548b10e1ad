"""What all tests share: real servers, started once a session.

In: nothing. Out: the `servers` fixture. Invariant: never skipped: Docker's where an engine answers, native elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cartridge.stack.ports import Ports
from cartridge.stack.servers import Servers, native_servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Kafka and MinIO on free ports: .kafka, .s3_endpoint (host:port), .access_key, .secret_key."""
    home: Path = tmp_path_factory.mktemp("servers")
    with native_servers(home, Ports.free()) as running:
        yield running

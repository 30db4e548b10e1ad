"""The `stage` fixture: a test's own topics, group and bucket on the session's servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cartridge.stack.servers import Servers
from stage import Stage, open_stage


@pytest.fixture
def stage(servers: Servers, tmp_path: Path) -> Iterator[Stage]:
    """Topics under a prefix that this process's code uses until the test is over, and a bucket."""
    with open_stage(servers, tmp_path) as opened:
        yield opened

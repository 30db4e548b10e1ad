"""The `stage` fixture: a test's own topics, group and bucket on the session's servers. And `trained`: a whole stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cartridge.stack.servers import Servers
from running_stack import Trained, make
from stage import Stage, open_stage


@pytest.fixture
def stage(servers: Servers, tmp_path: Path) -> Iterator[Stage]:
    """Topics under a prefix that this process's code uses until the test is over, and a bucket."""
    with open_stage(servers, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A stack of its own that `cartridge up` made from nothing, and what `up` said."""
    stack = make(tmp_path_factory.mktemp("trained") / ".cartridge")
    try:
        yield Trained(stack, stack.do("up"))
    finally:
        done = stack.shell("./just down")
    assert (done.code, done.error) == (0, "")
    assert done.output.startswith("stopped ("), done

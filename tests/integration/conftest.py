"""The `stage` fixture: a test's own topics, group and bucket on the session's servers. And `trained`: a whole stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cartridge.stack.servers import Servers
from running_stack import Trained, make
from said_by_train import run_of
from stage import Stage, open_stage


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """As the learner's process: threads of small matrices would only wait for each other."""
    torch.set_num_threads(1)


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
        up = stack.do("up")
        yield Trained(stack, up, run_of(up))
    finally:
        done = stack.shell("./just down")
    assert (done.code, done.error) == (0, "")
    assert done.output.startswith("stopped ("), done

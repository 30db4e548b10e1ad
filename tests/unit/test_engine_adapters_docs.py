"""The examples of docs/environments.md run as they stand, here and over gRPC; and imports register nothing."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from engine.adapters.registration import register_all
from engine.server import EngineServer
from markdown import section
from source_tree import ROOT

TEXT = (ROOT / "docs" / "environments.md").read_text()
SAYS = {
    "Gymnasium: Env": r"the game ended with (-1|0|1)\.0\n",
    "Gymnasium: VectorEnv": r"[1-9][0-9]* episodes ended\n",
    "PettingZoo: AEC": r"(player_[01] got (-1|0|1)\.0\n){2}",
    "PettingZoo: parallel": r"the last rewards were \{'red_scout': .+\}\n",
}
MODULES = ("aec", "env", "episodes", "fit", "match", "parallel", "registration", "source", "vector")


def example(heading: str) -> str:
    """The first indented block under a heading, as a program."""
    found = re.search(r"(?:^(?: {4}.*)?\n)+", section(TEXT, heading), re.MULTILINE)
    assert found is not None, heading
    return textwrap.dedent(found.group()).strip() + "\n"


def said(program: str) -> str:
    """What a program prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "docs/environments.md", "exec"), {})
    return out.getvalue()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with EngineServer("127.0.0.1", 0) as server:
        yield server.address
    register_all()  # nobody shall look for games at that address


@pytest.mark.parametrize("heading", SAYS)
def test_the_example_runs_here_and_over_grpc(heading: str, address: str) -> None:
    here = example(heading)
    there = here.replace("register_all()", f"register_all({address!r})")
    assert there != here
    assert re.fullmatch(SAYS[heading], said(here))
    assert re.fullmatch(SAYS[heading], said(there))


@pytest.mark.parametrize("heading", [*SAYS, "Stable-Baselines3"])
def test_an_example_is_short(heading: str) -> None:
    lines = [line for line in example(heading).splitlines() if line and "import" not in line]
    assert 5 <= len(lines) <= 10
    compile(example(heading), heading, "exec")


def test_importing_registers_nothing_and_loads_no_more_than_it_needs() -> None:
    names = ", ".join(f"engine.adapters.{module}" for module in MODULES)
    question = (
        "import sys, engine.adapters.registration, engine.adapters.source\n"
        "print(*sorted({'gymnasium', 'pettingzoo', 'PIL', 'numba'} & sys.modules.keys()))\n"
        f"import {names}\n"
        "import gymnasium, pettingzoo\n"
        "known = [*gymnasium.registry, *pettingzoo.aec_registry, *pettingzoo.parallel_registry]\n"
        "print(*[name for name in known if name.startswith('cartridge/')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n\n"

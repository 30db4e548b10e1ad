"""buf itself over the proto: what it takes, what it refuses, and that a release is what later changes are held to.

The real buf, compiled once for the machine where it is not there yet.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.stack.cache import cache_folder
from cartridge.stack.install import install_buf
from cartridge.stack.progress import Progress

ROOT = Path(__file__).resolve().parent.parent.parent
FINDING = 100  # buf's exit code when it has something to say
Buf = Callable[..., tuple[int, str]]

pytestmark = pytest.mark.timeout(1200)  # the first of these may have to compile buf


@pytest.fixture(scope="module")
def buf() -> Buf:
    """Runs buf in a folder; gives its exit code and what it said."""
    with Progress(Console(file=sys.stderr)) as progress:
        program = install_buf(progress)

    def run(folder: Path, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [program, *arguments],
            cwd=folder,
            env={**os.environ, "BUF_CACHE_DIR": str(cache_folder() / "buf-cache")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A copy of proto/ whose contract is the released one."""
    proto = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", proto)
    shutil.rmtree(proto / "cartridge")
    shutil.copytree(proto / "released" / "cartridge", proto / "cartridge")
    return tmp_path


def replace(folder: Path, old: str, new: str) -> None:
    path = folder / "proto" / "cartridge" / "engine" / "v1" / "engine.proto"
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def breaking(buf: Buf, folder: Path) -> tuple[int, str]:
    return buf(folder, "breaking", "proto", "--against", "proto/released")


def test_the_contract_lints_and_breaks_no_client(buf: Buf) -> None:
    assert buf(ROOT, "lint", "proto") == (0, "")
    assert breaking(buf, ROOT) == (0, "")


BROKEN = {
    "renumbered": ("uint64 sequence = 6;", "uint64 sequence = 16;", 'field "6" with name "sequence"'),
    "renamed": (
        "uint64 sequence = 6;",
        "uint64 number = 6;",
        '"number" to "sequence"|"sequence" to "number"',
    ),
    "another type": ("uint64 sequence = 6;", "fixed64 sequence = 6;", 'from "uint64" to "fixed64"'),
    "a field gone": ("  uint64 sequence = 6;\n", "", 'field "6" with name "sequence"'),
    "a call gone": ("  rpc Render(RenderRequest) returns (RenderResponse);\n", "", 'RPC "Render"'),
    "another answer": ("returns (RenderResponse)", "returns (ResetResponse)", 'RPC "Render"'),
    "no stream": ("rpc StepStream(stream ", "rpc StepStream(", 'RPC "StepStream"'),
    "another package": (
        "package cartridge.engine.v1;",
        "package cartridge.engine.v2;",
        "cartridge.engine.v1",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_clients_is_refused(buf: Buf, scratch: Path, old: str, new: str, said: str) -> None:
    assert breaking(buf, scratch) == (0, "")
    replace(scratch, old, new)
    code, lines = breaking(buf, scratch)
    assert code == FINDING, lines
    assert any(part in lines for part in said.split("|")), lines


ADDED = {
    "a field": ("uint64 sequence = 6;", "uint64 sequence = 6;\n  // How soon.\n  uint32 priority = 90;"),
    "a message": (
        "// Games as a stateless service.\nservice",
        "// A wish.\nmessage Wish {}\n\n// Games.\nservice",
    ),
    "a call": (
        "service Engine {\n",
        "service Engine {\n  // Again.\n  rpc Again(ListGamesResponse) returns (ListGamesRequest);\n",
    ),
    "a field gone, reserved": ("uint64 sequence = 6;", 'reserved 6;\n  reserved "sequence";'),
}


@pytest.mark.parametrize(("old", "new"), ADDED.values(), ids=ADDED)
def test_what_clients_do_not_notice_passes(buf: Buf, scratch: Path, old: str, new: str) -> None:
    path = scratch / "proto" / "cartridge" / "engine" / "v1" / "engine.proto"
    before = path.read_text()
    path.write_text(before.replace(old, new, 1))
    assert path.read_text() != before
    assert breaking(buf, scratch) == (0, "")


UGLY = {
    "no comment": ('// The game\'s name, e.g. "tictactoe".\n', "", "should have a non-empty comment"),
    "a name": ("uint64 sequence = 6;", "uint64 theSequence = 6;", "should be lower_snake_case"),
    "a request's name": (
        "rpc Step(StepRequest)",
        "rpc Step(ResetRequest)",
        "used as the request or response type",
    ),
    "a folder": ("package cartridge.engine.v1;", "package cartridge.motor.v1;", "directory"),
}


@pytest.mark.parametrize(("old", "new", "said"), UGLY.values(), ids=UGLY)
def test_what_is_not_in_the_house_s_form_is_refused(
    buf: Buf, scratch: Path, old: str, new: str, said: str
) -> None:
    assert buf(scratch, "lint", "proto") == (0, "")
    replace(scratch, old, new)
    code, lines = buf(scratch, "lint", "proto")
    assert code == FINDING, lines
    assert said in lines


def test_a_release_is_what_later_changes_are_held_to(buf: Buf, scratch: Path) -> None:
    field = "  // How soon.\n  uint32 priority = 90;\n"
    replace(scratch, "uint64 sequence = 6;\n", f"uint64 sequence = 6;\n{field}")
    (scratch / "proto" / "released" / "cartridge" / "gone.proto").touch()
    spec = importlib.util.spec_from_file_location("release", ROOT / "proto" / "release.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018 - for the type checker
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.release(scratch / "proto") == ["released/cartridge/engine/v1/engine.proto"]
    assert breaking(buf, scratch) == (0, "")
    replace(scratch, field, "")
    code, lines = breaking(buf, scratch)
    assert code == FINDING
    assert '"priority"' in lines


def test_every_service_of_the_contract_is_held_to_its_release() -> None:
    contract, released = (
        re.findall(r"^service (\w+)", (folder / "cartridge/engine/v1/engine.proto").read_text(), re.MULTILINE)
        for folder in (ROOT / "proto", ROOT / "proto" / "released")
    )
    assert contract == released == ["Engine", "Sessions", "Admin"]

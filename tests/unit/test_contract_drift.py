"""The generated stubs are those of the proto, and the proto keeps the fields that the design fixes."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engine.stubs import engine_pb2 as pb

ROOT = Path(__file__).resolve().parent.parent.parent
PROTO = ROOT / "proto" / "cartridge" / "engine" / "v1" / "engine.proto"

# Design, section 3: fields 1-20 of these messages never change.
FIXED = {
    "EngineId": {1: "env_id", 2: "build_id"},
    "Encoding": {1: "state", 2: "action", 3: "obs", 4: "schema_version"},
    "MultiDiscrete": {1: "nvec"},
    "BoxSpec": {1: "low", 2: "high", 3: "shape"},
    "Capabilities": {
        1: "id",
        2: "enc",
        3: "max_horizon",
        10: "discrete_n",
        11: "multi",
        12: "continuous",
        20: "preferred_batch",
    },
    "ResetRequest": {1: "id", 2: "seed", 3: "hint"},
    "ResetResponse": {1: "state", 2: "obs"},
    "StepRequest": {1: "id", 2: "state", 3: "action"},
    "StepResponse": {1: "next_state", 2: "obs", 3: "reward", 4: "done", 5: "info"},
}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018 - for the type checker
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stubs_are_those_of_the_proto(generate: ModuleType) -> None:
    # After a change of the proto: python proto/generate.py
    assert generate.stale() == []
    assert generate.main(["--check"]) == 0


def test_a_changed_missing_or_extra_stub_is_stale(generate: ModuleType, tmp_path: Path) -> None:
    files = generate.generate()
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert generate.stale(tmp_path) == []
    (tmp_path / "engine_pb2.py").write_text("changed", "utf-8")
    (tmp_path / "engine_pb2.pyi").unlink()
    (tmp_path / "old_pb2.py").write_text("", "utf-8")
    assert generate.stale(tmp_path) == ["engine_pb2.py", "engine_pb2.pyi", "old_pb2.py"]


def test_a_stale_stub_makes_the_check_fail(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "stale", lambda: ["engine_pb2.py"])
    assert generate.main(["--check"]) == 1
    assert (
        capsys.readouterr().err == "error: engine/stubs: engine_pb2.py stale; run python proto/generate.py\n"
    )


def test_the_fixed_fields_stand_where_the_design_puts_them() -> None:
    messages = pb.DESCRIPTOR.message_types_by_name
    for name, wanted in FIXED.items():
        there = {field.number: field.name for field in messages[name].fields if field.number <= 20}
        assert there == wanted, name


def test_every_field_message_and_call_has_a_comment() -> None:
    lines = PROTO.read_text("utf-8").splitlines()
    declared = re.compile(r"\s*(message|service|rpc|oneof|(repeated )?\w+ \w+ = \d+;)")
    bare = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if declared.match(line) and not lines[number - 2].strip().startswith("//")
    ]
    assert bare == []


def test_the_stubs_import_as_part_of_engine() -> None:
    assert "cartridge.engine" not in sys.modules
    assert pb.DESCRIPTOR.package == "cartridge.engine.v1"

"""The engine's benchmark runs, and measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def bench(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "bench" / "engine.py"), "--seconds", "0.05", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_json_has_a_line_for_every_call_and_batch() -> None:
    results = json.loads(bench("--json", "--batches", "1", "64"))
    assert [(result["call"], result["batch"]) for result in results] == [
        ("kernel", 1),
        ("kernel", 64),
        ("unary", 1),
        ("batch", 1),
        ("batch", 64),
        ("stream", 1),
        ("stream", 64),
    ]
    for result in results:
        assert result["steps_per_s"] > 0
        assert result["client_us_per_step"] > 0
        assert result["engine_us_per_step"] >= (0 if result["call"] == "kernel" else 0.01)


def test_the_table_has_the_same_columns() -> None:
    head, row = bench("--calls", "stream", "--batches", "32").splitlines()
    assert head.split() == ["call", "batch", "steps/s", "client", "µs/step", "engine", "µs/step"]
    assert row.split()[:2] == ["stream", "32"]

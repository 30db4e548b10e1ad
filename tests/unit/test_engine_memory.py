"""The allocator's settings are taken where there is glibc, and break nothing where there is not."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from engine import memory

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_process_keeps_what_it_frees() -> None:
    # In a process of its own, as the settings are for its lifetime.
    code = "import sys; from engine.memory import keep_freed; sys.exit(0 if keep_freed() else 3)"
    wanted = 0 if hasattr(ctypes.CDLL(None), "gnu_get_libc_version") else 3
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == wanted


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert memory.keep_freed() is False

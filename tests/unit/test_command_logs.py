"""Logs: one JSON object a line, with the event's fields, whatever these are."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cartridge import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger("cartridge")
    before = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = before


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""

    def strict(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=strict) for line in captured.err.splitlines()]


def test_an_event_is_a_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("compactor")
    logs.get("streams.x").info("shard_sealed", run="r", partition=3, offset=17, rows=[1, 2])
    (line,) = lines_of(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "service": "compactor",
        "event": "shard_sealed",
        "run": "r",
        "partition": 3,
        "offset": 17,
        "rows": [1, 2],
    }


def test_what_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x")
    logs.get("x").info("e", path=Path("a/b"), percent="100 %s", text="two\nlines")
    (line,) = lines_of(capsys)
    assert (line["path"], line["percent"], line["text"]) == ("a/b", "100 %s", "two\nlines")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_know_leaves_the_line_readable(
    value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    # a loss can become nan, and that is the line that must be read
    logs.configure("x")
    logs.get("x").info("weights_published", loss=value)
    assert len(lines_of(capsys)) == 1


def test_the_level_decides_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", level="warning")
    log = logs.get("x")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [(line["event"], line["level"]) for line in lines_of(capsys)] == [("c", "warning"), ("d", "error")]


def test_an_exception_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x")
    try:
        raise ValueError("why")
    except ValueError:
        logs.get("x").error("failed", exc_info=True, run="r")
    (line,) = lines_of(capsys)
    assert "ValueError: why" in line["exception"]
    assert line["run"] == "r"


def test_configuring_again_does_not_write_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("first")
    logs.configure("second")
    logs.get("x").info("e")
    assert [line["service"] for line in lines_of(capsys)] == ["second"]

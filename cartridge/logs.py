"""Structured logs: one JSON object a line on standard error.

In: an event name and fields. Out: `{"time": …, "level": …, "service": …, "event": …, <fields>}`.
Invariant: `configure` is called once, at a service's entry; modules only `get`.

    log = logs.get(__name__)
    log.info("shard_sealed", run=run, partition=3, first_offset=17)
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import traceback
from typing import Any

_ROOT = "cartridge"


class Log:
    """Writes events with fields; field values are JSON scalars, or are written as their `str`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: Any) -> None:
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: Any) -> None:
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: Any) -> None:
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, *, exc_info: bool = False, **fields: Any) -> None:
        self._logger.error(event, extra={"fields": fields}, exc_info=exc_info)


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            return json.dumps(line, default=str, allow_nan=False)
        except ValueError:  # infinities and NaN are no JSON
            finite = {name: value if _is_json(value) else str(value) for name, value in line.items()}
            return json.dumps(finite, default=str)


def _is_json(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def configure(service: str, *, level: str = "info") -> None:
    """Sends this process's events to standard error as JSON lines that carry `service`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False


def silence() -> None:
    """Sends this process's events nowhere: commands for people say what matters themselves."""
    logging.getLogger(_ROOT).addHandler(logging.NullHandler())


def get(name: str) -> Log:
    """The log of the module or part called `name`."""
    return Log(logging.getLogger(f"{_ROOT}.{name}"))

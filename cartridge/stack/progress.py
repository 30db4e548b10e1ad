"""What is being set up, how far it is, how long it takes.

In: parts with a title, a detail and a fraction, from any thread.
Out: a live table on a terminal, plain lines in a pipe.
Invariant: every part that was begun is ended, with how it ended; nothing is shown when nothing is to be done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_LINE_EVERY_S = 10.0


class Part:
    """One thing that is being set up."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self.title = title
        self.began = time.monotonic()
        self.detail = ""
        self.fraction: float | None = None  # of the work, where it is known
        self.ended: str | None = None
        self.seconds = 0.0
        self._line_at = self.began

    def say(self, detail: str, *, done: int = 0, total: int = 0) -> None:
        """What it does now; `done` of `total` when that is known. Nothing once it has ended."""
        if self.ended is not None:
            return
        self.detail = detail
        self.fraction = min(done / total, 1.0) if total else None
        if not self._progress.live and time.monotonic() - self._line_at >= _LINE_EVERY_S:
            self._line_at = time.monotonic()
            self._progress.line(
                f"  {self.title}: {self.percent()}{detail} ({self._line_at - self.began:.0f} s)"
            )

    def percent(self) -> str:
        """`42 %, ` or nothing."""
        return "" if self.fraction is None else f"{self.fraction:.0%}, "

    def end(self, how: str) -> None:
        """It is done, or has failed. Only the first time counts."""
        if self.ended is not None:
            return
        self.seconds = time.monotonic() - self.began
        self.ended = how
        if not self._progress.live:
            self._progress.line(f"  {self.title}: {how} ({self.seconds:.1f} s)")


class Progress:
    """Shows parts while they go on. A context manager; parts may be used from several threads."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = console.is_terminal
        self._parts: list[Part] = []
        self._lock = threading.Lock()
        self._display: Live | None = None
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def begin(self, title: str, *, quiet: bool = False) -> Part:
        """A part that starts now; `quiet` leaves out the plain line that says so."""
        part = Part(self, title)
        with self._lock:
            self._parts.append(part)
            first = self.live and not self._shown
            self._shown = self._shown or first
        if first:  # outside the lock: it draws at once
            self._display = Live(get_renderable=self._table, console=self.console, refresh_per_second=8)
            self._display.start()
        if not self.live and not quiet:
            self.line(f"  {title} ...")
        return part

    @contextmanager
    def part(self, title: str) -> Iterator[Part]:
        """A part, from now to the end of the block."""
        part = self.begin(title)
        try:
            yield part
        except BaseException as error:
            part.end("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        part.end("done")

    def line(self, text: str) -> None:
        """A plain line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            parts = list(self._parts)
        for part in parts:
            seconds = part.seconds if part.ended else time.monotonic() - part.began
            if part.ended:
                mark = "[green]✓[/]" if part.ended in ("done", "ready") else "[red]✗[/]"
                table.add_row(mark, Text(part.title), f"{seconds:.1f} s", "", "")
            else:
                bar = (
                    "" if part.fraction is None else ProgressBar(total=1.0, completed=part.fraction, width=20)
                )
                table.add_row(
                    Spinner("dots"), part.title, f"{seconds:.0f} s", bar, Text(part.detail[:60], style="dim")
                )
        return table

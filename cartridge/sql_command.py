"""`cartridge sql [QUERY]`: DuckDB over everything; an interactive shell without QUERY.

In: SQL as an argument, on standard input, or typed. Out: tables, CSV or JSON lines.
Invariant: a query that fails changes nothing and is one line that says why.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cartridge.errors import UsageError
from cartridge.settings import Settings

if TYPE_CHECKING:
    import duckdb

_TABLE_ROWS = 1000  # more are for --format csv or json
_WELCOME = """views: transitions, episodes, shards, checkpoints   macro: legal_actions(legal_mask)
a query ends with ;   .quit leaves"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `sql`."""
    parser = commands.add_parser("sql", help="SQL over transitions, episodes, shards and checkpoints")
    parser.add_argument(
        "query", nargs="?", help="SQL; without it, an interactive shell, or standard input of a pipe"
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")
    parser.set_defaults(handler=_sql)


def _sql(parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge.sql import open_views

    query = parsed.query
    if query is None and not sys.stdin.isatty():
        query = sys.stdin.read()
    if query is not None and not query.strip():
        raise UsageError('query is empty: try `./just sql "SELECT count(*) FROM transitions"`')
    connection = open_views(settings)
    if query is None:
        return _shell(connection, parsed.format)
    _answer(connection, query, parsed.format)
    return 0


def _answer(connection: duckdb.DuckDBPyConnection, query: str, form: str) -> None:
    """Runs one query and prints its result. Raises UsageError when DuckDB refuses it."""
    import duckdb

    try:
        table = connection.execute(query).to_arrow_table()
    except duckdb.Error as error:
        raise UsageError(f"query: {' '.join(str(error).split())}") from error
    columns = table.column_names
    shown = table.slice(0, _TABLE_ROWS) if form == "table" else table
    rows = list(zip(*(column.to_pylist() for column in shown.columns), strict=True))
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            [value.hex() if isinstance(value, bytes) else value for value in row] for row in rows
        )
    elif form == "json":
        for row in rows:
            sys.stdout.write(json.dumps(dict(zip(columns, row, strict=True)), default=_plain) + "\n")
    else:
        _print_table(columns, rows, more=table.num_rows > _TABLE_ROWS)


def _print_table(columns: list[str], rows: list[tuple[Any, ...]], *, more: bool) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 10_000  # a pipe has no edge to wrap at
    table = Table(box=None, header_style="bold")
    for index, name in enumerate(columns):
        numeric = any(
            isinstance(row[index], int | float) and not isinstance(row[index], bool) for row in rows
        )
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row))
    console.print(table)
    if more:
        console.print(
            f"… the first {_TABLE_ROWS} rows; all of them with --format csv or json", highlight=False
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else str(value)


def _shell(connection: duckdb.DuckDBPyConnection, form: str) -> int:
    import readline  # noqa: F401  gives input() its history and editing

    console = Console()
    console.print(_WELCOME, highlight=False, markup=False)
    lines: list[str] = []
    while True:
        try:
            line = input("     … " if lines else "cartridge> ")
        except EOFError:
            console.print()
            return 0
        except KeyboardInterrupt:
            console.print()
            lines.clear()
            continue
        if not lines and line.strip() in (".quit", ".exit", "quit", "exit"):
            return 0
        lines.append(line)
        if line.rstrip().endswith(";"):
            query = "\n".join(lines)
            lines.clear()
            try:
                _answer(connection, query, form)
            except UsageError as error:
                console.print(f"error: {error}", highlight=False, markup=False)

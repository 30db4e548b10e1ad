"""A DuckDB connection that sees the object store.

In: settings. Out: a connection on which s3://BUCKET/… can be read.
Invariant: nothing is downloaded: httpfs comes from its PyPI package.
"""

from __future__ import annotations

import duckdb
import duckdb_extensions

from cartridge.settings import Settings
from streams.views import quote


def connect(settings: Settings, *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database with httpfs and the store's credentials. `threads` bounds its parallelism."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    duckdb_extensions.import_extension("httpfs", con=connection)
    connection.execute("LOAD httpfs")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    # Objects never change under their key, so that their footers may be kept.
    connection.execute("SET enable_http_metadata_cache = true")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"CREATE SECRET store (TYPE s3, KEY_ID {quote(settings.s3_access_key)},"
        f" SECRET {quote(settings.s3_secret_key)}, ENDPOINT {quote(settings.s3_endpoint)},"
        " USE_SSL false, URL_STYLE 'path', REGION 'us-east-1')"
    )
    return connection

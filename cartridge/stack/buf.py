"""buf, which lints the proto and refuses breaking changes: installed once a machine, then called.

In: buf's own arguments. Out: what buf says, and its exit code (100 where it finds something).
Invariant: it is the pinned buf, whatever is on the PATH, and it asks no network.

    python -m cartridge.stack.buf lint proto        (`just proto`)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack.cache import cache_folder
from cartridge.stack.install import install_buf
from cartridge.stack.progress import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Becomes buf; returns only when it could not be installed, with the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with Progress(Console(stderr=True)) as progress:
            buf = str(install_buf(progress))
        environment = {**os.environ, "BUF_CACHE_DIR": str(cache_folder() / "buf-cache")}
        os.execve(buf, [buf, *arguments], environment)
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

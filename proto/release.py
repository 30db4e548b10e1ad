"""Make the proto of now the released one, which every later change is compared with.

Enters: proto/cartridge/. Leaves: proto/released/cartridge/, the same files.
Invariant: clients may have been built from what is released, so it changes on a release only, after `just proto` has
found that nothing in it breaks.

    python proto/release.py             # just release-proto checks first
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent
PACKAGES = "cartridge"


def release(root: Path = PROTO_ROOT) -> list[str]:
    """Replace root/released/cartridge by root/cartridge. Returns the paths of its files, sorted."""
    released = root / "released" / PACKAGES
    if released.exists():
        shutil.rmtree(released)
    shutil.copytree(root / PACKAGES, released)
    return sorted(str(path.relative_to(root)) for path in released.rglob("*.proto"))


if __name__ == "__main__":
    sys.stdout.write("".join(f"released as proto/{path}\n" for path in release()))

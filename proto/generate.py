"""Write engine/stubs/ from the proto, or say that it is stale.

Enters: proto/cartridge/engine/v1/engine.proto. Leaves: engine_pb2.py, .pyi and engine_pb2_grpc.py
in engine/stubs/.
Invariant: the stubs are a function of the proto and of the pinned grpcio-tools; nobody edits them.

    python proto/generate.py            # write them
    python proto/generate.py --check    # exit 1 if they differ from what would be written
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent
PROTO = "cartridge/engine/v1/engine.proto"
STUBS = PROTO_ROOT.parent / "engine" / "stubs"

# protoc imports by the proto's folder, which here would mean our own package `cartridge`.
_IMPORT = "from cartridge.engine.v1 import engine_pb2"
_IMPORT_HERE = "from engine.stubs import engine_pb2"
_INIT = '"""Written by proto/generate.py from proto/cartridge/engine/v1/engine.proto; do not edit."""\n'


class GenerateError(RuntimeError):
    """protoc refused the proto."""


def generate() -> dict[str, str]:
    """Content of every file of engine/stubs/, by name. Raises GenerateError."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO_ROOT}"]
        arguments += [f"--{plugin}_out={folder}" for plugin in ("python", "pyi", "grpc_python")]
        if protoc.main([*arguments, PROTO]) != 0:
            raise GenerateError(f"{PROTO}: protoc refused it, see above")
        written = Path(folder) / Path(PROTO).parent
        files = {path.name: path.read_text("utf-8") for path in sorted(written.iterdir())}
    return {"__init__.py": _INIT} | {
        name: text.replace(_IMPORT, _IMPORT_HERE) for name, text in files.items()
    }


def stale(folder: Path = STUBS) -> list[str]:
    """Names of the stubs in `folder` that are missing, too many or different."""
    wanted = generate()
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.py*") if path.is_file()}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Write the stubs, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write engine/stubs/ from the proto.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a stub is stale")
    if parser.parse_args(arguments).check:
        names = stale()
        if names:
            sys.stderr.write(f"error: engine/stubs: {', '.join(names)} stale; run python proto/generate.py\n")
        return 1 if names else 0
    STUBS.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (STUBS / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

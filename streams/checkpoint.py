"""Checkpoints in the object store: a manifest, and the files whose SHA-256 it names.

In: files and what made them. Out: objects under one prefix, verified; and back, verified again.
Invariant: a checkpoint is announced only after every byte of it was read back; no byte is used whose hash differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cartridge.objects import ObjectStore
from streams.errors import StreamsError

MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
MANIFEST = "manifest.json"


class BadCheckpoint(StreamsError):
    """A checkpoint is not what was announced."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What made a checkpoint, and what is in it."""

    run: str
    version: int
    env_id: str
    build_id: str
    schema_version: int
    encodings: dict[str, str]  # state, action, obs
    network: dict[str, Any]  # {"kind": "mlp", "layers": [29, 64, 64, 9], "activation": "relu"}
    algorithm: str
    settings: dict[str, Any]  # the run's spec
    seed: int
    random_state: dict[str, Any]  # of the sampler, as numpy gives it
    gradient_steps: int
    samples: int
    inserted_rows: int
    log_positions: dict[str, int]  # partition -> last offset whose rows were in the window when this was made
    evaluation: dict[str, float]
    verdict: str
    made_us: int
    sha256: dict[str, str]  # of every other file, by name


def prefix_of(run: str, version: int) -> str:
    """Where checkpoint `version` of `run` is."""
    return f"checkpoints/run={run}/{version:010d}"


def write(store: ObjectStore, files: Mapping[str, bytes], manifest: Manifest) -> str:
    """Stores the files, reads them back, stores the manifest. Returns the manifest's SHA-256.

    `manifest.sha256` must name exactly `files`. Raises StoreUnavailable, BadCheckpoint.
    """
    prefix = prefix_of(manifest.run, manifest.version)
    for name, body in files.items():
        store.put(f"{prefix}/{name}", body)
        _verified(store, f"{prefix}/{name}", manifest.sha256[name])
    text = json.dumps(asdict(manifest), sort_keys=True, indent=1).encode()
    store.put(f"{prefix}/{MANIFEST}", text)
    digest = sha256_of(text)
    _verified(store, f"{prefix}/{MANIFEST}", digest)
    return digest


def read_manifest(store: ObjectStore, prefix: str, *, sha256: str | None = None) -> Manifest:
    """The manifest under `prefix`. Raises BadCheckpoint, ObjectMissing, StoreUnavailable."""
    key = f"{prefix}/{MANIFEST}"
    body = store.get(key) if sha256 is None else _verified(store, key, sha256)
    try:
        return Manifest(**json.loads(body))
    except (ValueError, TypeError) as error:
        raise BadCheckpoint(f"{key} is not a manifest: {error}") from error


def read_file(store: ObjectStore, prefix: str, manifest: Manifest, name: str) -> bytes:
    """File `name` of the checkpoint, whose hash is what the manifest says. Raises as `read_manifest`."""
    if name not in manifest.sha256:
        raise BadCheckpoint(
            f"{prefix}/{MANIFEST} names no file {name!r}: it has {', '.join(manifest.sha256)}"
        )
    return _verified(store, f"{prefix}/{name}", manifest.sha256[name])


def sha256_of(body: bytes) -> str:
    """SHA-256 of `body`, lower-case hex."""
    return hashlib.sha256(body).hexdigest()


def _verified(store: ObjectStore, key: str, sha256: str) -> bytes:
    body = store.get(key)
    found = sha256_of(body)
    if found != sha256:
        raise BadCheckpoint(f"{key} has sha256 {found[:12]}…: announced was {sha256[:12]}…")
    return body

"""Checkpoints: written, verified, and refused when a byte is not what was announced."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest

from cartridge.objects import ObjectMissing, ObjectStore
from streams import checkpoint
from streams.checkpoint import BadCheckpoint, Manifest

FILES = {"model.safetensors": b"the model", "optimizer.safetensors": b"the optimizer"}


class MemoryStore(ObjectStore):
    """A bucket in memory; remembers the order of writing."""

    def __init__(self) -> None:
        self.bucket = "bucket"
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes | memoryview) -> None:
        self.objects[key] = bytes(body)

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissing(f"object {key} is not in bucket {self.bucket}")
        return self.objects[key]


class RottingStore(MemoryStore):
    """Keeps one bit of what ends with `suffix` wrong."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        self.suffix = suffix

    def put(self, key: str, body: bytes | memoryview) -> None:
        body = bytes(body)
        super().put(key, bytes([body[0] ^ 1]) + body[1:] if key.endswith(self.suffix) else body)


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        run="mine",
        version=12,
        env_id="tictactoe",
        build_id="tictactoe-1",
        schema_version=1,
        encodings={"state": "s", "action": "a", "obs": "o"},
        network={"kind": "mlp", "layers": [29, 9], "activation": "relu"},
        algorithm="dqn",
        settings={"seed": 1},
        seed=1,
        random_state={"state": {"state": 2**100, "inc": 3}},
        gradient_steps=600,
        samples=1,
        inserted_rows=2,
        log_positions={"0": 17},
        evaluation={"strength": 0.5},
        verdict="",
        made_us=3,
        sha256={name: hashlib.sha256(body).hexdigest() for name, body in files.items()},
    )


PREFIX = "checkpoints/run=mine/0000000012"


def test_a_written_checkpoint_is_read_back() -> None:
    store, manifest = MemoryStore(), manifest_of(FILES)
    digest = checkpoint.write(store, FILES, manifest)
    assert checkpoint.prefix_of("mine", 12) == PREFIX
    assert checkpoint.read_manifest(store, PREFIX, sha256=digest) == manifest
    for name, body in FILES.items():
        assert checkpoint.read_file(store, PREFIX, manifest, name) == body


def test_the_manifest_is_written_last_and_its_hash_is_returned() -> None:
    store = MemoryStore()
    digest = checkpoint.write(store, FILES, manifest_of(FILES))
    assert list(store.objects) == [f"{PREFIX}/{name}" for name in [*FILES, "manifest.json"]]
    assert digest == hashlib.sha256(store.objects[f"{PREFIX}/manifest.json"]).hexdigest()


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_file_that_was_stored_wrong_is_noticed_when_it_is_written(name: str) -> None:
    store = RottingStore(name)
    with pytest.raises(BadCheckpoint, match=f"{PREFIX}/{name} has sha256"):
        checkpoint.write(store, FILES, manifest_of(FILES))
    if name != "manifest.json":
        assert f"{PREFIX}/manifest.json" not in store.objects  # nothing that anybody would load


def test_a_file_that_changed_since_is_refused() -> None:
    store, manifest = MemoryStore(), manifest_of(FILES)
    checkpoint.write(store, FILES, manifest)
    store.put(f"{PREFIX}/model.safetensors", b"the modem")
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors has sha256 .*announced was"):
        checkpoint.read_file(store, PREFIX, manifest, "model.safetensors")


def test_a_manifest_that_changed_since_is_refused() -> None:
    store, manifest = MemoryStore(), manifest_of(FILES)
    digest = checkpoint.write(store, FILES, manifest)
    other = json.dumps(asdict(replace(manifest, gradient_steps=601))).encode()
    store.put(f"{PREFIX}/manifest.json", other)
    with pytest.raises(BadCheckpoint, match=r"manifest\.json has sha256"):
        checkpoint.read_manifest(store, PREFIX, sha256=digest)
    assert checkpoint.read_manifest(store, PREFIX).gradient_steps == 601  # who does not know the hash


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"run": "mine"}', b"\xff", b"null"])
def test_a_manifest_that_is_none_is_refused(text: bytes) -> None:
    store = MemoryStore()
    store.put(f"{PREFIX}/manifest.json", text)
    with pytest.raises(BadCheckpoint, match="is not a manifest"):
        checkpoint.read_manifest(store, PREFIX)


def test_a_file_that_the_manifest_does_not_name_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match=r"names no file 'other': it has model\.safetensors, optimizer"):
        checkpoint.read_file(MemoryStore(), PREFIX, manifest_of(FILES), "other")


def test_a_checkpoint_that_is_not_there_is_missing() -> None:
    with pytest.raises(ObjectMissing):
        checkpoint.read_manifest(MemoryStore(), PREFIX)

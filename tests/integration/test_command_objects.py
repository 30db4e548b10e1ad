"""The object store on the real MinIO: whole or not at all, and errors that name the key or the setting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cartridge.errors import UsageError
from cartridge.objects import ObjectMissing, ObjectStore, StoreUnavailable
from stage import Stage


def test_what_was_put_is_got(stage: Stage) -> None:
    store = stage.store()
    large = bytes(range(256)) * 30_000  # more than one part of an upload
    for key, body in (("a/b c/é=1", b"x"), ("empty", b""), ("large", large), ("view", memoryview(b"seen"))):
        store.put(key, body)
        assert store.get(key) == bytes(body)
    store.put("large", b"small now")
    assert store.get("large") == b"small now"


def test_keys_are_listed_in_order_under_their_prefix(stage: Stage) -> None:
    store = stage.store()
    for key in ("x/2", "x/10/deep", "x/1", "y/1"):
        store.put(key, b"1")
    assert list(store.keys("x/")) == ["x/1", "x/10/deep", "x/2"]
    assert list(store.keys("z/")) == []


def test_what_is_not_there_is_missing(stage: Stage) -> None:
    with pytest.raises(ObjectMissing, match=f"object no/such is not in bucket {stage.settings.bucket}"):
        stage.store().get("no/such")


def test_several_processes_may_make_the_bucket_at_once(stage: Stage) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = [made.result() for made in [pool.submit(stage.store) for _ in range(6)]]
    stores[0].put("k", b"v")
    assert [store.get("k") for store in stores] == [b"v"] * 6


@pytest.mark.parametrize("setting", ["s3_access_key", "s3_secret_key"])
def test_credentials_that_are_refused_are_one_line(stage: Stage, setting: str) -> None:
    settings = replace(stage.settings, **{setting: "wrong-credentials"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="CARTRIDGE_S3_ACCESS_KEY") as error:
        ObjectStore.connect(settings)
    assert "\n" not in str(error.value)
    assert "wrong-credentials" not in str(error.value)


def test_a_store_that_is_not_there_is_one_line(stage: Stage) -> None:
    with pytest.raises(UsageError, match=r"^s3_endpoint 127\.0\.0\.1:1 does not answer") as error:
        ObjectStore.connect(replace(stage.settings, s3_endpoint="127.0.0.1:1"))
    assert "\n" not in str(error.value)


def test_a_bucket_that_went_away_is_an_error_that_may_pass(stage: Stage) -> None:
    store = ObjectStore(stage.store()._client, "no-such-bucket")
    with pytest.raises(StoreUnavailable, match=r"^object k was not stored"):
        store.put("k", b"v")
    with pytest.raises(StoreUnavailable, match=r"^object k was not read"):
        store.get("k")
    with pytest.raises(StoreUnavailable, match="under p/ were not listed"):
        list(store.keys("p/"))

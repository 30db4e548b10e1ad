"""The object store: S3 as MinIO speaks it.

In: a key and bytes. Out: the same bytes, or an error that names the key.
Invariant: a `put` that returned is readable whole by everyone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import urllib3
from minio import Minio
from minio.error import S3Error

from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings


class ObjectMissing(CartridgeError):
    """There is no object under this key."""


class StoreUnavailable(CartridgeError):
    """The store did not take or give the object now; the same call may succeed later."""


class ObjectStore:
    """One bucket. Thread-safe for different keys, as the MinIO client is."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    @classmethod
    def connect(cls, settings: Settings) -> ObjectStore:
        """A store on the settings' bucket, which is made if it is not there.

        Raises UsageError when the address or the credentials are refused.
        """
        pool = urllib3.PoolManager(
            maxsize=8,
            timeout=urllib3.Timeout(connect=3, read=30),
            retries=urllib3.Retry(total=2, backoff_factor=0.1),
        )
        client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )
        try:
            if not client.bucket_exists(settings.bucket):
                client.make_bucket(settings.bucket)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # two services may start at once
                raise UsageError(
                    f"s3_endpoint {settings.s3_endpoint} refused bucket {settings.bucket!r}: {error.code};"
                    " check CARTRIDGE_S3_ACCESS_KEY and CARTRIDGE_S3_SECRET_KEY"
                ) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UsageError(
                f"s3_endpoint {settings.s3_endpoint} does not answer: is the stack up? `./just status`"
            ) from error
        return cls(client, settings.bucket)

    def put(self, key: str, body: bytes | memoryview) -> None:
        """Stores `body` under `key`, whole or not at all. Raises StoreUnavailable."""
        try:
            self._client.put_object(self.bucket, key, io.BytesIO(body), len(body))
        except (S3Error, urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"object {key} was not stored: {_line(error)}") from error

    def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises ObjectMissing, StoreUnavailable."""
        try:
            response = self._client.get_object(self.bucket, key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise ObjectMissing(f"object {key} is not in bucket {self.bucket}") from error
            raise StoreUnavailable(f"object {key} was not read: {_line(error)}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"object {key} was not read: {_line(error)}") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys under `prefix`, in order."""
        try:
            for item in self._client.list_objects(self.bucket, prefix=prefix, recursive=True):
                yield str(item.object_name)
        except (S3Error, urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"objects under {prefix} were not listed: {_line(error)}") from error

    def url(self, key: str) -> str:
        """The s3:// address that DuckDB reads."""
        return f"s3://{self.bucket}/{key}"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

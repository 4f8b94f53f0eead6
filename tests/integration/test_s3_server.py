"""The S3 server of the tests keeps the promises that the object-store sink builds on."""

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError
from obstore.store import S3Store

from tests.parts.s3 import S3Server


def a_store(s3: S3Server, prefix: str, secret: str) -> S3Store:
    return S3Store(
        s3.bucket,
        prefix=prefix,
        endpoint=s3.endpoint,
        access_key_id=s3.access_key,
        secret_access_key=secret,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


@pytest.fixture
def store(s3: S3Server, topic_prefix: str) -> S3Store:
    return a_store(s3, topic_prefix, s3.secret)


def test_a_second_put_if_absent_is_refused_and_changes_nothing(store: S3Store) -> None:
    obstore.put(store, "one.parquet", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "one.parquet", b"second", mode="create")
    assert bytes(obstore.get(store, "one.parquet").bytes()) == b"first"


def test_a_multipart_upload_comes_back_whole(store: S3Store) -> None:
    content = bytes(range(256)) * 50_000
    obstore.put(store, "large.parquet", content, use_multipart=True, chunk_size=5 * 1024 * 1024)
    assert bytes(obstore.get(store, "large.parquet").bytes()) == content


def test_a_wrong_secret_is_refused(s3: S3Server, topic_prefix: str) -> None:
    with pytest.raises(PermissionDeniedError):
        obstore.put(a_store(s3, topic_prefix, "guessed"), "one.parquet", b"x")

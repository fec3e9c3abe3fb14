"""Addresses of object stores: what is taken, what is refused, what is signed, and that no secret is ever shown."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.config import Config, parse
from headrace.errors import ConfigError
from headrace.objects import Announced, ObjectStoreRefused, Target
from headrace.objects.s3 import open_objects
from headrace.objects.s3.address import parsed
from tests.object_store import ENVIRONMENT

HASH = "sha256:" + "ab" * 32
MINIO = "s3://files/a/b?region=eu-west-1&endpoint=http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


async def target(url: str, digest: str | None = None) -> Target:
    store = open_objects(url)
    try:
        return await store.target("the-key", Announced(12, "text/plain", digest), 60)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("url", "where", "origin"),
    [
        (
            "s3://files/in?region=eu-west-1",
            "https://files.s3.eu-west-1.amazonaws.com/in/the-key",
            "https://files.s3.eu-west-1.amazonaws.com",
        ),
        (
            "s3://files?region=us-east-1",
            "https://files.s3.us-east-1.amazonaws.com/the-key",
            "https://files.s3.us-east-1.amazonaws.com",
        ),
        (
            "s3://some.files?region=eu-west-1",
            "https://s3.eu-west-1.amazonaws.com/some.files/the-key",
            "https://s3.eu-west-1.amazonaws.com",
        ),
        (MINIO, "http://127.0.0.1:9/files/a/b/the-key", "http://127.0.0.1:9"),
        (
            MINIO + "&public_endpoint=https://files.example.com",
            "https://files.example.com/files/a/b/the-key",
            "https://files.example.com",
        ),
        ("s3://files?region=us-east-1&endpoint=https://s3.example.com",
         "https://s3.example.com/files/the-key", "https://s3.example.com"),
    ],
)  # fmt: skip
async def test_clients_put_where_the_address_says(url: str, where: str, origin: str) -> None:
    store = open_objects(url)
    found = await store.target("the-key", Announced(12, "text/plain", None), 60)

    assert found.url.partition("?")[0] == where
    assert store.origin == origin
    await store.close()


async def test_size_type_hash_and_time_are_signed() -> None:
    found = await target(MINIO, HASH)

    query = parse_qs(urlsplit(found.url).query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host;x-amz-checksum-sha256"]
    assert (query["X-Amz-Expires"], query["X-Amz-Algorithm"]) == (["60"], ["AWS4-HMAC-SHA256"])
    assert dict(found.headers) == {
        "content-type": "text/plain",
        "content-length": "12",
        "x-amz-checksum-sha256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    }
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in found.url
    assert "Signature" not in repr(found)
    without = await target(MINIO)
    assert "checksum" not in without.url + str(without.headers)


async def test_without_credentials_it_says_where_to_put_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(ObjectStoreRefused, match="environment, a profile"):
        await target(MINIO)


def test_a_profile_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none-of-this-name")

    with pytest.raises(ConfigError, match="AWS_PROFILE"):
        open_objects(MINIO)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://KEY:hush@files/in", "credentials where boto3 finds them"),
        ("s3://files?aws_secret_access_key=hush", "aws_secret_access_key"),
        ("s3://files?regoin=eu-west-1", r"meant region\?"),
        ("s3://Files/in", "s3://BUCKET"),
        ("s3:///in", "s3://BUCKET"),
        ("s3://files/a b", "s3://BUCKET"),
        ("s3://files#hush", "s3://BUCKET"),
        ("s3://files?timeout=soon", "timeout in seconds"),
        ("s3://files?timeout=0", "timeout above 0"),
        ("s3://files?endpoint=minio:9000", "http://host:port"),
        ("s3://files?endpoint=http://user:hush@minio", "http://host:port"),
        ("s3://files?public_endpoint=ftp://minio", "http://host:port"),
        ("s3://files?region=eu west&endpoint=", "a region"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_being_shown(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        open_objects(url)
    assert "hush" not in str(refused.value)


def test_a_prefix_ends_with_one_slash() -> None:
    assert [parsed(f"s3://files{path}")[0].prefix for path in ("", "/", "/a", "/a/", "/a/b/")] == [
        "", "", "a/", "a/", "a/b/",
    ]  # fmt: skip


def test_without_the_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    for name in ("headrace.objects.s3", "headrace.objects.s3.requests"):
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(ConfigError, match=r"headrace\[aws\]"):
        import_module("headrace.objects.s3")


def settings(text: str) -> Config:
    return parse(f"[uploads]\n{text}", Path("/srv"), {"BUCKET": "files"})


def test_settings_of_uploads() -> None:
    made = settings('object_store = "s3://${env:BUCKET}/in?region=eu-west-1"\nexpires = "30m"').uploads

    assert (made.object_store, made.expires, made.keep_objects) == ("s3://files/in?region=eu-west-1", "30m", False)
    assert settings("").uploads.object_store is None


@pytest.mark.parametrize("expires", ["8d", "0s", "soon"])
def test_an_address_is_valid_for_a_week_at_most(expires: str) -> None:
    with pytest.raises(ConfigError):
        settings(f'expires = "{expires}"')


def test_a_secret_in_the_address_is_refused_where_it_is_read() -> None:
    with pytest.raises(ConfigError, match="by reference") as refused:
        settings('object_store = "s3://KEY:hush@files/in"')
    assert "hush" not in str(refused.value)

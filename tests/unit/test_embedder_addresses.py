"""Addresses of services that embed: what is taken, what is refused, and that no key is ever shown."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from headrace.config import parse
from headrace.config.references import with_secrets, without_secrets
from headrace.errors import ConfigError, EmbeddingError
from headrace.models.bedrock import open_embedder as open_bedrock
from headrace.models.openai_embeddings import open_embedder as open_openai
from headrace.models.sagemaker import open_embedder as open_sagemaker
from tests.servers import free_port

KEY = "sk-secret-0123456789"
D = "dimensions=8"


@pytest.mark.parametrize(
    ("url", "id"),
    [
        (f"openai+http://h:1/v1?model=m&{D}", "openai+http://h:1/v1?model=m"),
        (f"openai+http://h?model=org%2Fm&{D}&key={KEY}", "openai+http://h/v1?model=org/m"),
        (f"openai+http://h/a/v1/?model=m&{D}&price=0.02&batch=7", "openai+http://h/a/v1?model=m"),
        (f"openai+http://h?model=text-embedding-3-large&{D}", "openai+http://h/v1?model=text-embedding-3-large&" + D),
        (f"openai+http://h?model=m&{D}&shorten=true", f"openai+http://h/v1?model=m&{D}"),
        (f"openai+http://h?model=m&{D}&query_prefix=q:%20", "openai+http://h/v1?model=m"),
        (f"openai+http://h?model=m&{D}&document_prefix=p:%20", "openai+http://h/v1?model=m#p%3A%20"),
    ],
)
def test_the_id_names_what_is_in_the_vectors_and_nothing_else(url: str, id: str) -> None:
    assert open_openai(url).id == id


def test_ids_at_amazon_name_region_model_and_size() -> None:
    titan = open_bedrock("bedrock://eu-west-1/amazon.titan-embed-text-v2:0?dimensions=512")
    arn = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/x"
    profile = open_bedrock(f"bedrock://us-east-1/{arn}?family=cohere&dimensions=1536")
    endpoint = open_sagemaker("sagemaker://eu-west-1/minilm?dimensions=384&component=one")

    assert titan.id == "bedrock://eu-west-1/amazon.titan-embed-text-v2:0?dimensions=512"
    assert profile.id == f"bedrock://us-east-1/{arn}?dimensions=1536"
    assert endpoint.id == "sagemaker://eu-west-1/minilm?component=one"
    assert (titan.dimensions, profile.dimensions, endpoint.dimensions) == (512, 1536, 384)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"openai+http://h/v1?{D}", "model"),
        (f"openai+http:///v1?model=m&{D}", "HOST"),
        (f"openai+http://user:{KEY}@h/v1?model=m&{D}", r"key=\$\{env:NAME\}"),
        (f"openai+http://h/v1?model=m&key={KEY}&dimension=8", r"meant dimensions\?"),
        (f"openai+http://h/v1?model=m&key={KEY}&{D}&timeout=soon", r"\$\.timeout"),
        (f"openai+http://h/v1?model=m&key={KEY}&dimensions=0", "dimensions above 0"),
        (f"openai+http://h/v1?model=m&key={KEY}&{D}&retries=-1", "from 0"),
        (f"openai+http://h:many/v1?model=m&{D}", "cannot be read"),
        (f"openai+http://h/v1?model=m&{D}&tokenizer=/no/such/tokenizer.json", "tokenizer.json at /no/such"),
    ],
)
def test_a_wrong_address_is_refused_without_showing_the_key(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        open_openai(url)

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("bedrock://eu-west-1", "bedrock://REGION/MODEL"),
        ("bedrock://eu-west-1/meta.llama3?dimensions=8", "family=titan"),
        ("bedrock://eu-west-1/amazon.titan-embed-text-v2:0?dimensions=384", "256, 512, 1024"),
        (f"bedrock://eu-west-1/cohere.embed-english-v3?key={KEY}", "credentials where boto3 finds them"),
        ("bedrock://eu west 1/cohere.embed-english-v3?dimensions=8", "region"),
        ("sagemaker://eu-west-1/a/b?dimensions=8", "sagemaker://REGION/ENDPOINT"),
        ("sagemaker://eu-west-1/a?dimensions=8&endpoint=nowhere", "endpoint"),
    ],
)
def test_a_wrong_address_at_amazon_is_refused(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        (open_bedrock if url.startswith("bedrock") else open_sagemaker)(url)

    assert KEY not in str(caught.value)


def test_a_service_that_does_not_answer_when_it_must_say_its_dimensions_names_the_way_out() -> None:
    embedder = open_openai(f"openai+http://127.0.0.1:{free_port()}/v1?model=m&key={KEY}&retries=0")

    with pytest.raises(EmbeddingError, match="With dimensions=N in the address") as caught:
        print(embedder.dimensions)
    embedder.know(8)

    assert embedder.dimensions == 8
    assert caught.value.status == 503
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("adapter", ["bedrock", "sagemaker"])
def test_without_its_package_an_adapter_names_the_extra(adapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    for name in (adapter, "aws"):
        monkeypatch.delitem(sys.modules, f"headrace.models.{name}")

    with pytest.raises(ConfigError) as told:
        import_module(f"headrace.models.{adapter}")

    assert "headrace[aws]" in told.value.remedy


# ---- secrets ---------------------------------------------------------------------------------------------------------


def test_the_configured_address_keeps_its_reference_until_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "openai+https://h/v1?model=m&key=${env:EMBEDDING_KEY}"
    monkeypatch.setenv("EMBEDDING_KEY", KEY)

    config = parse(f'[models]\nembedding = "{address}"', Path(), {"EMBEDDING_KEY": KEY})

    assert config.models.embedding == address
    assert with_secrets(address).endswith(f"&key={KEY}")
    assert KEY not in repr(config)


def test_a_reference_to_nothing_is_told_when_the_configuration_is_read() -> None:
    with pytest.raises(ConfigError, match="EMBEDDING_KEY"):
        parse('[models]\nembedding = "openai+https://h/v1?model=m&key=${env:EMBEDDING_KEY}"', Path(), {})


def test_a_key_that_is_written_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="secrets by reference") as caught:
        parse(f'[models]\nembedding = "openai+https://h/v1?model=m&key={KEY}"', Path(), {})

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"openai+https://h/v1?model=m&key={KEY}", "openai+https://h/v1?model=m"),
        (f"openai+https://h/v1?key={KEY}&model=m", "openai+https://h/v1?model=m"),
        ("openai+https://h/v1?model=m&key=${env:K}", "openai+https://h/v1?model=m&key=${env:K}"),
        ("onnx:all-MiniLM-L6-v2", "onnx:all-MiniLM-L6-v2"),
    ],
)
def test_what_is_kept_of_an_address_has_no_secret(address: str, shown: str) -> None:
    assert without_secrets(address) == shown

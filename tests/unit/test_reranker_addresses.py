"""Addresses of services that rerank: what is taken, what is refused, and that no key is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config import parse
from headrace.errors import ConfigError
from headrace.registry import reranker_at

KEY = "sk-secret-0123456789"


@pytest.mark.parametrize(
    ("url", "id"),
    [
        (f"https://api.cohere.com/v2/rerank?model=rerank-v3.5&key={KEY}", "https://api.cohere.com/v2/rerank?model=rerank-v3.5"),
        ("http://h:1?model=org%2Fm", "http://h:1/rerank?model=org/m"),
        ("http://h:1/v1/rerank/?model=m&price=0.02&batch=7", "http://h:1/v1/rerank?model=m"),
        (f"tei+http://h:1?key={KEY}", "tei+http://h:1/rerank"),
        ("tei+https://h/models/rerank", "tei+https://h/models/rerank"),
        ("bedrock://eu-central-1/cohere.rerank-v3-5:0?search_price=2", "bedrock://eu-central-1/cohere.rerank-v3-5:0"),
        ("bedrock://us-west-2/amazon.rerank-v1:0", "bedrock://us-west-2/amazon.rerank-v1:0"),
    ],
)  # fmt: skip
def test_the_id_names_where_and_which_and_nothing_else(url: str, id: str) -> None:
    assert reranker_at(url).id == id


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://h/v1/rerank", r"tei\+http"),
        ("tei+http://h?model=m", r"model='m'"),
        (f"https://user:{KEY}@h/v1/rerank?model=m", r"key=\$\{env:NAME\}"),
        (f"https://h/v1/rerank?model=m&key={KEY}&batchs=8", r"meant batch\?"),
        (f"https://h/v1/rerank?model=m&key={KEY}&timeout=soon", r"\$\.timeout"),
        ("https://h/v1/rerank?model=m&batch=0", "batch above 0"),
        ("https://h/v1/rerank?model=m&connect_timeout=0", "connect_timeout above 0"),
        ("https://h/v1/rerank?model=m&search_price=-1", "from 0"),
        ("https://h:many/rerank?model=m", "cannot be read"),
        ("https://h/rerank?model=m&tokenizer=/none/tokenizer.json", "tokenizer.json"),
        ("bedrock://eu-west-1", "REGION/MODEL"),
        (f"bedrock://eu-west-1/cohere.rerank-v3-5:0?key={KEY}", "boto3"),
        ("cohere://rerank-v3.5", "one of bedrock:, hf:, http:, https:, onnx:"),
    ],
)
def test_what_cannot_be_meant_is_told_without_the_key(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        reranker_at(url)

    assert KEY not in str(caught.value)
    if "cohere:" not in url:
        assert (caught.value.step, "`reranker`" in caught.value.remedy) == ("open the reranker", True)


def test_the_key_is_a_reference_and_stays_one() -> None:
    address = "https://h/v1/rerank?model=m&key=${env:RERANK_KEY}"

    config = parse(f'[models]\nreranker = "{address}"', Path(), {"RERANK_KEY": KEY})

    assert config.models.reranker == address
    with pytest.raises(ConfigError, match=r"models\.reranker"):
        parse(f'[models]\nreranker = "https://h/v1/rerank?model=m&key={KEY}"', Path(), {})
    with pytest.raises(ConfigError, match="RERANK_KEY"):
        parse(f'[models]\nreranker = "{address}"', Path(), {})


def test_bounds_are_set_in_the_file_or_the_environment() -> None:
    config = parse("[models]\nrerank_ms = 500", Path(), {"HEADRACE_MODELS__RERANK_CANDIDATES": "12"})

    assert (config.models.reranker, config.models.rerank_candidates, config.models.rerank_ms) == (None, 12, 500)

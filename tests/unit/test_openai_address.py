"""Addresses of the OpenAI generator: what is taken, what is refused, and that no key is ever shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace.errors import ConfigError
from headrace.models.openai import open_generator

KEY = "sk-secret-0123456789"


@pytest.mark.parametrize(
    ("url", "id"),
    [
        ("openai+http://127.0.0.1:11434/v1?model=llama3.2", "openai+http://127.0.0.1:11434/v1?model=llama3.2"),
        ("openai+http://127.0.0.1:11434?model=llama3.2", "openai+http://127.0.0.1:11434/v1?model=llama3.2"),
        ("openai+https://host/a/v1/?model=org%2Fname:7b", "openai+https://host/a/v1?model=org/name%3A7b"),
        (f"openai+https://host/v1?model=m&key={KEY}&timeout=7.5&retries=0", "openai+https://host/v1?model=m"),
    ],
)
def test_the_id_names_server_and_model_and_no_key(url: str, id: str) -> None:
    assert open_generator(url).id == id


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("openai+http://host/v1", "model"),
        ("openai+http://host/v1?model=", "model"),
        ("openai+http:///v1?model=m", "HOST"),
        (f"openai+http://user:{KEY}@host/v1?model=m", r"key=\$\{env:NAME\}"),
        (f"openai+http://host/v1?model=m&key={KEY}&token_timout=3", r"meant token_timeout\?"),
        (f"openai+http://host/v1?model=m&key={KEY}&timeout=soon", r"\$\.timeout"),
        (f"openai+http://host/v1?model=m&key={KEY}&timeout=0", "above 0"),
        (f"openai+http://host/v1?model=m&key={KEY}&retries=-1", "out of range"),
        (f"openai+http://host/v1?model=m&key={KEY}&limit_field=tokens", r"\$\.limit_field"),
    ],
)
def test_a_wrong_address_is_refused_without_showing_the_key(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        open_generator(url)

    assert KEY not in str(caught.value)


def test_a_missing_package_names_the_extra() -> None:
    program = "import sys; sys.modules['openai'] = None; import headrace.models.openai"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "ConfigError" in done.stderr
    assert "pip install 'headrace[openai]'" in done.stderr

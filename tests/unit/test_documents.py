"""The documents keep up with the code: generated ones are current, examples can be read."""

import re
from pathlib import Path

import pytest
from generate_docs import DOCUMENTS

from headrace.config import parse

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"SHOP_PASSWORD": "secret"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_document_is_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text()

    assert DOCUMENTS[name]() == written, "run `make docs`"


@pytest.mark.parametrize("name", ["README.md", "docs/sources.md", "docs/answers.md"])
def test_the_examples_of_a_document_are_a_configuration(name: str) -> None:
    # given the TOML that a reader of the document would write, in its order
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)

    # when it is read
    config = parse("\n".join(blocks), ROOT, ENVIRONMENT)

    # then every key is known, and it says something
    assert blocks
    assert config.sources or config.models.generation

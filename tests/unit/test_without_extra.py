"""What is said where the packages of an extra are not there, or are other ones."""

from __future__ import annotations

import pytest

from headrace.errors import without_extra


@pytest.mark.parametrize(
    "missing",
    [
        ModuleNotFoundError("No module named 'boto3'", name="boto3"),
        ImportError("cannot import name 'omit' from 'openai'", name="openai"),
    ],
)
def test_it_says_what_python_said_and_what_to_install(missing: ImportError) -> None:
    error = without_extra("aws", "open a model", missing, "or use another one")

    assert error.got == str(missing), "a package that is there, and too old, is not called missing"
    assert error.remedy == "Install them: pip install 'headrace[aws]'; or use another one."

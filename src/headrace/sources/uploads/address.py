"""`upload:`: where documents are given to."""

from __future__ import annotations

from headrace.errors import ConfigError


def check_url(url: str) -> None:
    """Raises ConfigError."""
    if url != "upload:":
        raise ConfigError(
            step="read a source's url",
            expected="upload:",
            got=repr(url[:100]),
            remedy='Write url = "upload:"; the largest document is the source\'s max_bytes.',
        )

"""Where in its file a passage stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its file a passage stands, as far as its format has such places; pages and slides count from 1.

    `last_page` is set when it goes on behind `page`. `member` is the path inside an archive, or an attachment's name.
    """

    page: int | None = None
    last_page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    member: str | None = None

    def to_object(self) -> dict[str, str | int]:
        """What is known of it."""
        named = {"page": self.page, "last_page": self.last_page, "slide": self.slide}
        named |= {"sheet": self.sheet, "member": self.member}
        return {name: value for name, value in named.items() if value is not None}

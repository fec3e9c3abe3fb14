"""What Word's styles are for, by their names."""

from __future__ import annotations

import pytest

from headrace.knowledge.formats.word_styles import level_of


@pytest.mark.parametrize(
    ("style", "level"),
    [
        ("heading 1", 1), ("Heading9", 9), ("Überschrift 2", 2), ("Titre 3", 3), ("Título 4", 4), ("Titolo 5", 5),
        ("Title", 0), ("Titel", 0), ("Titre", 0), ("Normal", None), ("heading 10", None), ("heading 1 char", None),
        ("Subtitle", None), ("", None),
    ],
)  # fmt: skip
def test_a_style_is_known_by_its_name(style: str, level: int | None) -> None:
    assert level_of(style) == level

"""Text in an encoding from before Unicode that does not say which, where only one can be meant.

A library ranks the encodings by what it knows of their languages. Nearly any bytes are some text in most of them, so
that its first one only counts when its reading could have been written by hand, and when the next other reading that
could be is clearly behind. What stays unclear is refused by who asks, rather than read as other letters than were
written (`bench charsets`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, name

from headrace.knowledge.formats.western import western
from headrace.registry import Lazily

if TYPE_CHECKING:
    import chardet
else:
    chardet = Lazily("chardet")  # 12 MB, which most documents do not need

SAMPLE = 64_000
"""So many bytes are judged, or twice as many of a long line; all are decoded by what they are found to be."""
CERTAIN = ((16, 1.02), (8, 1.1))
"""From so many letters beyond ASCII on, how many times as likely as the next reading the first has to be."""
WESTERN = 16
"""So many letters beyond ASCII of one Western language group are hardly ever another language's: 1 of 158 texts."""
AGAINST_WESTERN = (8, 1.8)
"""As `CERTAIN`, where it could be of Western Europe as well."""
BEHIND = 1.5
"""How many times as likely a reading may be that nobody writes so: if it is more, this is none of these encodings."""
IMPLAUSIBLE = 0.05
"""The share of words that nobody writes so, at most."""
_LEFT_OUT = ("cp864", "cp1006")
"""Arabic and Urdu as shapes instead of letters: what any other Arabic text looks like, and nobody searches by."""
_RARE = ("mac", "iso8859-16", "shift_jis_2004", "shift_jisx0213", "euc_jis_2004", "euc_jisx0213")
"""As near to a common one as a few capitals and signs: where both may be, the common one is meant."""
_WIDER = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-8": "cp1255", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949",
}  # fmt: skip
"""What is written where the name on the left stands, https://encoding.spec.whatwg.org/#names-and-labels."""
_LABELS = {
    "windows-31j": "cp932", "windows-874": "cp874", "dos-874": "cp874", "iso-8859-8-i": "cp1255", "ks_c_5601": "cp949",
    "x-mac-ukrainian": "mac-cyrillic", "utf8mb4": "utf-8",
}  # fmt: skip
"""Names of the web and of mail that Python does not have."""

_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CUT = (b"\xc2", b"\xc3", b"\xe2")
"""With what the characters of Western Europe and its quotes begin in UTF-8."""
_ASCII = bytes(range(128))
_JAPANESE_MAIL = (b"\x1b$B", b"\x1b$@")


class Reading(NamedTuple):
    likely: float
    charset: str
    text: str

    @property
    def rare(self) -> bool:
        return self.charset.startswith(_RARE)


def unstated(content: bytes) -> str | None:
    """The text that some bytes are which are not UTF-8, if that is certain."""
    sample = _sample(content)
    if _is_damaged(sample):
        return None
    readings = _readings(sample)
    first, latin = next(readings, None), western(content)
    if latin is not None and (_letters(latin) >= WESTERN or (first and first.text == _read(sample, "cp1252"))):
        return latin
    if first is None:
        return None
    other = next((r.likely for r in readings if first.rare or not r.rare), 0.0)
    certain, letters = CERTAIN if latin is None else (AGAINST_WESTERN,), _letters(first.text)
    if not any(letters >= least and first.likely >= ahead * other for least, ahead in certain):
        return None
    try:
        text = content.decode(first.charset)
    except UnicodeError:
        return None
    return text if _is_text(text) else None


def codec_of(charset: str) -> codecs.CodecInfo:
    """By its names in Python, on the web and in mail. Raises LookupError."""
    label = charset.strip().lower()
    return codecs.lookup(_LABELS.get(label, label.removeprefix("x-")))


def meant(content: bytes, charset: str) -> str:
    """Bytes in an encoding that is named, as what is written where that name stands. Raises UnicodeError, and
    LookupError for what is no encoding of text."""
    named = codec_of(charset).name
    try:
        return content.decode(_WIDER.get(named, named))
    except UnicodeDecodeError:  # Latin-1 has five controls that Windows-1252 leaves open
        return content.decode(named)


def seven_bit(content: bytes) -> str | None:
    """The text of Japanese mail and its archives, which has no byte beyond ASCII and thus passes for UTF-8."""
    if not any(mark in content for mark in _JAPANESE_MAIL):
        return None
    try:
        return content.decode("iso2022_jp_ext")
    except UnicodeError:
        return None


def _sample(content: bytes) -> bytes:
    """Lines with something beyond ASCII, from all parts. No character of these encodings has a line's end within, but
    the last line may be cut in the middle of one."""
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    every = 1 + sum(map(len, lines)) // SAMPLE
    return b"\n".join(lines[::every])[: 2 * SAMPLE]


def _is_damaged(sample: bytes) -> bool:
    """Whether this is UTF-8 with something wrong in it, or cut in the middle of a character."""
    rest, found = _UTF8.subn(b"", sample)
    other = rest.translate(None, _ASCII)
    return found >= len(other) or (other in _CUT and rest.endswith(other))


def _readings(sample: bytes) -> Iterator[Reading]:
    """What the sample may mean that people could have written, each text once, the likeliest first."""
    era = chardet.EncodingEra.ALL & ~chardet.EncodingEra.MAINFRAME
    ranked = chardet.detect_all(
        sample, ignore_threshold=True, encoding_era=era, exclude_encodings=_LEFT_OUT,
        compat_names=False, prefer_superset=False, max_bytes=len(sample) + 1,
    )  # fmt: skip
    met: set[str] = set()
    for each in ranked:
        if not met and each["confidence"] * BEHIND < ranked[0]["confidence"]:
            return
        named = codec_of(each["encoding"] or "ascii").name
        charset = _WIDER.get(named, named)
        text = _read(sample, charset)
        if text is not None and text not in met and plausible(text):
            met.add(text)
            yield Reading(each["confidence"], charset, text)


def _read(content: bytes, charset: str) -> str | None:
    """Of a sample that was cut, all but the beginning of a character at its end."""
    try:
        return codecs.getincrementaldecoder(charset)().decode(content, final=len(content) != 2 * SAMPLE)
    except (UnicodeError, LookupError):
        return None


def _letters(text: str) -> int:
    return sum(not c.isascii() and c.isalpha() for c in text)


# ---- what is written by hand -----------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]+")
# A sign in the middle of a word, but for those that stand there: apostrophes, hyphens, dashes, points, joiners. Words
# of East Asia have no spaces around them.
_LETTER = r"[^\W\d_\u2e80-\uffff]"
_GLUED = re.compile(rf"{_LETTER}[^\w\s!-~’ʼ'·…\u200c\u200d\u2010-\u2015\u2e80-\uffff]+{_LETTER}")
_EAST = (
    {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "FULLWIDTH", "ASCII"},
    {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "HALFWIDTH"},
    {"HANGUL", "CJK", "ASCII"},
)
_WIDE: frozenset[str] = frozenset({s for scripts in _EAST for s in scripts} - {"ASCII"})
_CONTROLS = frozenset(map(chr, (*range(32), *range(0x7F, 0xA0)))) - set("\t\n\v\f\r\x1a\x1b")


def plausible(text: str) -> bool:
    """Whether nearly all words are of one script, with capitals where they stand, and signs beside and not within."""
    if not _is_text(text):
        return False
    characters = set(text)
    text = text.translate({ord(c): None for c in characters if category(c) == "Mn"})  # vowel signs, accents
    words = [w for w in _WORD.findall(text) if not w.isascii()]
    wrong = sum(not _is_word(w) for w in words) + len(_GLUED.findall(text))
    return wrong <= IMPLAUSIBLE * len(words)


def _is_text(text: str) -> bool:
    characters = set(text)
    return not characters & _CONTROLS and all(c.isascii() or category(c) not in ("Co", "Cn", "Cs") for c in characters)


def _is_word(word: str) -> bool:
    scripts = {_script(c) for c in word}
    if scripts & _WIDE:
        return any(scripts <= east for east in _EAST)
    cased = word.islower() or word.isupper() or word[1:].islower() or word.lower() == word.upper()
    return cased and (scripts <= {"LATIN", "ASCII"} or len(scripts) == 1)


@cache
def _script(letter: str) -> str:
    """By the first word of its name in Unicode."""
    script = "ASCII" if letter.isascii() else name(letter, "").partition(" ")[0]
    return "LATIN" if script in ("FEMININE", "MASCULINE", "MICRO") else script

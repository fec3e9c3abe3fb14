"""What personal data and secrets look like: one rule a form. Every pattern takes time in proportion to the text.

To keep that: no repetition inside a repetition that can match the same characters, every repetition that can start
anywhere is bounded, and nothing reaches over the end of a line but a private key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from headrace.redaction import checks


class Finder(Protocol):
    """Where a rule finds what it looks for: start and end, in order."""

    def __call__(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """`find` looks between two places of the text. `context`: words that must stand shortly before it."""

    kind: str
    score: float
    find: Finder
    context: re.Pattern[str] | None = None


REACH = 48
"""Characters before a value in which its context words may stand."""


def matching(pattern: str, check: Callable[[str], bool] = bool, *, flags: int = 0) -> Finder:
    """A pattern's group 1, or all of it, where the check agrees; never in the middle of a word or number."""
    compiled = re.compile(pattern, flags)
    group = 1 if compiled.groups else 0

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for match in compiled.finditer(text, start, end):
            first, last = match.span(group)
            if first < last and check(text[first:last]):
                yield first, last

    return find


@lru_cache(maxsize=1)
def _folded(text: str) -> str:
    """In lower case, as long as before."""
    folded = text.lower()
    return folded if len(folded) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def near(find: Finder, *needles: str, before: int = 64, behind: int = 640) -> Finder:
    """Looks only around these (given in lower case, and met in any): most texts hold none, and cost a search."""

    def look(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        folded = _folded(text)
        places: list[int] = []
        for needle in needles:
            at = folded.find(needle, start, end)
            while at >= 0:
                places.append(at)
                at = folded.find(needle, at + 1, end)
        first = last = -1
        for at in sorted(places):
            if at - before > last:
                if last >= 0:
                    yield from find(text, first, last)
                first = max(start, at - before)
            last = min(end, at + behind)
        if last >= 0:
            yield from find(text, first, last)

    return look


# ---- numbers: looked for only in runs of digits ----------------------------------------------------------------------

RUN = re.compile(r"[+(]{0,2}\d(?:[ \t\u00a0\u202f.,:;/()+\u2010-\u2015-]{0,3}\d)*+")
"""Digits with what may separate them."""
LEAST = 6
"""Digits of the shortest number that is looked for."""
_S = r"[ \u00a0\u202f.\-]?"
_GROUP = re.compile(r"\d+")
_CARD_GAPS = frozenset({"", " ", "-", ".", "/", "\u00a0", "\u202f", "\u2010", "\u2011", "\u2013", " - "})


def _cards(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Groups of digits that together are a card: from each group, the longest that pass."""
    groups = [m.span() for m in _GROUP.finditer(text, start, end)]
    n = 0
    while n < len(groups):
        found = _card_from(text, groups, n)
        if found is None:
            n += 1
        else:
            yield groups[n][0], groups[found][1]
            n = found + 1


def _card_from(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    number, best = "", None
    for n in range(first, min(first + 19, len(groups))):
        if n > first and text[groups[n - 1][1] : groups[n][0]] not in _CARD_GAPS:
            break
        number += text[slice(*groups[n])]
        if len(number) > 19:
            break
        if number.isascii() and checks.card(number):
            best = n
    return best


_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}")
_NEXT = re.compile(r"\)?[ \t\u00a0.\-/\u2010\u2011]{0,3}\(?\d{1,16}")
_EXTENSION = re.compile(r"[ ]{0,2}(?:x|ext\.?|extension)[ ]{0,2}\d{1,6}\b", re.IGNORECASE)


def _phones(pattern: str, least: int, behind: re.Pattern[str] | None = None) -> Finder:
    """Groups of digits from where the pattern says, as long as there are no more than 15 (ITU-T E.164); `behind` must
    follow."""
    compiled = re.compile(pattern)

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        while match := compiled.search(text, at, end):
            first = match.start()
            last = _phone_end(text, match.end(), end, len(checks.digits(match[0])))
            at = max(last, match.end(), first + 1)
            number = text[first:last]
            if least <= len(checks.digits(number)) and not _DATE.fullmatch(number):
                more = _EXTENSION.match(text, last)
                last = more.end() if more else last
                if not text[last : last + 1].isalnum() and (behind is None or behind.match(text, last)):
                    yield first, last

    return find


def _phone_end(text: str, at: int, end: int, count: int) -> int:
    while (group := _NEXT.match(text, at, end)) and (count := count + len(checks.digits(group[0]))) <= 15:
        at = group.end()
    return at + 1 if text[at : at + 1] == ")" else at


_PHONE_WORDS = re.compile(
    r"(?:phone|\btel\b|tel[.:]|telefon|t[eé]l[eé]phone|tel[eé]fono|\bcell|mobile?\b|\bmob[.:]|m[oó]vil|handy|\bcall(?:ed|ing)?\b"
    r"|\bfax\b|whatsapp|\btext (?:me|us|him|her)\b|\breach (?:me|us|him|her)\b|\bdial\b|\bring (?:me|us)\b|hotline)",
    re.IGNORECASE,
)
_PHONE_BEHIND = re.compile(
    r"[ ]?[-–,(\\]{0,2}[ ]?(?:fax|mobile|cell|office|work|home|tel|phone|direct|landline)\b", re.IGNORECASE
)
_SSN_WORDS = re.compile(r"\bssn\b|social.{0,3}security", re.IGNORECASE)
_AADHAAR_WORDS = re.compile(r"aadhaar|aadhar|\buidai\b", re.IGNORECASE)

NUMBERS: tuple[Rule, ...] = (
    Rule("card", 0.95, _cards),
    Rule("phone", 0.7, _phones(r"(?<![\w.])\+\(?\d{1,3}", 7)),
    Rule("phone", 0.6, _phones(r"(?<![\w.,+-])00[1-9]\d{0,13}(?=[ ./()-]|\b)", 10)),
    Rule("phone", 0.7, matching(
        r"(?<![\w.,+-])((?:1[ .-]?)?(?:\(\d{3}\)[ -]{0,2}|\d{3}[ .-])\d{3}[ .-]\d{4}(?:[ ]{0,2}(?:x|ext\.?)[ ]?\d{1,6})?)(?![\w-])"
    )),
    Rule("phone", 0.6, _phones(r"(?<![\w.,+])\(\d{2,5}\)", 7)),
    Rule("phone", 0.55, _phones(r"(?<![\w.,+-])0[1-9]\d{1,4}(?=[ /-])", 8)),
    Rule("phone", 0.55, matching(r"(?<![\w.,+-])(0[1-9](?:[ .]\d\d){4})(?!\w)")),
    Rule("phone", 0.5, _phones(r"(?<![\w.,])\(?\d{1,16}", 7), _PHONE_WORDS),
    Rule("phone", 0.5, _phones(r"(?<![\w.,])\(?\d{1,16}", 6, _PHONE_BEHIND)),
    Rule("us_ssn", 0.8, matching(r"(?<![\w-])(\d{3}([- .])\d{2}\2\d{4})(?![\w-])", checks.ssn)),
    Rule("us_ssn", 0.8, matching(r"(?<![\w-])(\d{9})(?![\w-])", checks.ssn), _SSN_WORDS),
    Rule("de_tax_id", 0.75, matching(r"(?<![\w+])(\d{2}[ /]?\d{3}[ /]?\d{3}[ /]?\d{3})(?!\w)", checks.steuer_id)),
    Rule("in_aadhaar", 0.85, matching(r"(?<!\w)(\d{4}([ -])\d{4}\2\d{4})(?![ -]?\d|\w)", checks.aadhaar)),
    Rule("in_aadhaar", 0.85, matching(r"(?<!\w)(\d{12})(?!\w)", checks.aadhaar), _AADHAAR_WORDS),
    Rule("ch_ahv", 0.9, matching(r"(?<!\w)(756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2})(?!\w)", checks.ahv)),
)  # fmt: skip


# ---- everything else --------------------------------------------------------------------------------------------------

_DOMAIN = re.compile(r"@[^\W_](?:[\w-]{0,62})(?:\.[^\W_][\w-]{0,62}){1,8}")
_LOCAL = re.compile(r"[\w.+%&'#-]{1,64}\Z")


def _emails(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """From each @ both ways: `user:word@host` of an address of the network is left to the rule for these."""
    for match in _DOMAIN.finditer(text, start, end):
        at = match.start()
        before = _LOCAL.search(text, max(start, at - 64), at)
        top = match[0].rpartition(".")[2].rstrip("-_")
        if before is None or len(top) < 2 or top.isdecimal():
            continue
        first = before.start()
        while first < at and text[first] in "'.-#&%":
            first += 1
        scheme = text.rfind("://", max(0, at - 256), at)
        inside = scheme >= 0 and not re.search(r"[\s/]", text[scheme + 3 : at])
        if first < at and not inside:
            yield first, match.end() - (len(match[0]) - len(match[0].rstrip("-_")))


_COUNTRY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}(?=[ \u00a0.\-]?\d[ \u00a0.\-]?\d)")
_IBAN_GAPS = " -.\u00a0\u202f/"


def _ibans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """From a country on as many characters as its accounts have, with at most one separator between two."""
    for match in _COUNTRY.finditer(text, start, end):
        wanted = checks.IBAN_LENGTHS.get(match[0].upper(), 0)
        at, count = match.start(), 0
        while at < end and count < wanted:
            if text[at].isascii() and text[at].isalnum():
                count += 1
            elif text[at] not in _IBAN_GAPS or text[at - 1] in _IBAN_GAPS:
                break
            at += 1
        whole = count == wanted > 0 and not (at < len(text) and text[at].isalnum())
        if whole and checks.iban(text[match.start() : at]):
            yield match.start(), at


def _ipv6(text: str) -> bool:
    """An address, and not `d::f` of some programming language."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    groups = [g for g in text.split(":") if g]
    return any(c.isdecimal() for c in text) and (len(groups) > 2 or (len(groups) > 1 and len(groups[0]) == 4))


def _random(text: str) -> bool:
    """A generated value, as far as a short text can tell."""
    return len(text) >= 12 and checks.entropy(text) >= 3.0 and any(c.isdecimal() for c in text)


def _password(text: str) -> bool:
    """Not a word of the sentence."""
    if text.startswith(("$", "{", "<", "[", "*")) or text.endswith(("(", ")")):
        return False
    return len(text) >= 6 and any(c.isalpha() for c in text) and any(not c.isalpha() and c not in ".,;'" for c in text)


_B = r"(?<![A-Za-z0-9_-])"
_E = r"(?![A-Za-z0-9_-])"
_KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"{_B}(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}{_E}", ("akia", "asia", "abia", "acca")),
    (rf"{_B}gh[pousr]_[A-Za-z0-9]{{36,255}}{_E}", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    (rf"{_B}github_pat_[A-Za-z0-9_]{{22,255}}{_E}", ("github_pat_",)),
    (rf"{_B}glpat-[A-Za-z0-9_-]{{20,64}}{_E}", ("glpat-",)),
    (rf"{_B}xox[abeoprs]-[A-Za-z0-9-]{{10,255}}{_E}", ("xox",)),
    (
        r"https://hooks\.slack\.com/services/(T[A-Za-z0-9]{6,16}/B[A-Za-z0-9]{6,16}/[A-Za-z0-9]{16,64})",
        ("hooks.slack",),
    ),
    (rf"{_B}(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{{16,255}}{_E}", ("_live_", "_test_")),
    (rf"{_B}whsec_[A-Za-z0-9+/=]{{24,255}}{_E}", ("whsec_",)),
    (rf"{_B}sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{{20,255}}{_E}", ("sk-",)),
    (rf"{_B}AIza[A-Za-z0-9_-]{{35}}{_E}", ("aiza",)),
    (rf"{_B}ya29\.[A-Za-z0-9_-]{{20,512}}{_E}", ("ya29.",)),
    (rf"{_B}SG\.[A-Za-z0-9_-]{{16,32}}\.[A-Za-z0-9_-]{{32,64}}{_E}", ("sg.",)),
    (rf"{_B}hf_[A-Za-z0-9]{{30,64}}{_E}", ("hf_",)),
    (rf"{_B}npm_[A-Za-z0-9]{{36}}{_E}", ("npm_",)),
    (rf"{_B}pypi-[A-Za-z0-9_-]{{50,255}}{_E}", ("pypi-",)),
    (rf"{_B}eyJ[A-Za-z0-9_-]{{8,8192}}\.eyJ[A-Za-z0-9_-]{{8,8192}}\.[A-Za-z0-9_-]{{8,2048}}{_E}", ("eyj",)),
)
_PEM = re.compile(r"-----BEGIN ((?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?)-----")


def _private_keys(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """From the first line to the last; without a last line, to where the key's characters end."""
    for match in _PEM.finditer(text, start, end):
        last = f"-----END {match[1]}-----"
        at = text.find(last, match.end(), match.end() + 16_384)
        if at >= 0:
            yield match.start(), at + len(last)
        else:
            body = _KEY_BODY.match(text, match.end())
            yield match.start(), body.end() if body else match.end()


_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]{0,16384}(?<!\s)")
_WORD_OF_KEY = (
    r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,32}[_.-]){0,4}(?:api[_ -]?key|access[_ -]?key(?:[_ -]?id)?|secret(?:[_ -]?(?:access[_ -]?)?key)?"
    r"|client[_ -]?secret|private[_ -]?key|auth(?:orization)?[_ -]?token|access[_ -]?token|refresh[_ -]?token"
    r"|account[_ -]?key|signing[_ -]?key|encryption[_ -]?key|apikey|token|key|sig|signature|session[_ -]?id)"
)
_WORD_OF_PASSWORD = r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,32}[_.-]){0,4}(?:password|passwd|passphrase|pwd|passwort|kennwort|mot de passe|contraseña|pass|pin code)"
_IS = r"[\"']?[ \t]{0,4}(?:[:=]{1,2}>?|\bis\b)[ \t]{0,4}[\"'`]?"
_VALUE = r"([A-Za-z0-9+/_.~=-]{12,512})(?![A-Za-z0-9+/_~(\[])"

_MONTH = (
    r"(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f[eé]vrier|mar(?:ch|s|zo)?|märz|apr(?:il)?|avril|may|mai|jun[ei]?|juin|jul[yi]?"
    r"|juillet|aug(?:ust)?|ao[uû]t|sep(?:t|tember|tembre)?|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?|de[cz](?:ember)?|d[eé]cembre)"
)
_BIRTH = (
    r"(?<![\w.])(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)?\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er)?\.?[ -](?:of )?{_MONTH}\.?,?[ -](?:19|20)?\d\d|{_MONTH}\.?[ -]\d{{1,2}}(?:st|nd|rd|th)?,?[ -](?:19|20)?\d\d)(?!\w)"
)
_BIRTH_WORDS = re.compile(
    r"\bborn\b|\bbirth|birthday|\bd\.?o\.?b\b|geboren|geburts|\bgeb\.|\bn[ée]{1,2}(?:\(e\))? le\b|naissance|nacid[oa]"
    r"|nacimiento|\bnat[oa] il\b|nascita|geboortedatum",
    re.IGNORECASE,
)
_BIRTH_MARKS = ("born", "birth", "dob", "d.o.b", "geb", "né", "née", "nais", "naci", "nat", "nasc")
_PASSPORT_WORDS = re.compile(r"passport|reisepass|passeport|pasaporte|passaporto", re.IGNORECASE)
_LICENSE_WORDS = re.compile(
    r"driv(?:er|ing)(?:'?s|s'|’s)?[ -]licen[cs]e|\bdl (?:no|number|#)|führerschein|permis de conduire|patente di guida",
    re.IGNORECASE,
)
_ANY_CASE = re.IGNORECASE

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_VERSION = re.compile(r"(?:\bv|version|release)[ .:]{0,2}\Z", re.IGNORECASE)


def _ipv4(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for first, last in _FOUR(text, start, end):
        if not _VERSION.search(text, max(0, first - 12), first):
            yield first, last


_FOUR = matching(rf"(?<![\w.-])({_OCTET}(?:\.{_OCTET}){{3}})(?![\w-]|\.\d)")


TEXTS: tuple[Rule, ...] = (
    Rule("email", 0.95, _emails),
    Rule("url_credentials", 0.95, near(matching(r"://([^\s/@:?#]{0,128}:[^\s/@]{1,256})@"), "://")),
    Rule("iban", 0.98, _ibans),
    Rule("uk_nino", 0.8, matching(r"(?<!\w)([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D])(?!\w)", checks.nino, flags=_ANY_CASE)),
    Rule("fr_nir", 0.9, matching(rf"(?<!\w)([12]{_S}\d\d{_S}\d\d{_S}(?:\d\d|2[ABab]){_S}\d{{3}}{_S}\d{{3}}{_S}\d\d)(?!\w)", checks.nir)),
    Rule("es_dni", 0.85, matching(r"(?<![\w-])((?:\d{8}|\d{1,2}\.\d{3}\.\d{3}|[XYZ]-?\d{7})[- ]?[A-Z])(?!\w)", checks.dni, flags=_ANY_CASE)),
    Rule("it_codice_fiscale", 0.95, matching(
        r"(?<!\w)([A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])(?!\w)",
        checks.codice_fiscale, flags=_ANY_CASE)),
    Rule("in_pan", 0.8, matching(r"(?<!\w)([A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z])(?!\w)")),
    Rule("passport", 0.7, near(matching(r"(?<!\w)([A-Z]{0,2}\d{6,9}|[CFGHJK][CFGHJKLMNPRTVWXYZ0-9]{8})(?!\w)"), "pass", "pasa", behind=128), _PASSPORT_WORDS),
    Rule("driver_license", 0.7, near(matching(r"(?<!\w)([A-Z]{0,5}[ -]?(?:\d[ -]?){5,14}[A-Z0-9]{0,5})(?!\w)"), "licen", "dl ", "führer", "permis", "patente", behind=128), _LICENSE_WORDS),
    Rule("ip", 0.9, _ipv4),
    Rule("ip", 0.85, matching(r"(?<![\w:.])((?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{4,39})(?![\w:])", _ipv6)),
    Rule("mac", 0.95, matching(r"(?<![\w:-])([0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})(?![\w:-])")),
    Rule("mac", 0.7, matching(r"(?<![\w.])([0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w.])", lambda t: any(c.isalpha() for c in t))),
    *(Rule("secret", 0.97, near(matching(key), *marks, behind=20_000)) for key, marks in _KEYS),
    Rule("secret", 0.99, _private_keys),
    Rule("secret", 0.9, near(matching(r"\b(?:bearer|basic)[ ]([A-Za-z0-9+/_.~=-]{16,4096})", _random, flags=_ANY_CASE), "bearer", "basic")),
    Rule("secret", 0.8, near(matching(_WORD_OF_KEY + _IS + _VALUE, _random, flags=_ANY_CASE), "key", "token", "secret", "sig", "session")),
    Rule("secret", 0.75, near(matching(_WORD_OF_PASSWORD + _IS + r"([^\s\"'`,;]{6,128})", _password, flags=_ANY_CASE), "pass", "pwd", "kennwort", "contrase", "pin code")),
    Rule("birth_date", 0.85, near(matching(_BIRTH, flags=_ANY_CASE), *_BIRTH_MARKS, behind=128), _BIRTH_WORDS),
)  # fmt: skip

"""Names of people and postal addresses, as far as rules go: where the words around them say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from headrace.redaction.patterns import Finder, Rule, matching, near

_ANY_CASE = re.IGNORECASE

# ---- names ------------------------------------------------------------------------------------------------------------

_W = r"(?:(?:[dDlL]|O|Mc|Mac)['’]?)?[^\W\d_a-z][^\W\d_]{0,30}(?:['’-][^\W\d_]{1,30}){0,2}"
"""A word with a capital, or of a script without them."""
_PARTICLE = (
    r"(?:(?:van|von|vom|zu|zum|zur|de|der|den|del|della|di|da|dos|das|du|la|le|el|al|bin|ibn|ben|ter|ten|y|e|af|av)[ ])"
)
_FULL = rf"(?:{_W}\.?(?:[ ]{_PARTICLE}{{0,2}}{_W}\.?){{0,4}})"
_TWO = rf"(?:{_W}\.?(?:[ ]{_PARTICLE}{{0,2}}{_W}\.?){{1,4}})"
_TITLE = (
    r"(?:[Mm]rs?|[Mm]s|[Mm]x|[Mm]iss|[Mm]ister|[Mm]adam|[Dd]r|[Pp]rof(?:essor)?|[Ss]ir|[Dd]ame|Lady|Rev|Capt(?:ain)?|Sgt|Lt|Hon|MR|MRS|MS|DR"
    r"|Herrn?|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sra?|Don|Doña|Signora?|Sig|Sig\.ra|Dott|Mevrouw|Meneer|Dhr|Mevr)"
)
_TITLED = re.compile(rf"{_TITLE}\b\.?[ ]")
_NOT_NAMES = frozenset(
    """
    a all am an and any anyone are as at be both but by can customer customers colleague colleagues dear everybody everyone
    for friend friends from guest guests have he hello her hi his how i if in is it its ladies madam mam me member members
    my no not of ok okay on or our passenger passengers please re regards requester she sir sirs so sorry subscriber
    support team thank thanks that the them there they this those to user users via was we welcome what when where who
    why will with would yes you your account address admin bank best billing company contact date department email fax
    first full hiring home human information international last manager mobile monday name none null number office
    order page phone price product recruiter resources sales service services street sunday tel telephone today unknown
    zip january february march april may june july august september october november december inc ltd llc gmbh corp
    """.split()
)


def _name(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text)
    told = [w for w in words if not _TITLED.fullmatch(w + " ")]
    return bool(told) and told[0].lower() not in _NOT_NAMES and any(len(w) > 1 for w in told)


def _trimmed(find: Finder) -> Finder:
    """Without a last word that belongs to the sentence, and without its point."""

    def found(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for first, last in find(text, start, end):
            if title := _TITLED.match(text, first, last):
                first = title.end()
            words = [m.span() for m in re.finditer(r"\S+", text[first:last])]
            while words and text[first + words[-1][0] : first + words[-1][1]].strip(".,").lower() in _NOT_NAMES:
                words.pop()
            if words:
                last = first + words[-1][1]
                initial = words[-1][1] - words[-1][0] == 2
                yield first, last - (text[last - 1] == "." and not initial)

    return found


def _named(pattern: str, score: float, *marks: str) -> Rule:
    find = _trimmed(matching(pattern, _name))
    return Rule("name", score, near(find, *marks, before=160, behind=256) if marks else find)


_FIELD = (
    r"(?:full[ _-]?name|first[ _-]?names?|last[ _-]?name|middle[ _-]?name|given[ _-]?names?|family[ _-]?name|surname|maiden[ _-]?name|fname|lname"
    r"|customer(?:[ _-]?name)?|client(?:[ _-]?name)?|patient(?:[ _-]?name)?|passenger(?:[ _-]?name)?|guest(?:[ _-]?name)?|employee(?:[ _-]?name)?|contact(?:[ _-]?(?:name|person))?"
    r"|card[ _-]?holder(?:[ _-]?name)?|account[ _-]?holder|applicant|recipient|beneficiary|emergency contact|signed by|prepared by|submitted by|attn|attention|c/o"
    r"|(?:billing|shipping|contact)[ _-]?name|vorname|nachname|familienname|ansprechpartner|prénom|apellidos?|cognome)"
)
_LABEL = rf"(?:^|(?<=[\s|>*_(,;\"'-]))(?i:{_FIELD})[*_\"']{{0,3}}[ \t]{{0,3}}[:=][*_]{{0,2}}[ \t]{{0,3}}[\"']?"

_TOLD: tuple[Rule, ...] = (
    _named(rf"(?<![\w.]){_TITLE}\b\.?[ ](?:(?:med|jur|phil|rer|nat|ing|h\.c)\.[ ]?){{0,3}}({_FULL})", 0.85),
    _named(
        rf"(?i:\bmy (?:full |first |last |given |family |maiden )?name is|\bname['’]s|\bthey call me|\bcalled|\bnamed|\bich heiße|\bmein name ist"
        rf"|\bje m['’]appelle|\bme llamo|\bmi nombre es|\bmi chiamo)[ ]({_FULL})", 0.85,
        "my ", "name", "call", "heiße", "ppelle", "llamo", "nombre", "chiamo"),
    _named(rf"(?i:\bi am|\bi['’]m|\bthis is|\bhere is|\byours,|\bspeaking with|\bspeak to|\bspoke (?:to|with)|\bon behalf of)[ ]({_TWO})", 0.6,
        "i am", "i'm", "i’m", "this is", "here is", "yours,", "speak", "spoke", "behalf"),
    _named(rf"(?:^|\n|[>\"])[ \t]{{0,8}}(?:Dear|Hi|Hello|Hey|Good (?:morning|afternoon|evening)|Hallo|Liebe[rs]?|Cher|Chère|Bonjour|Hola|Estimad[oa]|Querid[oa]|Ciao|Gentile|Caro|Cara|Beste)[ ]({_FULL})(?=[ ]?[,!:.\n]|$)", 0.75,
        "dear", "hi ", "hello", "hey", "good ", "hallo", "lieb", "cher", "chère", "bonjour", "hola", "estimad", "querid", "ciao", "gentile", "caro", "cara", "beste"),
    _named(rf"(?m:{_LABEL})({_FULL})", 0.8, ":", "="),
    _named(rf"(?:^|(?<=[\s|>*_(,;]))(?:Name|NAME|Nom|Nombre|Nome)[*_]{{0,2}}[ \t]{{0,3}}:[*_]{{0,2}}[ \t]{{0,3}}({_TWO})(?=[ \t]{{0,8}}(?:[\n|,;(<]|$))", 0.7),
    Rule("name", 0.75, matching(
        rf"(?m:{_LABEL})([^\W\d_]{{2,30}}(?:[ '’-][^\W\d_]{{1,30}}){{0,3}})(?=[ \t]{{0,8}}(?:$|[\n|,;]))", _name)),
    _named(
        r"(?:[Rr]egards|[Ss]incerely|[Ff]aithfully|[Yy]ours(?: truly)?|[Cc]heers|[Bb]est(?: wishes)?|[Ss]incerely yours|[Rr]espectfully|[Tt]hanks|[Tt]hank you|Grüßen?|[Cc]ordialement|[Ss]aludos|[Ss]aluti|[Gg]roeten?)[,.!]?"
        rf"[ \t]{{0,4}}\n\s{{0,8}}[-–—]{{0,2}}[ ]?({_FULL})(?=[ \t,.]{{0,4}}(?:\n|$))", 0.75,
        "egards", "incerely", "aithfully", "ours", "heers", "best", "espectfully", "hank", "grüße", "ordialement", "aludos", "aluti", "roete"),
    _named(rf"(?:^|[\n,;:<\"(]) {{0,4}}[\"']?({_TWO})[\"']?[ ]{{0,2}}<(?=[^\s<>@]{{1,64}}@)", 0.85, "@"),
)  # fmt: skip

GIVEN = frozenset(files("headrace.redaction").joinpath("given_names.txt").read_text("utf-8").split())
_CAPITAL = re.compile(r"(?<![\w'’.@/-])[A-Z][a-z]{2,14}(?=[ ])")
_REST = re.compile(rf"(?:[ ][A-Z]\.?(?=[ ]))?[ ]{_PARTICLE}{{0,2}}({_W})(?:[ ]{_PARTICLE}{{0,2}}{_W}){{0,1}}(?!\w)")


def _given(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A given name that is known, and what follows it with a capital."""
    for match in _CAPITAL.finditer(text, start, end):
        rest = _REST.match(text, match.end(), end) if match[0].lower() in GIVEN else None
        if rest and _name(rest[1]):
            yield match.start(), rest.end()


NAMES = (*_TOLD, Rule("name", 0.6, _trimmed(_given)))

# ---- addresses --------------------------------------------------------------------------------------------------------

_STREET = (
    r"(?:street|str|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|circle|cir|place|pl|square|sq|terrace|ter|trail|trl"
    r"|parkway|pkwy|highway|hwy|freeway|expressway|turnpike|way|crescent|cres|close|mews|gardens|grove|hill|row|walk|wharf|quay|parade|alley|path|esplanade|loop|plaza|ridge|run)"
)
_NO = r"\d{1,6}[A-Za-z]?(?:[-/]\d{1,5}[A-Za-z]?)?"
_WORD = r"[^\W\d_][\w'’.-]{0,30}"
_CAP = r"[^\W\d_a-z][\w'’.-]{0,30}"
_UNIT = r"(?i:apt|apartment|suite|ste|unit|flat|floor|room|rm|bldg|building|wohnung|etage|piso|p\.?o\.? ?box|postfach|postbus|apartado)"
_GERMANIC = r"(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|gatan|vägen|gade|vej|veien|gata|katu|tie|utca)"
_ROMANCE = r"(?:rue|avenue|boulevard|bd|allée|chemin|impasse|quai|route|calle|c/|avenida|avda\.?|plaza|paseo|carrera|rua|travessa|praça|via|viale|piazza|corso|largo|strada|ulica|ul\.)"
_STATE = r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY]|PR|AB|BC|MB|NB|NL|NS|ON|QC|SK|NSW|VIC|QLD|TAS|ACT)"
_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}"
_POSTCODE_WORDS = re.compile(r"\b(?:zip|postal|post ?code|plz|postleitzahl|code postal|código postal|cap)\b", _ANY_CASE)


def _unpointed(find: Finder) -> Finder:
    """Without the point of the sentence: only short words are shortened."""

    def found(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for first, last in find(text, start, end):
            word = re.search(r"\w*\.?\Z", text[max(first, last - 12) : last])
            ends = text[last - 1] == "." and word is not None and len(word[0]) > 4
            yield first, last - ends

    return found


ADDRESSES: tuple[Rule, ...] = (
    Rule("address", 0.75, _unpointed(matching(
        rf"(?<![\w.,$€£#-])({_NO}[ ](?:{_CAP}[ ]){{0,4}}(?i:{_STREET})\b\.?(?:,?[ ](?:[NSEW]{{1,2}}\b\.?))?(?:,?[ ]{_UNIT}\.?[ ]?#?\w{{1,6}})?)(?!\w)"))),
    Rule("address", 0.65, _unpointed(matching(
        rf"(?<![\w.,$€£#-])({_NO}[ ](?:{_WORD}[ ]){{1,3}}(?:street|avenue|road|boulevard|lane|drive|court|circle|terrace|parkway|highway|crescent|blvd|ave|rd)\b\.?)(?!\w)", flags=_ANY_CASE))),
    Rule("address", 0.7, matching(
        rf"(?<!\w)((?:(?:Am|An der|Im|In der|Zum|Zur|Alte[rn]?|Neue[rn]?|Lange|Große|Kleine)[ ])?(?:{_CAP}[ ]){{0,2}}{_CAP}(?i:{_GERMANIC})[ ]{_NO})(?!\w)")),
    Rule("address", 0.65, matching(rf"(?<!\w)({_NO},?[ ](?:bis,?[ ]|ter,?[ ])?(?i:{_ROMANCE})[ ](?:{_WORD}[ ]){{0,4}}{_CAP})(?!\w)")),
    Rule("address", 0.65, matching(rf"(?<!\w)((?i:{_ROMANCE})[ ](?:{_WORD}[ ]){{0,4}}{_CAP},?[ ](?:n[.º°]{{0,2}}[ ]?)?{_NO})(?!\w)")),
    Rule("address", 0.75, matching(r"(?<!\w)((?:P\.? ?O\.? ?Box|Post Office Box|Postfach|Postbus|Apartado(?: Postal)?|Casella Postale|Boîte Postale)[ ]#?\d{1,8})(?!\w)", flags=_ANY_CASE)),
    Rule("address", 0.75, near(matching(r"(?<!\w)((?:(?:PSC|CMR|Unit|USS)[ ][\w ]{1,24},?[ ](?:Box[ ]\d{1,6})?,?[ ]?)?(?:\n[ ]{0,8})?(?:APO|FPO|DPO),?[ ]A[AEP][ ]\d{5}(?:-\d{4})?)(?!\w)"), "apo", "fpo", "dpo")),
    Rule("address", 0.6, matching(r"(?<!\w)((?:apt|apartment|suite|ste)\.?[ ]#?\d{1,5}[A-Z]?)(?!\w)", flags=_ANY_CASE)),
    Rule("address", 0.75, matching(rf"(?<!\w)({_CAP}(?:[ ]{_CAP}){{0,3}},?[ ]{_STATE}[ ,]{{1,2}}\d{{5}}(?:-\d{{4}})?)(?![\w-])")),
    Rule("address", 0.7, matching(rf"(?<!\w)({_UK})(?!\w)")),
    Rule("address", 0.7, matching(rf"(?<!\w)((?:{_STATE}[ ])?[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d)(?!\w)")),
    Rule("address", 0.6, matching(rf"(?<!\w)((?:[A-Z]{{1,2}}-)?\d{{4,5}}(?:[ ][A-Z]{{2}})?[ ]{_CAP}(?:[ ](?:am|an der|im|a\.)[ ]{_CAP})?)(?=[ \t]{{0,4}}(?:[\n,.;]|$))(?<=[a-zäöüß])"), re.compile(rf"(?:{_GERMANIC}|{_ROMANCE})[^\n]{{0,36}}\n?[^\n]{{0,4}}\Z", _ANY_CASE)),
    Rule("address", 0.7, matching(r"(?<![\w-])(\d{5}(?:-\d{4})?|\d{4} ?[A-Z]{2}|[A-Z]?\d{4,6})(?![\w-])"), _POSTCODE_WORDS),
    Rule("address", 0.75, near(matching(
        r"(?<!\w)(?i:(?:(?:home|billing|shipping|mailing|delivery|postal|street|work|current|full)[ _-]?)?address|anschrift|adresse|dirección|indirizzo|street)(?:[ _-]?(?:line)?[ _-]?[12])?[*_\"']{0,3}[ \t]{0,3}[:=][*_]{0,2}[ \t]{0,3}[\"']?(?=[^\n]{0,80}\d)([^\n|;\"]{4,120}[^\s|;\"])",
        lambda t: "@" not in t and "://" not in t and sum(c.isalpha() for c in t) > 2 and not re.fullmatch(r"[0-9a-fA-F:.x]+", t)),
        "address", "anschrift", "adresse", "dirección", "indirizzo", "street")),
)  # fmt: skip

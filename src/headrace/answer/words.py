"""Words as questions and sources share them: tokens, stems, stop words, synonyms of plain English."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer

TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![^\W_])|[^\W_]+(?:['’](?=[^\W\d_])[^\W_]+|\.(?=\d)[^\W_]+)*"
)
_CODE = re.compile(r"(?:(?=[^\W_]*\d)(?=\d*[^\W\d_])[^\W_]{3,}|v?\d+(?:\.\d+){2,})$", re.I)
_SIZE = re.compile(r"\d+(?:st|nd|rd|th|am|pm|h|s|ms|kg|g|mg|lb|lbs|oz|km|m|cm|mm|kb|mb|gb|tb|k|x|w|v|hz|ghz|mhz|d)$", re.I)

_NUMBERS = {
    word: str(n)
    for n, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100"}

STOP = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "and", "or", "but", "nor", "so", "yet", "if", "then", "than", "as", "of", "at", "by", "for", "with", "about", "against", "between", "into", "through", "during", "before", "after", "above", "below", "to", "from", "up", "down", "in", "out", "on", "off", "over", "under", "again", "further", "once", "here", "there", "when", "where", "why", "how", "what", "which", "who", "whom", "whose", "i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves", "you", "your", "yours", "yourself", "yourselves", "he", "him", "his", "she", "her", "hers", "it", "its", "itself", "they", "them", "their", "theirs", "themselves", "is", "am", "are", "was", "were", "be", "been", "being", "have", "has", "had", "having", "do", "does", "did", "doing", "done", "will", "would", "shall", "should", "can", "could", "may", "might", "must", "ought", "cannot", "not", "no", "don't", "doesn't", "didn't", "isn't", "aren't", "wasn't", "weren't", "won't", "can't", "couldn't", "shouldn't", "i'm", "i've", "i'd", "i'll", "you're", "it's", "that's", "there's", "what's", "who's", "where's", "when's", "how's", "let's", "we're", "they're", "please", "still", "also", "just", "only", "even", "ever", "already", "now", "too", "very", "really", "actually", "currently", "today", "yes", "ok", "okay", "hi", "hello", "hey", "thanks", "thank", "because", "while", "until", "within", "without", "per", "via", "else", "whether", "both", "either", "neither", "such", "same", "s", "t", "u", "ll", "re", "ve", "m", "d", "won", "don", "etc", "vs", "one", "ones", "another", "any", "some", "each", "every", "all"]
)
"""Words that say nothing about the topic."""

GENERAL = frozenset(
    ["take", "get", "have", "want", "need", "know", "tell", "give", "make", "use", "go", "come", "happen", "work", "mean", "say", "show", "find", "look", "allow", "possible", "thing", "way", "kind", "type", "sort", "level", "number", "amount", "many", "much", "long", "far", "often", "time", "detail", "information", "info", "question", "help", "list", "explain", "describe", "people", "person", "someone", "anyone", "everyone", "user", "customer", "receive", "offer", "provide", "include", "apply", "exist", "concern", "regard", "different", "specific", "follow", "per", "more", "most", "less", "other", "able", "permit", "let", "see", "available", "sort", "status", "state", "big", "small", "maximum", "minimum", "total", "exactly", "according", "mention", "define", "start", "end", "set", "able", "like", "new", "old", "current", "upcoming", "next", "last", "previous", "first", "latest", "earliest", "recent", "bring", "come", "normally", "usually", "typically", "general", "overall", "good", "best", "currently", "left", "remain", "date", "day", "name", "id", "tier", "answer", "sure", "require", "entitle", "expect", "made"]
)
"""Words that ask rather than name: they count little when an answer is looked for."""

_GROUPS = """
price cost fee charge fare rate expensive
extra additional
heavy weigh weight
age old year
buy bought purchase
pay paid payment
sell sold sale
refund reimburse reimbursement repay
luggage baggage bag suitcase
cancel call_off
change modify alter amend edit adjust
fly flight flew flown
book booking reservation reserve ticket
arrive arrival land
depart departure leave left
choose choice select selection
send sent ship shipment shipping deliver delivery dispatch
repair fix mend
begin start commence
end finish conclude
delete remove erase uninstall
add append
child children kid
employee staff worker
employer company firm organisation organization
vacation holiday pto leave
sick ill illness
wage salary pay compensation
boss manager supervisor
doctor physician
phone telephone
email e-mail mail
address location place
broken defective faulty damaged
warranty guarantee
return exchange
high height tall
wide width
deep depth
long length
deadline due
reset restore
vacation holiday
crash hang freeze
bug defect issue problem
error failure fail
version release changelog
supported support compatible compatibility
allow permit permitted allowed
forbidden prohibited banned
discount rebate
member membership
maximum max limit most
minimum min least
car vehicle automobile
picture image photo photograph
film movie
city town
country nation
war conflict battle
author writer wrote write written
die died death dead
born birth birthday
live lived reside
found founded establish established
big large
fast quick rapid speed
empty vacant
wash clean cleaning rinse
charger charge charging
battery batteries
wireless wifi wi-fi
login sign-in signin
password passcode
shop store retailer
order purchase
item product article
invoice bill
parcel package
money dollar dollars usd
hour hours hrs
minute minutes min
temperature hot heat
noise noisy loud
grow grew grown growth increase rise rose
decrease decline drop fall fell reduce reduction
win won victory
lose lost loss
speak spoke spoken say said
hold held
begin began begun
teach taught
send sent
spend spent
think thought
make made
give gave given
go went gone
take took taken
get got gotten
know knew known
see saw seen
break broke broken
""".strip().splitlines()


class Word(NamedTuple):
    """A word of a question: as written, its stem, and whether it merely asks."""

    text: str
    stem: str
    start: int
    end: int


_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A token's normal form: lower case, possessive off, number words as digits, English stem."""
    low = word.casefold().replace("’", "'")
    if low.endswith("'s"):
        low = low[:-2]
    if low[0].isdigit():
        plain = low.replace(",", "")
        return plain.rstrip("0").rstrip(".") if "." in plain and plain.replace(".", "", 1).isdigit() else plain
    return _NUMBERS.get(low) or _stemmer.stemWord(low)


@lru_cache(maxsize=100_000)
def is_stop(word: str) -> bool:
    return word.casefold().replace("’", "'") in STOP


_GENERAL_STEMS = frozenset(stem(w) for w in GENERAL)


def is_general(stemmed: str) -> bool:
    """Whether a stem merely asks (`many`, `take`) rather than names a thing."""
    return stemmed in _GENERAL_STEMS


def _synonyms() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _GROUPS:
        stems = {stem(w) for part in line.split() for w in part.split("_") if "-" not in part and "_" not in part}
        for s in stems:
            found.setdefault(s, set()).update(stems - {s})
    return {s: frozenset(others) for s, others in found.items()}


_SYNONYMS = _synonyms()
_NONE: frozenset[str] = frozenset()


def synonyms(stemmed: str) -> frozenset[str]:
    """Stems that may stand for this one in plain English."""
    return _SYNONYMS.get(stemmed, _NONE)


def words(text: str) -> list[Word]:
    """The words of a text that are no stop words, in order."""
    return [
        Word(m.group(), stem(m.group()), m.start(), m.end())
        for m in TOKEN.finditer(text)
        if not is_stop(m.group())
    ]


def stems(text: str) -> list[str]:
    """The stems of a text's words that are no stop words, in order."""
    return [stem(w) for w in TOKEN.findall(text) if not is_stop(w)]


def is_code(word: str) -> bool:
    """Whether a token looks like an identifier: letters and digits mixed (`HAT170`), or a version of three numbers; no size or ordinal (`22nd`)."""
    return bool(_CODE.match(word)) and not _SIZE.match(word)

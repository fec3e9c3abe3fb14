"""The time that a document states of itself, in the forms that formats write it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PDF = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def stated(text: str | None) -> int | None:
    """An ISO 8601 date or time, or a mail's (RFC 5322), to microseconds; without an offset it is UTC. Else None."""
    text = (text or "").strip().strip("\"'")
    if not text:
        return None
    if _DAY.match(text):
        try:
            return _us(datetime.fromisoformat(text))
        except ValueError:
            try:
                return _us(datetime.fromisoformat(text[:10]))
            except ValueError:
                return None
    try:
        return _us(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None


def stated_in_pdf(text: str) -> int | None:
    """A PDF date, `D:20240131120000+01'00'` (ISO 32000-1, 7.9.4)."""
    match = _PDF.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, _, sign, offset, more = match.groups()
    zone = f"{sign}{offset}:{more or '00'}" if sign else "+00:00"
    written = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"
    try:
        return _us(datetime.fromisoformat(written))
    except ValueError:
        return None


def _us(moment: datetime) -> int | None:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        found = int(moment.timestamp() * 1_000_000)
    except (OverflowError, ValueError):
        return None
    return found if found > 0 else None  # 1970 and before: the zero of some program

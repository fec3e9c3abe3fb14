"""Checksums and ranges of numbers that identify people, cards and accounts. All take the text as found."""

from __future__ import annotations

import math
import re
from collections import Counter

_NOT_ALNUM = re.compile(r"[\W_]+")


def digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")


def compact(text: str) -> str:
    """Letters and digits alone, upper case."""
    return _NOT_ALNUM.sub("", text).upper()


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for n, c in enumerate(reversed(number)):
        d = ord(c) - 48
        total += d if n % 2 == 0 else (2 * d if d < 5 else 2 * d - 9)
    return total % 10 == 0


def card(number: str) -> bool:
    """12 to 19 digits of a known range, with their check digit."""
    if not 12 <= len(number) <= 19 or len(set(number)) < 3:
        return False
    two, four = int(number[:2]), int(number[:4])
    if len(number) == 12:
        known = two == 50 or 56 <= two <= 69
    elif len(number) == 14:
        known = two in (36, 38, 39) or 300 <= int(number[:3]) <= 305
    elif len(number) == 15:
        known = two in (34, 37) or four in (1800, 2131)
    else:
        known = number[0] in "456" or 2221 <= four <= 2720 or two == 35 or two in (36, 38, 39, 30) or four == 9792
    return known and luhn(number)


IBAN_LENGTHS = {
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in """
        AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27
        DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22
        IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19
        MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31
        SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30
        """.split()
    )
}
"""Characters of an IBAN by country (the IBAN registry of ISO 13616)."""


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and 1 modulo 97 with the first four characters at the end."""
    account = compact(text)
    if IBAN_LENGTHS.get(account[:2]) != len(account) or not account.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1


def ssn(text: str) -> bool:
    """Ranges that are given out: https://www.ssa.gov/employer/randomization.html"""
    n = digits(text)
    return n[:3] not in ("000", "666") and n[0] != "9" and n[3:5] != "00" and n[5:] != "0000"


def nino(text: str) -> bool:
    return compact(text)[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def steuer_id(text: str) -> bool:
    """11 digits: of the first ten one comes twice or three times and no other so; ISO/IEC 7064, MOD 11,10."""
    n = digits(text)
    if len(n) != 11 or n[0] == "0":
        return False
    more = [c for c in Counter(n[:10]).values() if c > 1]
    if len(more) != 1 or more[0] > 3:
        return False
    product = 10
    for c in n[:10]:
        product = ((int(c) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(n[10])


def nir(text: str) -> bool:
    """13 characters and their complement modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    n = compact(text)
    return len(n) == 15 and 97 - int(n[:13].replace("2A", "19").replace("2B", "18")) % 97 == int(n[13:])


def dni(text: str) -> bool:
    """DNI, or NIE with X, Y, Z for 0, 1, 2: the letter is the number modulo 23."""
    n = compact(text)
    n = str("XYZ".index(n[0])) + n[1:] if n[0] in "XYZ" else n
    return n[:8].isdecimal() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(n[:8]) % 23] == n[8:]


_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def codice_fiscale(text: str) -> bool:
    """Decree of 23 December 1976: odd places by table, even ones by value, modulo 26."""
    n = compact(text)
    even = (int(c) if c.isdecimal() else ord(c) - 65 for c in n[1:15:2])
    return chr(65 + (sum(_ODD[c] for c in n[0:15:2]) + sum(even)) % 26) == n[15]


_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff(number: str) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes, 1969."""
    check = 0
    for n, c in enumerate(reversed(number)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[n % 8][int(c)])])
    return check == 0


def aadhaar(text: str) -> bool:
    n = digits(text)
    return len(n) == 12 and n[0] in "23456789" and n != n[::-1] and verhoeff(n)


def ahv(text: str) -> bool:
    """Thirteen digits from 756 with the check digit of EAN-13."""
    n = digits(text)
    return len(n) == 13 and sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(n)) % 10 == 0


def entropy(text: str) -> float:
    """Bits a character, by how often each comes in this text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0

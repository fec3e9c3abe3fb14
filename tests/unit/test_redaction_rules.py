"""What the rules find: numbers by their checks, words by what stands around them; and how long they take."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.redaction import checks
from headrace.redaction.overlap import resolve
from headrace.redaction.rules import Rules, open_detector

RULES = Rules()
SEPARATORS = st.sampled_from(["", " ", "-", ".", "\u00a0"])


def found(text: str) -> list[tuple[str, str]]:
    return [(d.kind, text[d.start : d.end]) for d in resolve(text, RULES.detect(text))]


def only(text: str) -> tuple[str, str]:
    (one,) = found(text)
    return one


def check_digit(body: str) -> str:
    return next(body + d for d in "0123456789" if checks.luhn(body + d))


cards = st.tuples(st.sampled_from(["4", "51", "2221", "6011", "34"]), st.text("0123456789", min_size=15)).map(
    lambda t: check_digit((t[0] + t[1])[: 14 if t[0] == "34" else 15])
)


@given(cards, SEPARATORS, st.integers(3, 5))
def test_a_card_is_found_however_its_digits_are_grouped(number: str, separator: str, size: int) -> None:
    assume(len(set(number)) > 2)
    written = separator.join(number[n : n + size] for n in range(0, len(number), size))

    assert only(f"Charge {written} for it, please.") == ("card", written)


@given(cards, st.integers(0, 14), st.integers(1, 9))
def test_a_card_with_a_wrong_digit_is_none(number: str, at: int, by: int) -> None:
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]

    assert not [value for kind, value in found(f"Charge {wrong} for it.") if kind == "card"]


ibans = st.tuples(st.sampled_from(["DE", "FR", "NL", "ES", "AT"]), st.text("0123456789", min_size=30)).map(
    lambda t: iban(t[0], t[1][: checks.IBAN_LENGTHS[t[0]] - 4])
)


def iban(country: str, account: str) -> str:
    rest = int("".join(str(int(c, 36)) for c in account + country + "00")) % 97
    return f"{country}{98 - rest:02}{account}"


@given(ibans, SEPARATORS, st.integers(2, 6), st.booleans())
def test_an_account_is_found_however_it_is_grouped(account: str, separator: str, size: int, lower: bool) -> None:
    assume(size > 3 or separator != "-")
    written = separator.join(account[n : n + size] for n in range(0, len(account), size))
    written = written.lower() if lower else written

    assert only(f"Pay to {written} today.") == ("iban", written)


@given(ibans, st.integers(4, 17), st.integers(1, 9))
def test_an_account_with_a_wrong_digit_is_none(account: str, at: int, by: int) -> None:
    wrong = account[:at] + str((int(account[at]) + by) % 10) + account[at + 1 :]
    assume(wrong != account)

    assert not [value for kind, value in found(f"Pay to {wrong} today.") if kind == "iban"]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Write to ada.lovelace+x@mail.example.co.uk, please.", "email", "ada.lovelace+x@mail.example.co.uk"),
        ("<mailto:grüße@müller.example>", "email", "grüße@müller.example"),
        ("Ring +49 30 901820 now", "phone", "+49 30 901820"),
        ("Office: (212) 555-0143 x12.", "phone", "(212) 555-0143 x12"),
        ("Dial 0044 20 7946 0958!", "phone", "0044 20 7946 0958"),
        ("Tel. 030 / 901820", "phone", "030 / 901820"),
        ("06 12 34 56 78", "phone", "06 12 34 56 78"),
        ("my mobile is 5550143", "phone", "5550143"),
        ("SSN 536-22-1234 is his", "us_ssn", "536-22-1234"),
        ("NINO AB 12 34 56 C.", "uk_nino", "AB 12 34 56 C"),
        ("Steuer-ID 86 095 742 719", "de_tax_id", "86 095 742 719"),
        ("NIR 2 55 08 14 168 025 38", "fr_nir", "2 55 08 14 168 025 38"),
        ("DNI 12345678Z", "es_dni", "12345678Z"),
        ("NIE X1234567L", "es_dni", "X1234567L"),
        ("CF RSSMRA85T10A562S", "it_codice_fiscale", "RSSMRA85T10A562S"),
        ("3123 4567 8909 is hers", "in_aadhaar", "3123 4567 8909"),
        ("PAN ABCPE1234F", "in_pan", "ABCPE1234F"),
        ("AHV 756.9217.0769.85", "ch_ahv", "756.9217.0769.85"),
        ("Passport number: C01X00T47", "passport", "C01X00T47"),
        ("driver's license D1234567", "driver_license", "D1234567"),
        ("from 203.0.113.9 again", "ip", "203.0.113.9"),
        ("from 2001:db8::8a2e:370:7334 again", "ip", "2001:db8::8a2e:370:7334"),
        ("at 00:1B:44:11:3A:B7", "mac", "00:1B:44:11:3A:B7"),
        ("postgres://bob:s3cr3t@db.example/x", "url_credentials", "bob:s3cr3t"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "secret", "AKIA" + "IOSFODNN7EXAMPLE"),
        ("ghp_" + "a1B2" * 9, "secret", "ghp_" + "a1B2" * 9),
        ("Authorization: Bearer abc123DEF456ghi789", "secret", "abc123DEF456ghi789"),
        ("api_key = 'a8f5f167f44f4964e6c998dee827110c'", "secret", "a8f5f167f44f4964e6c998dee827110c"),
        ("password: hunter2!", "secret", "hunter2!"),
        ("She was born on May 4, 1990.", "birth_date", "May 4, 1990"),
        ("DOB: 04/05/1990", "birth_date", "04/05/1990"),
        ("geboren am 4. Mai 1990", "birth_date", "4. Mai 1990"),
        ("Send it to 12 Old Mill Road, Apt 4 now", "address", "12 Old Mill Road, Apt 4"),
        ("Musterstraße 12a ist zu", "address", "Musterstraße 12a"),
        ("au 12 rue de la Paix", "address", "12 rue de la Paix"),
        ("in Springfield, IL 62704", "address", "Springfield, IL 62704"),
        ("to SW1A 1AA by noon", "address", "SW1A 1AA"),
        ("P.O. Box 1234", "address", "P.O. Box 1234"),
        ("we met Dr. Ada King yesterday", "name", "Ada King"),
        ("my name is Zoltan Quux.", "name", "Zoltan Quux"),
        ("Dear Zoltan,\nthanks", "name", "Zoltan"),
        ("Customer name: Quux, Zoltan", "name", "Quux"),
        ("Yours sincerely,\nZoltan Quux\n", "name", "Zoltan Quux"),
        ("a letter by Jennifer Quux arrived", "name", "Jennifer Quux"),
    ],
)
def test_each_kind_is_found_where_it_stands(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "std::vector<int> a; d::f(); 12:30:45",
        "version 1.2.3.4 of 2026-11-22, 10.5 kg, 1,234,567 rows",
        "Order 1234567890123456 has 12 items; build 20261122",
        "SSN 000-12-3456, 666-12-3456, 123-00-4567",
        "The password is required, the token is opaque, key: value",
        "Dear Customer,\nThank you.\nBest regards,\nCustomer Service",
        "At the Mark, in May, we Will see the Grand Canyon.",
        "password: ${env:PASSWORD}",
        "It was released on May 4, 1990.",
        "name: my-project\nversion: 3",
    ],
)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert found(text) == []


def test_a_private_key_goes_as_a_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"

    assert only(f"It is\n{key}\nkeep it.") == ("secret", key)


def test_a_table_s_header_says_what_its_cells_are() -> None:
    table = (
        "| id | name | phone number | date of birth |\n| --- | --- | --- | --- |\n| 7 | Zoltan | 55501 | 1990-05-04 |\n"
    )

    assert found(table) == [("name", "Zoltan"), ("phone", "55501"), ("birth_date", "1990-05-04")]
    assert found("| id | name |\n| --- | --- |\n| 7 | kayak |\n") == []


ADVERSARIAL = [
    "a", "1", "A", "a@", "a.", "1 ", "1-", "A1", "A-", "Aa-", "A.", "://a:", "key=", "Key: A", "A b ", "Mr. ", "Mary ",
    "my name is A ", "eyJaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "1 Rue de la ", "Dear A ", "(1", "((", "+1", "1.",
    "1:", "a:", "| a ", "GB82", "D'", "Regards\n", "born 1/", "passport A1", "a_", "Address: ", "call (1)", "İ", "001-",
    "Contact: aa ", "PSC A, ", "1 A st ", "[EMAIL]",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_the_time_grows_with_the_text_and_not_faster(unit: str) -> None:
    """With a pattern that goes back over what it has read, this would not come to its end in hours."""
    RULES.detect((unit * 40_000)[:40_000])


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(ADVERSARIAL), min_size=1, max_size=4))
@example(["A", "-", " "])
def test_mixed_texts_come_to_their_end_too(units: list[str]) -> None:
    RULES.detect(("".join(units) * 10_000)[:10_000])


def test_an_address_with_settings_is_refused() -> None:
    with pytest.raises(ConfigError):
        open_detector("rules:?strict=yes")

"""Numbers as a spreadsheet shows them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.formats.number_format import is_followed, plain, shown

ACCOUNTING = '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)'


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [
        (0.256, "0.0%", "25.6%"),
        (0.255, "0%", "26%"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-1234.5, "#,##0.00", "-1,234.50"),
        (1234567891, "#,##0", "1,234,567,891"),
        (2134, "00000", "02134"),
        (7, "0,000", "0,007"),
        (5551234567, "(###) ###-####", "(555) 123-4567"),
        (123456789, "000-00-0000", "123-45-6789"),
        (-1234.5, '"$"#,##0.00_);[Red]("$"#,##0.00)', "($1,234.50)"),
        (12, ACCOUNTING, "$12.00"),
        (-5.5, ACCOUNTING, "$(5.50)"),
        (0, ACCOUNTING, "$-"),
        (1234567, '0.0,,"M"', "1.2M"),
        (1500, '#,##0, "k"', "2 k"),
        (12.5, "#,##0.00\\ [$€-407]", "12.50 €"),
        (0.5, "#.##", ".5"),
        (0.5, ".00", ".50"),
        (3, "0.##", "3"),
        (3, "0.0#", "3.0"),
        (1.005, "0.00", "1.01"),
        (-0.001, "0.00", "0.00"),
        (5, '"a;b "0', "a;b 5"),
        (4, '"full";"none"', "full"),
    ],
)
def test_a_number_is_shown_by_its_code(number: float, code: str, expected: str) -> None:
    assert is_followed(code)
    assert shown(number, code) == expected


@pytest.mark.parametrize(
    "code", ["", "General", "@", "# ?/?", "0.00E+00", "[>100]0;0.0", "yyyy-mm-dd", "[h]:mm", "0.0.0"]
)
def test_a_code_that_is_not_followed_shows_a_number_plainly(code: str) -> None:
    assert not is_followed(code)
    assert shown(12345.5, code) == "12345.5"


def test_a_number_that_its_code_hides_is_shown_plainly() -> None:
    assert shown(5.25, ";;;") == "5.25"


def test_a_number_beyond_fifteen_digits_is_shown_plainly() -> None:
    assert shown(1e20, "#,##0") == "1e+20"
    assert plain(0.1 + 0.2) == "0.3"
    assert plain(1234.5600000000002) == "1234.56"


@given(st.floats(-1e14, 1e14), st.integers(0, 6))
def test_grouping_and_decimals_are_python_s(number: float, decimals: int) -> None:
    rounded = Decimal(f"{number:.15g}").quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)

    told = shown(number, "#,##0." + "0" * decimals if decimals else "#,##0")

    assert told == (f"{rounded:,f}" if rounded else f"{abs(rounded):,f}")


@given(st.floats(allow_nan=True), st.text(alphabet='0#?.,%;"\\_*[]$-()E/@ dmyhs€kRed<>=1', max_size=30))
def test_any_code_shows_something(number: float, code: str) -> None:
    told = shown(number, code)

    assert told
    assert "\n" not in told

"""DECIMAL as the server packs it: nine digits in four bytes, big end first. Pure."""

from __future__ import annotations

from collections.abc import Callable

_SIZES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""The bytes of so many digits."""


def packed(precision: int, scale: int) -> tuple[int, Callable[[bytes], str]]:
    """How many bytes a number takes, and how its bytes read: to the digit, as the server shows it."""
    whole = precision - scale
    groups = ([whole % 9] if whole % 9 else []) + [9] * (whole // 9)
    groups += [9] * (scale // 9) + ([scale % 9] if scale % 9 else [])
    size = sum(_SIZES[group] for group in groups)
    turned, every = 1 << 8 * size - 1, (1 << 8 * size) - 1

    if whole <= 9 and 0 < scale <= 9:
        return size, _small(size, scale, turned, every)

    def read(data: bytes) -> str:
        # The first bit is turned so that numbers sort as bytes; all bits are when it is negative.
        negative = not data[0] & 0x80
        number = int.from_bytes(data, "big") ^ turned
        digits = (number ^ every if negative else number).to_bytes(size, "big")
        start, text = 0, ""
        for group in groups:
            end = start + _SIZES[group]
            text += f"{int.from_bytes(digits[start:end], 'big'):0{group}d}"
            start = end
        shown = text[:whole].lstrip("0") or "0"
        if scale:
            shown += "." + text[whole:]
        return "-" + shown if negative else shown

    return size, read


def _small(size: int, scale: int, turned: int, every: int) -> Callable[[bytes], str]:
    """The same for at most nine digits before the point and one to nine behind: most numbers that there are."""
    bits = 8 * _SIZES[scale]
    mask, positive = (1 << bits) - 1, f"%d.%0{scale}d"
    negative = "-" + positive

    def read(data: bytes) -> str:
        number = int.from_bytes(data, "big") ^ turned
        if data[0] & 0x80:
            return positive % (number >> bits, number & mask)
        number ^= every
        return negative % (number >> bits, number & mask)

    return read

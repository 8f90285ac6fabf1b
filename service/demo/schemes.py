"""Make identifiers with valid check digits out of plain numbers.

Invariant: what is made here is valid for its scheme (the tests ask `stdnum`), but nobody's.
Elsewhere: who bears them (`service.demo.people`, `service.demo.organisations`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["iban", "luhn_number", "tax_number", "vat_number"]

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn_number(number: int) -> str:
    """Return the number with its Luhn digit behind it, as loyalty cards have it."""
    digits = str(number)
    total = sum(map(int, digits[-2::-2])) + sum(_DOUBLED[int(d)] for d in digits[-1::-2])
    return f"{digits}{-total % 10}"


def tax_number(country: str, high: int, low: int, owner: int) -> str | None:
    """Return a person's tax number: the German IdNr, the British UTR, an American SSN; None in France."""
    if country == "DE":
        return _german_tax_number(high << 16 | low)
    if country == "GB":
        body = f"{(owner * 7_919 + high) % 1_000_000_000:09d}"
        weights = (6, 7, 8, 9, 10, 5, 4, 3, 2)
        total = sum(weight * int(digit) for weight, digit in zip(weights, body, strict=True))
        return "21987654321"[total % 11] + body
    if country == "US":
        # Areas 001-665, groups 01-99, serials 0001-9999: the numbers that are given out.
        return f"{high % 665 + 1:03d}-{low % 99 + 1:02d}-{(owner * 31 + low) % 9_999 + 1:04d}"
    return None


def vat_number(country: str, number: int) -> str | None:
    """Return an organisation's VAT number; None in the United States, which have none."""
    if country == "GB":
        body = f"{number % 800_000 + 1_000_000:07d}"
        total = sum(weight * int(digit) for weight, digit in zip(range(8, 1, -1), body, strict=True))
        return f"GB{body}{97 - total % 97:02d}"
    if country == "DE":
        body = f"{number % 89_999_999 + 10_000_000:08d}"
        return f"DE{body}{_mod_11_10(body)}"
    if country == "FR":
        siren = luhn_number(number % 89_999_999 + 10_000_000)
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
    return None


def iban(country: str, high: int, low: int) -> str | None:
    """Return the number of a bank account; None in the United States, which have none."""
    number = high << 16 | low
    if country == "DE":
        bank = f"{(37040044, 50010517, 10070024, 70150000)[high & 3]}{number:010d}"
        return f"DE{98 - int(bank + '131400') % 97:02d}{bank}"
    if country == "GB":
        account = f"{high % 899_999 + 100_000:06d}{number % 100_000_000:08d}"
        return f"GB{98 - int('11231116' + account + '161100') % 97:02d}BNBG{account}"
    if country == "FR":
        body = f"30006{high % 90_000 + 10_000:05d}{number:011d}"
        control = 97 - (89 * 30006 + 15 * int(body[5:10]) + 3 * number) % 97
        return f"FR{98 - int(f'{body}{control:02d}152700') % 97:02d}{body}{control:02d}"
    return None


def _mod_11_10(digits: str) -> int:
    """Return the check digit of ISO 7064 MOD 11,10."""
    check = 10
    for digit in digits:
        check = ((check + int(digit)) % 10 or 10) * 2 % 11
    return (11 - check) % 10


def _german_tax_number(number: int) -> str:
    # Of the first ten digits one stands twice and the others at most once; the first is not zero.
    digits = list("1234567890")
    for place in range(9, 0, -1):
        number, other = divmod(number, place + 1)
        digits[place], digits[other] = digits[other], digits[place]
    if digits[0] == "0":
        digits[0], digits[1] = digits[1], digits[0]
    digits[9] = digits[number % 8]
    body = "".join(digits)
    return f"{body}{_mod_11_10(body)}"

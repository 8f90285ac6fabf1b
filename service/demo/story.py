"""Three records that tell how two customers turn out to be one.

Before: the CRM knows Katharina Weiss with an e-mail address and a birth date; the shop knows a K. Brandt
with another e-mail address and a telephone: two customers. Then billing states what she gave with her
direct debit: that she is now called Brandt, both e-mail addresses, the telephone and the birth date.
That joins the three.

Invariant: fixed records; the made-up population has nobody like them.
Elsewhere: how it is shown (`service.demo.run`).
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["AFTER", "BEFORE"]

BEFORE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    (
        "crm",
        "C-demo-1",
        {
            "given_name": "Katharina",
            "family_name": "Weiss",
            "birth_date": "1988-03-14",
            "email": "katharina.weiss.sameas-demo@gmx.de",
        },
    ),
    (
        "shop",
        "demo-2",
        {
            "full_name": "K. Brandt",
            "email": "k.brandt.sameas-demo@posteo.de",
            "phone": "+49 40 22719063",
        },
    ),
)
"""(source, key, attributes) of two records that nothing joins."""

AFTER: Final[tuple[str, str, dict[str, Any]]] = (
    "billing",
    "B-demo-3",
    {
        "given_name": "Katharina",
        "family_name": "Brandt",
        "other_names": ["Katharina Weiss"],
        "birth_date": "1988-03-14",
        "email": ["katharina.weiss.sameas-demo@gmx.de", "k.brandt.sameas-demo@posteo.de"],
        "phone": "+49 40 22719063",
        "address": {"line": "Lange Reihe 12", "city": "Hamburg", "postcode": "20099", "country": "DE"},
    },
)
"""The record that joins them."""

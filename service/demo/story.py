"""Three records that tell how two customers turn out to be one.

Before: the CRM knows Katharina Weiss, the shop knows Kathi Brandt: another family name, address, e-mail
address and telephone, so they are two customers. Then billing states what she gave with her direct debit:
both names, both e-mail addresses, both telephones. That joins the three.

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
            "email": "katharina.weiss@alpenpost.example",
            "phone": "+49 89 3081 4471",
            "address": {
                "line": "Schellingstr. 45",
                "city": "München",
                "postcode": "80799",
                "country": "DE",
            },
        },
    ),
    (
        "shop",
        "demo-2",
        {
            "full_name": "Kathi Brandt",
            "birth_date": "1988-03-14",
            "email": "kathi.brandt@hansemail.example",
            "phone": "+49 40 2271 9063",
            "address": {
                "line": "Lange Reihe 12",
                "city": "Hamburg",
                "postcode": "20099",
                "country": "DE",
            },
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
        "email": ["katharina.weiss@alpenpost.example", "kathi.brandt@hansemail.example"],
        "phone": ["+49 89 3081 4471", "+49 40 2271 9063"],
        "address": [
            {"line": "Lange Reihe 12", "city": "Hamburg", "postcode": "20099", "country": "DE"},
            {"line": "Schellingstraße 45", "city": "München", "postcode": "80799", "country": "DE"},
        ],
    },
)
"""The record that joins them."""

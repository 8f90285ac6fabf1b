"""Who the made-up organisations are: the truth behind their records.

Invariant: an organisation is a function of (salt, number).
Elsewhere: what a source wrote down of them (`service.demo.statements`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.demo.draws import roll, spread, zipf_weights
from service.demo.family_names import FAMILY_NAMES
from service.demo.people import mail_name
from service.demo.places import find_city, landline, make_address

if TYPE_CHECKING:
    from service.demo.draws import Draws
    from service.demo.places import Address

__all__ = ["LEGAL_FORMS", "Organisation", "make_organisation"]

LEGAL_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "Ltd": ("Ltd", "Limited", "Ltd.", "LTD"),
    "PLC": ("PLC", "plc", "Public Limited Company"),
    "LLP": ("LLP", "L.L.P."),
    "Inc": ("Inc", "Inc.", "Incorporated"),
    "LLC": ("LLC", "L.L.C."),
    "Corp": ("Corp", "Corporation", "Corp."),
    "GmbH": ("GmbH", "Gesellschaft mit beschränkter Haftung", "G.m.b.H."),
    "AG": ("AG", "Aktiengesellschaft"),
    "KG": ("KG", "K.G."),
    "e.K.": ("e.K.", "eK"),
    "SARL": ("SARL", "S.A.R.L."),
    "SA": ("SA", "S.A."),
    "SAS": ("SAS", "S.A.S."),
}
"""Legal form to the ways in which it is written."""


@dataclass(slots=True)
class Organisation:
    """An organisation as it is; `draws` decide what its identifiers are."""

    name: str
    legal_form: str
    email: str
    website: str
    phone: tuple[str, str]
    address: Address
    local_city: tuple[str, ...]
    draws: Draws


_COUNTRIES: Final = spread(("GB", "US", "DE", "FR"), (50, 18, 24, 8))
_FORMS: Final = {
    "GB": spread(("Ltd", "LLP", "PLC"), (86, 10, 4)),
    "US": spread(("Inc", "LLC", "Corp"), (45, 45, 10)),
    "DE": spread(("GmbH", "KG", "e.K.", "AG"), (72, 14, 9, 5)),
    "FR": spread(("SARL", "SAS", "SA"), (50, 40, 10)),
}
_TLDS: Final = {"GB": "co.uk", "US": "com", "DE": "de", "FR": "fr"}
_ORIGINS: Final = {"GB": "english", "US": "english", "DE": "german", "FR": "french"}
_FAMILY: Final = {
    origin: spread(FAMILY_NAMES[origin], zipf_weights(len(FAMILY_NAMES[origin]), offset=9, exponent=0.8))
    for origin in ("english", "german", "french")
}
_TRADES: Final = {
    "english": """
Plumbing Logistics Consulting Builders Electrical Motors Joinery Roofing Catering Landscapes Engineering
Bakery
Interiors Software Solutions Systems Textiles Foods Furniture Printing Packaging Transport Travel Dental
Optical
Pharmacy Recruitment Security Cleaning Cycles Books Toys Shoes Jewellers Florists Photography Design Media
Analytics Robotics Ceramics Glass Steel Timber Paints Tools Instruments Marine Aviation Farms Brewery Coffee
""".split(),
    "german": """
Elektrotechnik Maschinenbau Bäckerei Metzgerei Tischlerei Logistik Spedition Sanitär Heizungsbau Dachbau
Metallbau
Gartenbau Druckerei Verlag Apotheke Optik Autohaus Reisen Möbel Küchen Fliesen Malerbetrieb Gerüstbau Software
Beratung Immobilien Werkzeuge Getränke Textil Schuhe Spielwaren Medizintechnik Kunststoff Verpackung Holzbau
""".split(),
    "french": """
Boulangerie Plomberie Électricité Maçonnerie Menuiserie Transports Conseil Informatique Immobilier Traiteur
Librairie Pharmacie Optique Automobiles Voyages Meubles Peinture Jardins Imprimerie Vins Fromagerie Textiles
""".split(),
}
_MARKS: Final = (
    """
Blue Red Green Silver Golden North South Bright Clear Swift Iron Stone River Summit Harbour Anchor Falcon
Eagle
Lion Oak Cedar Beacon Atlas Nova Orion Delta Vertex Prime Apex Zenith Global United First Royal Metro Urban
""".split(),
    """
bridge field gate peak wave light point line path star ridge view tree leaf works craft link port mark ways
""".split(),
)


def make_organisation(salt: bytes, customer: int) -> Organisation:
    """Return the organisation with this number."""
    own = roll(salt + b"o", customer)
    country = _COUNTRIES[own[0]]
    origin = _ORIGINS[country]
    city = find_city(country, own[2])
    trades = _TRADES[origin]
    trade, founder = trades[own[3] % len(trades)], _FAMILY[origin][own[1]]
    style = own[4] % 10
    if style < 4:
        name = f"{founder} {trade}"
    elif style < 6:
        name = f"{founder} & {_FAMILY[origin][own[5]]} {trade}"
    elif style < 7:
        name = f"{founder} & {'Söhne' if country == 'DE' else 'Fils' if country == 'FR' else 'Sons'} {trade}"
    elif style < 9:
        heads, tails = _MARKS
        name = f"{heads[own[5] % len(heads)]}{tails[own[6] % len(tails)]} {trade}"
    else:
        name = f"{city.name} {trade}"
    host = f"{mail_name(name.replace(' & ', '-'))}-{customer % 9_973}.{_TLDS[country]}"
    return Organisation(
        name,
        _FORMS[country][own[7]],
        f"{('info', 'contact', 'office', 'sales')[own[8] & 3]}@{host}",
        f"www.{host}",
        landline(city, own[9], own[10]),
        make_address(city, own[11], own[12], own[13]),
        city.local_forms,
        own,
    )

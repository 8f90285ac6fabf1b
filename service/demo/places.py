"""Places of the made-up population: cities, streets, postcodes and telephone numbers of four countries.

Invariant: a postcode belongs to its city and its street; an area code to its city; the pools hold some
hundred million addresses, so that strangers rarely share one however many records are made.
Elsewhere: who lives where (`service.demo.people`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from service.demo.draws import spread, zipf_weights

__all__ = ["COUNTRIES", "Address", "City", "find_city", "landline", "make_address", "mobile"]

COUNTRIES: Final = ("GB", "US", "DE", "FR")


class City(NamedTuple):
    """A city: its country, its region where addresses name one, postcode area and telephone area."""

    country: str
    name: str
    region: str | None
    postcode_area: str
    phone_area: str
    local_forms: tuple[str, ...]


class Address(NamedTuple):
    """An address as its holder would write it."""

    house_number: str
    street: str
    unit: str | None
    city: str
    region: str | None
    postcode: str
    country: str


_GB: Final = """
London:SW:20 Birmingham:B:121 Manchester:M:161 Leeds:LS:113 Glasgow:G:141 Sheffield:S:114 Liverpool:L:151
London:E:20 London:N:20 London:SE:20 Bristol:BS:117 Edinburgh:EH:131 Leicester:LE:116 Cardiff:CF:29
Nottingham:NG:115 Newcastle_upon_Tyne:NE:191 Coventry:CV:24 Belfast:BT:28 Brighton:BN:1273 Plymouth:PL:1752
Southampton:SO:23 Reading:RG:118 Derby:DE:1332 Wolverhampton:WV:1902 Norwich:NR:1603 Luton:LU:1582
Portsmouth:PO:23 Swindon:SN:1793 Bournemouth:BH:1202 Swansea:SA:1792 York:YO:1904 Oxford:OX:1865
Cambridge:CB:1223 Ipswich:IP:1473 Exeter:EX:1392 Gloucester:GL:1452 Dundee:DD:1382 Aberdeen:AB:1224
Preston:PR:1772 Blackpool:FY:1253 Stockport:SK:161 Warrington:WA:1925 Huddersfield:HD:1484 Bradford:BD:1274
Hull:HU:1482 Lincoln:LN:1522 Peterborough:PE:1733 Northampton:NN:1604 Milton_Keynes:MK:1908 Colchester:CO:1206
Chelmsford:CM:1245 Canterbury:CT:1227 Maidstone:ME:1622 Guildford:GU:1483 Slough:SL:1753 Watford:WD:1923
St_Albans:AL:1727 Bath:BA:1225 Taunton:TA:1823 Truro:TR:1872 Worcester:WR:1905 Shrewsbury:SY:1743
Stoke-on-Trent:ST:1782 Chester:CH:1244 Lancaster:LA:1524 Carlisle:CA:1228 Durham:DH:191 Sunderland:SR:191
Darlington:DL:1325 Harrogate:HG:1423 Wakefield:WF:1924 Doncaster:DN:1302 Inverness:IV:1463 Perth:PH:1738
"""
_US: Final = """
New_York:NY:100:212 Los_Angeles:CA:900:213 Chicago:IL:606:312 Houston:TX:770:713 Phoenix:AZ:850:602
Philadelphia:PA:191:215 San_Antonio:TX:782:210 San_Diego:CA:921:619 Dallas:TX:752:214 San_Jose:CA:951:408
Austin:TX:787:512 Jacksonville:FL:322:904 Fort_Worth:TX:761:817 Columbus:OH:432:614 Charlotte:NC:282:704
Indianapolis:IN:462:317 San_Francisco:CA:941:415 Seattle:WA:981:206 Denver:CO:802:303 Boston:MA:021:617
El_Paso:TX:799:915 Nashville:TN:372:615 Detroit:MI:482:313 Portland:OR:972:503 Memphis:TN:381:901
Las_Vegas:NV:891:702 Louisville:KY:402:502 Baltimore:MD:212:410 Milwaukee:WI:532:414 Albuquerque:NM:871:505
Tucson:AZ:857:520 Fresno:CA:937:559 Sacramento:CA:958:916 Kansas_City:MO:641:816 Atlanta:GA:303:404
Omaha:NE:681:402 Raleigh:NC:276:919 Miami:FL:331:305 Cleveland:OH:441:216 Tulsa:OK:741:918 Oakland:CA:946:510
Minneapolis:MN:554:612 Wichita:KS:672:316 Tampa:FL:336:813 New_Orleans:LA:701:504 Honolulu:HI:968:808
Buffalo:NY:142:716 Pittsburgh:PA:152:412 Cincinnati:OH:452:513 St_Louis:MO:631:314 Orlando:FL:328:407
"""
_DE: Final = """
Berlin:10:30 Hamburg:20:40 München:80:89 Köln:50:221 Frankfurt_am_Main:60:69 Stuttgart:70:711
Düsseldorf:40:211
Berlin:12:30 Leipzig:04:341 Dortmund:44:231 Essen:45:201 Bremen:28:421 Dresden:01:351 Hannover:30:511
Nürnberg:90:911 Duisburg:47:203 Bochum:44:234 Wuppertal:42:202 Bielefeld:33:521 Bonn:53:228 Münster:48:251
Karlsruhe:76:721 Mannheim:68:621 Augsburg:86:821 Wiesbaden:65:611 Gelsenkirchen:45:209 Aachen:52:241
Kiel:24:431
Braunschweig:38:531 Chemnitz:09:371 Magdeburg:39:391 Freiburg:79:761 Lübeck:23:451 Erfurt:99:361 Mainz:55:6131
Rostock:18:381 Kassel:34:561 Saarbrücken:66:681 Potsdam:14:331 Oldenburg:26:441 Heidelberg:69:6221
Regensburg:93:941 Würzburg:97:931 Ulm:89:731 Göttingen:37:551 Trier:54:651 Jena:07:3641 Passau:94:851
"""
_FR: Final = """
Paris:750:1 Marseille:130:4 Lyon:690:4 Toulouse:310:5 Nice:060:4 Nantes:440:2 Strasbourg:670:3
Montpellier:340:4
Bordeaux:330:5 Lille:590:3 Rennes:350:2 Reims:511:3 Toulon:830:4 Grenoble:380:4 Dijon:210:3 Angers:490:2
Nîmes:300:4 Clermont-Ferrand:630:4 Le_Mans:720:2 Brest:292:2 Tours:370:2 Amiens:800:3 Limoges:870:5 Metz:570:3
"""

_EN_STREETS: Final = (
    """
High Station Church Park Victoria Green Manor Kings Queens New Grange Mill School North South West East York
Albert George Springfield Windsor Richmond London Alexandra Chapel Broad Stanley Clarence Grove Chester Oxford
Cambridge Bridge Water Castle Market Cedar Maple Oak Elm Ash Beech Birch Willow Poplar Holly Laurel Hazel Rose
Lilac Ivy Heather Orchard Meadow Brook River Lake Hill Forest Field Garden Sunny Fair Long Cross Priory Abbey
Rectory Vicarage Bishop Dean Wellington Nelson Trafalgar Waterloo Balmoral Sandringham Highfield Woodland
Fairview Parkside Riverside Lakeside Hillside Sunset Lincoln Washington Jefferson Madison Franklin Jackson
Monroe Adams Hamilton Grant Sherman Dogwood Magnolia Sycamore Walnut Chestnut Hickory Spruce Pine Juniper
Canterbury Durham Norfolk Suffolk Essex Kent Devon Cornwall Dorset Somerset Rutland Derwent Severn Avon Thames
""".split(),
    """
Road Street Avenue Lane Close Drive Gardens Grove Place Crescent Way Court Terrace Hill Walk Square
""".split(),
)
_DE_STREETS: Final = (
    """
Haupt Schul Garten Bahnhof Dorf Berg Birken Linden Kirch Wald Ring Schiller Goethe Mozart Beethoven Amsel
Wiesen
Jahn Buchen Ahorn Eichen Finken Rosen Mühlen Feld Blumen Erlen Tannen Fichten Lerchen Meisen Drossel Post
Markt
Burg Schloss Kloster Brunnen Quellen Sonnen Stern Mond Nord Süd Ost West Hoch Nieder Uhland Lessing Heine Kant
Hegel Luther Bach Händel Brahms Wagner Dürer Holbein Röntgen Siemens Daimler Benz Otto Kepler Humboldt
Bismarck
Kaiser König Herzog Grafen Ritter Müller Schmiede Töpfer Gerber Weber Fischer Jäger Förster Winzer Reben
""".split(),
    "straße weg allee gasse platz ring steig ufer damm pfad hof winkel".split(),
)
_FR_STREETS: Final = (
    "rue avenue boulevard place allée impasse chemin quai".split(),
    """
de_la_République Victor_Hugo de_l'Église du_Moulin des_Écoles Jean_Jaurès Pasteur de_la_Gare du_Château
Gambetta de_la_Mairie des_Jardins de_Verdun Jean_Moulin du_Stade de_la_Fontaine Jules_Ferry des_Lilas Voltaire
des_Roses du_Lavoir Émile_Zola de_la_Paix de_la_Liberté Saint-Michel Saint-Martin Sainte-Anne Molière Racine
des_Tilleuls des_Acacias du_Commerce du_Port de_Paris de_Lyon Louis_Blanc Carnot Foch Leclerc Mirabeau
Lafayette
""".split(),
)
_POSTCODE_LETTERS: Final = "ABDEFGHJLNPQRSTUWXYZ"
_US_MOBILE_AREAS: Final = ("917", "310", "773", "832", "480", "267", "469", "425", "720", "857", "404", "305")
_GB_LARGE: Final = {"23": "80", "24": "76", "28": "90", "29": "20"}
_LOCAL: Final = {
    "München": ("Munich", "Muenchen"),
    "Köln": ("Cologne", "Koeln"),
    "Nürnberg": ("Nuremberg", "Nuernberg"),
    "Frankfurt am Main": ("Frankfurt", "Frankfurt/Main"),
    "Düsseldorf": ("Duesseldorf",),
    "Münster": ("Muenster",),
    "Newcastle upon Tyne": ("Newcastle",),
    "Saint Louis": ("St. Louis",),
}


def _read_cities(country: str, pool: str) -> tuple[City, ...]:
    cities = []
    for entry in pool.split():
        name, *rest = entry.replace("_", " ").split(":")
        region = rest.pop(0) if country == "US" else None
        cities.append(City(country, name, region, rest[0], rest[1], _LOCAL.get(name, ())))
    return spread(cities, zipf_weights(len(cities), offset=3, exponent=0.8))


_CITIES: Final = {
    "GB": _read_cities("GB", _GB),
    "US": _read_cities("US", _US),
    "DE": _read_cities("DE", _DE),
    "FR": _read_cities("FR", _FR),
}


def find_city(country: str, draw: int) -> City:
    """Return the city of that country that this draw falls on; large ones come often."""
    return _CITIES[country][draw]


def make_address(city: City, street_draw: int, house_draw: int, unit_draw: int) -> Address:
    """Return an address in the city; equal draws give equal addresses."""
    country = city.country
    house = house_draw % 180 + 1
    unit: str | None = None
    if country == "DE":
        heads, tails = _DE_STREETS
        street = heads[street_draw % len(heads)] + tails[street_draw // 128 % len(tails)]
        postcode = f"{city.postcode_area}{street_draw % 83 * 12 % 1000:03d}"
    elif country == "FR":
        kinds, names = _FR_STREETS
        street = (
            f"{kinds[street_draw // 128 % len(kinds)]} {names[street_draw % len(names)].replace('_', ' ')}"
        )
        postcode = f"{city.postcode_area}{street_draw % 20 + 1:02d}"
    else:
        heads, tails = _EN_STREETS
        street = f"{heads[street_draw % len(heads)]} {tails[street_draw // 128 % len(tails)]}"
        if country == "GB":
            letters = _POSTCODE_LETTERS
            block = street_draw // 3 + house // 20
            postcode = (
                f"{city.postcode_area}{street_draw % 19 + 1} {street_draw % 9 + 1}"
                f"{letters[block % 20]}{letters[block // 20 % 20]}"
            )
        else:
            house = house_draw % 9_800 + 100
            postcode = f"{city.postcode_area}{street_draw % 70:02d}"
        if unit_draw < 13_000:
            unit = f"{'Flat' if country == 'GB' else 'Apt'} {unit_draw % 40 + 1}"
    return Address(str(house), street, unit, city.name, city.region, postcode, country)


def mobile(country: str, high: int, low: int) -> tuple[str, str]:
    """Return the country code and the national number (without its leading zero) of a mobile telephone."""
    number = (high << 16 | low) % 100_000_000
    if country == "GB":
        return "44", f"7{('4', '5', '7', '8', '9')[high % 5]}{number:08d}"
    if country == "DE":
        return "49", f"1{('60', '70', '71', '72', '73', '75')[high % 6]}{number % 8_000_000 + 2_000_000:07d}"
    if country == "FR":
        return "33", f"6{number % 28_000_000 + 10_000_000:08d}"
    area = _US_MOBILE_AREAS[high % len(_US_MOBILE_AREAS)]
    return "1", f"{area}{number % 700 + 220:03d}{number // 700 % 10_000:04d}"


def landline(city: City, high: int, low: int) -> tuple[str, str]:
    """Return the country code and the national number of a telephone in the city."""
    number = high << 16 | low
    country, area = city.country, city.phone_area
    if country == "GB":
        if area == "20":
            return "44", f"20{number % 20_000_000 + 70_000_000}"
        if len(area) == 2:
            return "44", f"{area}{_GB_LARGE[area]}{number % 1_000_000:06d}"
        if len(area) == 3:
            return "44", f"{area}{number % 2_000_000 + 2_000_000:07d}"
        return "44", f"{area}{number % 700_000 + 200_000:06d}"
    if country == "DE":
        return "49", f"{area}{number % 7_000_000 + 2_000_000:07d}"
    if country == "FR":
        return "33", f"{area}{number % 60_000_000 + 30_000_000:08d}"
    return "1", f"{area}{number % 700 + 220:03d}{number // 700 % 10_000:04d}"

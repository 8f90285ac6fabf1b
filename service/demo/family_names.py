"""Family names of the made-up population, by origin, most frequent first.

Invariant: a pool is fixed: real common names first, then compounds of real name parts in a fixed order.
Elsewhere: given names (`service.demo.given_names`), how often each is drawn (`service.demo.draws`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAMILY_NAMES", "NATIVE_FAMILY"]

_ENGLISH: Final = """
Smith Jones Williams Taylor Brown Davies Evans Wilson Thomas Johnson Roberts Robinson Thompson Wright Walker
White Edwards Hughes Green Hall Lewis Harris Clarke Patel Jackson Wood Turner Martin Cooper Hill Ward Morris
Moore Clark Lee King Baker Harrison Morgan Allen James Scott Phillips Watson Davis Parker Price Bennett Young
Griffiths Mitchell Kelly Cook Carter Richardson Bailey Collins Bell Shaw Murphy Miller Cox Richards Khan
Marshall Anderson Simpson Ellis Adams Singh Begum Wilkinson Foster Chapman Powell Webb Rogers Gray Mason Ali
Hunt Hussain Campbell Matthews Owen Palmer Holmes Mills Barnes Knight Lloyd Butler Russell Barker Fisher
Stevens Jenkins Murray Dixon Harvey Graham Pearson Ahmed Fletcher Walsh Kaur Gibson Howard Andrews Stewart
Elliott Reynolds Saunders Payne Fox Ford Pearce Day Brooks West Lawrence Cole Atkinson Bradley Spencer Gill
Dawson Watts Burton OBrien Hart O'Connor Burke McDonald MacLeod O'Neill Fitzgerald Garcia Rodriguez Martinez
Hernandez Lopez Gonzalez Perez Sanchez Ramirez Torres Nguyen Rivera Flores Gomez Diaz Reyes Cruz Ortiz Kim
Ross Henderson Coleman Perry Long Patterson Hayes Myers Hamilton Sullivan Wallace Woods Cole Kennedy Ferguson
Sharma Rose Stone Poole Carr Newman Gardner Lowe Porter Bishop Hopkins Booth Dean Barrett Cunningham Frost
Whitehead Chambers Doyle Sutton Sharp Nicholson Marsh Lambert Bates Hewitt Hancock Crawford Nash Quinn Peck
"""
_ENGLISH_HEADS: Final = """
Ash Ald Apple Barn Beck Birch Black Brad Brook Buck Burn Camp Car Chad Clay Cold Copp Crans Cross Dal Dart
Den Dray Dun East El Fair Fal Farn Fen Gal Glen Graf Green Hal Harl Hart Hazel Hem Hol Horn Hux Kel Kings Kirk
Lang Lin Lock Long Mal Mar Mel Mid Mill Nor Oak Old Pem Pen Pres Rad Red Ren Rock Rush Sel Sher Stan Stock
Sud Swin Tal Thorn Trel Up Wal War Wes Whit Wil Win Wood Wyn York
"""
_ENGLISH_TAILS: Final = """
ton ford well ley wood field ham worth bury by stead more combe dale den don gate grave hurst land lock man
mere mond more ridge shaw son stone ster thorpe wick win yard
"""
_GERMAN: Final = """
Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein
Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Krause Meier
Lehmann Schmid Schulze Maier Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller
Weiß Jung Hahn Schubert Vogel Friedrich Keller Günther Frank Berger Winkler Roth Beck Lorenz Baumann Franke
Albrecht Schuster Simon Ludwig Böhm Winter Kraus Martin Schumacher Krämer Vogt Stein Jäger Otto Sommer Groß
Seidel Heinrich Brandt Haas Schreiber Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann Thomas
Voigt Sauer Arnold Wolff Pfeiffer Yilmaz Kaya Demir Çelik Şahin Öztürk Aydın Nowak Kowalski Wójcik Lewandowski
"""
_GERMAN_HEADS: Final = """
Acker Alt Amm Berg Birken Blumen Brei Buch Dorn Eich Eisen Eller Fels Finken Gold Grün Haber Hag Hain Heid
Hirsch Hohen Holz Kalten Kirch Kron Land Linden Loh Mühl Neu Nieder Ober Ochsen Rauch Reich Rosen Roß Sand
Schön Silber Sonnen Stein Stern Wald Wasser Wein Weiden Wiesen Wolken
"""
_GERMAN_TAILS: Final = """
bach bauer baum beck berg berger brand bruch burg dorf eck feld garten hagen haus heim hof hofer holz hauer
kamp lein mann meier müller rath reuter schmied stein thal wald wirth
"""
_FRENCH: Final = """
Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia
David Bertrand Roux Vincent Fournier Morel Girard André Lefèvre Mercier Dupont Lambert Bonnet François
Martinez
Legrand Garnier Faure Rousseau Blanc Guérin Muller Henry Roussel Nicolas Perrin Morin Mathieu Clément Gauthier
Dumont Lopez Fontaine Chevalier Robin Masson Sanchez Gérard Nguyen Boyer Denis Lemaire Duval Joly Gautier
Roger
Roche Roy Noël Meyer Lucas Meunier Jean Pérez Marchand Dufour Blanchard Marie Barbier Brun Dumas Brunet
Schmitt Leroux Colas Fernandez Picard Renaud Lacroix Benoît Carpentier Deschamps d'Alençon Delacroix Lévêque
"""
_FRENCH_HEADS: Final = (
    "Bon Beau Mont Clair Dela Champ Ville Font Grand Haut Mar Cour Val Ber Chau Gir Per Rou Sau Tru"
)
_FRENCH_TAILS: Final = (
    "bert champ court don fort gnon lain land let mont neau nier pierre rand reau rier soleil vais val vin"
)

_RUSSIAN: Final = """
Иванов=Ivanov/Ivanoff Смирнов=Smirnov/Smirnoff Кузнецов=Kuznetsov Попов=Popov Васильев=Vasiliev/Vasilyev
Петров=Petrov Соколов=Sokolov Михайлов=Mikhailov/Mikhaylov Новиков=Novikov Фёдоров=Fyodorov/Fedorov
Морозов=Morozov Волков=Volkov Алексеев=Alekseev/Alexeyev Лебедев=Lebedev Семёнов=Semyonov/Semenov
Егоров=Egorov
Павлов=Pavlov Козлов=Kozlov Степанов=Stepanov Николаев=Nikolaev/Nikolayev Орлов=Orlov Андреев=Andreev
Макаров=Makarov Никитин=Nikitin Захаров=Zakharov Зайцев=Zaitsev/Zaytsev Соловьёв=Solovyov/Soloviev
Борисов=Borisov Яковлев=Yakovlev Григорьев=Grigoriev Романов=Romanov Воробьёв=Vorobyov Сергеев=Sergeev
Кузьмин=Kuzmin Фролов=Frolov Александров=Aleksandrov Дмитриев=Dmitriev Королёв=Korolev Гусев=Gusev
Киселёв=Kiselev
Ильин=Ilyin/Ilin Максимов=Maximov Поляков=Polyakov Сорокин=Sorokin Виноградов=Vinogradov Ковалёв=Kovalev
Белов=Belov Медведев=Medvedev Антонов=Antonov Тарасов=Tarasov Жуков=Zhukov Баранов=Baranov Филиппов=Filippov
Щербаков=Shcherbakov Чернов=Chernov Цветков=Tsvetkov Хомяков=Khomyakov Юдин=Yudin Якушев=Yakushev
Шестаков=Shestakov
"""
_GREEK: Final = """
Παπαδόπουλος=Papadopoulos Παππάς=Pappas Καραγιάννης=Karagiannis Βλάχος=Vlachos/Vlahos Ιωαννίδης=Ioannidis
Οικονόμου=Oikonomou/Economou Παπαγεωργίου=Papageorgiou Μακρής=Makris Δημητρίου=Dimitriou Γεωργίου=Georgiou
Νικολάου=Nikolaou Χριστοδούλου=Christodoulou Αντωνίου=Antoniou Κωνσταντίνου=Konstantinou Αναγνώστου=Anagnostou
Αλεξίου=Alexiou Σταθόπουλος=Stathopoulos Θεοδωρίδης=Theodoridis Μιχαηλίδης=Michailidis Λάμπρου=Lambrou
Καλογερόπουλος=Kalogeropoulos Ζαχαρίου=Zachariou Ξενάκης=Xenakis Ψαράς=Psaras Φωτίου=Fotiou
Χατζής=Chatzis/Hatzis
"""
_CHINESE: Final = """
王=Wang 李=Li 张=Zhang 刘=Liu 陈=Chen 杨=Yang 黄=Huang 赵=Zhao 吴=Wu 周=Zhou 徐=Xu 孙=Sun 马=Ma 朱=Zhu
胡=Hu 郭=Guo
何=He 林=Lin 高=Gao 罗=Luo 郑=Zheng 梁=Liang 谢=Xie 宋=Song 唐=Tang 许=Xu 韩=Han 冯=Feng 邓=Deng 曹=Cao
彭=Peng 曾=Zeng
萧=Xiao 田=Tian 董=Dong 袁=Yuan 潘=Pan 蒋=Jiang 蔡=Cai 余=Yu 杜=Du 叶=Ye 程=Cheng 苏=Su 魏=Wei 吕=Lü
丁=Ding 任=Ren
沈=Shen 姚=Yao 卢=Lu 姜=Jiang 崔=Cui 钟=Zhong 谭=Tan 陆=Lu 汪=Wang 范=Fan 金=Jin 石=Shi 欧阳=Ouyang 司马=Sima
"""
_JAPANESE: Final = """
佐藤=Sato/Satou 鈴木=Suzuki 高橋=Takahashi 田中=Tanaka 伊藤=Ito/Itou 渡辺=Watanabe 山本=Yamamoto
中村=Nakamura 小林=Kobayashi
加藤=Kato 吉田=Yoshida 山田=Yamada 佐々木=Sasaki 山口=Yamaguchi 松本=Matsumoto 井上=Inoue 木村=Kimura
林=Hayashi 斎藤=Saito
清水=Shimizu 山崎=Yamazaki 森=Mori 池田=Ikeda 橋本=Hashimoto 阿部=Abe 石川=Ishikawa 山下=Yamashita
中島=Nakajima 石井=Ishii
小川=Ogawa 前田=Maeda 岡田=Okada 長谷川=Hasegawa 藤田=Fujita 後藤=Goto 近藤=Kondo 村上=Murakami 遠藤=Endo
青木=Aoki 坂本=Sakamoto
"""
_ARABIC: Final = """
الأحمد=Al-Ahmad الحسن=Al-Hassan حداد=Haddad خوري=Khoury/Khouri نجار=Najjar منصور=Mansour/Mansur
صالح=Saleh/Salih
عثمان=Othman/Osman رحمن=Rahman حسن=Hassan إبراهيم=Ibrahim الشريف=El-Sharif/Al-Sharif المصري=El-Masri/Al-Masri
درويش=Darwish سليمان=Suleiman/Sulaiman حمدان=Hamdan عباس=Abbas يوسف=Youssef/Yousef فارس=Fares/Faris
ناصر=Nasser/Nasir
قاسم=Qasim/Kassem زيدان=Zidan/Zaidan طه=Taha بكر=Bakr عمران=Imran خليل=Khalil جابر=Jaber/Gaber
شاهين=Shaheen رشيد=Rashid
"""

_RUSSIAN_HEADS: Final = """
Абрам=Abram Агаф=Agaf Аким=Akim Анис=Anis Астах=Astakh Афанас=Afanas Балаш=Balash Басман=Basman Беляк=Belyak
Бобр=Bobr Богдан=Bogdan Бород=Borod Булат=Bulat Вавил=Vavil Верх=Verkh Власт=Vlast Гаврил=Gavril
Герасим=Gerasim
Глад=Glad Глух=Glukh Горд=Gord Греч=Grech Давыд=Davyd Демид=Demid Добр=Dobr Долг=Dolg Дорон=Doron Ермак=Ermak
Жар=Zhar Завьял=Zavyal Зим=Zim Зот=Zot Игнат=Ignat Кабан=Kaban Калач=Kalach Карп=Karp Касат=Kasat Кирил=Kiril
Клим=Klim Кондрат=Kondrat Корнил=Kornil Крут=Krut Лапт=Lapt Лиман=Liman Лук=Luk Мартын=Martyn Мирон=Miron
Назар=Nazar Наум=Naum Озер=Ozer Остап=Ostap Панкрат=Pankrat Потап=Potap Прохор=Prokhor Радим=Radim Руд=Rud
Савел=Savel Самойл=Samoyl Свирид=Svirid Спирид=Spirid Стар=Star Тихон=Tikhon Трофим=Trofim Устин=Ustin Фом=Fom
Харитон=Khariton Чебот=Chebot Шолох=Sholokh Щегл=Shchegl Юрл=Yurl Яким=Yakim Ярош=Yarosh
"""
_RUSSIAN_TAILS: Final = "ов=ov/off енко=enko ский=sky/skiy ин=in кин=kin ович=ovich"
_GREEK_HEADS: Final = """
Αναστασ=Anastas Αποστολ=Apostol Αργυρ=Argyr Βασιλ=Vasil Γιανν=Giann Δημ=Dim Διαμαντ=Diamant Ζαφειρ=Zafeir
Θεοδ=Theod Καλαμ=Kalam Καραμ=Karam Κυριακ=Kyriak Κωστ=Kost Λαζ=Laz Μαρκ=Mark Μιχ=Mich Νικολ=Nikol
Πανταζ=Pantaz
Παρασκευ=Paraskev Πετρ=Petr Σαββ=Savv Σπυρ=Spyr Στεφαν=Stefan Σωτηρ=Sotir Τριαντ=Triant Φιλιππ=Filipp
Χρηστ=Christ
"""
_GREEK_TAILS: Final = "όπουλος=opoulos ίδης=idis άκης=akis άτος=atos άκος=akos έλης=elis"
_JAPANESE_HEADS: Final = """
大=O 小=Ko 中=Naka 高=Taka 松=Matsu 竹=Take 杉=Sugi 梅=Ume 桜=Sakura 青=Ao 黒=Kuro 白=Shira 赤=Aka
東=Higashi 西=Nishi 南=Minami
北=Kita 上=Ue 下=Shimo 内=Uchi 外=Soto 平=Hira 広=Hiro 長=Naga 丸=Maru 石=Ishi 岩=Iwa 金=Kane 菊=Kiku 福=Fuku
"""
_JAPANESE_TAILS: Final = """
田=da 山=yama 川=kawa 村=mura 木=gi 原=hara 野=no 沢=zawa 島=shima 井=i 谷=tani 崎=saki 塚=zuka 浦=ura
尾=o 瀬=se 森=mori 坂=saka
"""
_ARABIC_HEADS: Final = "ال=Al-/El- أبو=Abu- بن=Bin-/Ben- آل=Aal-"
_ARABIC_TAILS: Final = """
حربي=Harbi زهراني=Zahrani غامدي=Ghamdi قحطاني=Qahtani شمري=Shammari عنزي=Anzi دوسري=Dosari مطيري=Mutairi
عتيبي=Otaibi
بغدادي=Baghdadi تميمي=Tamimi جبوري=Jubouri دليمي=Dulaimi ربيعي=Rubaie سامرائي=Samarrai عبيدي=Obaidi كعبي=Kaabi
حلبي=Halabi شامي=Shami بيطار=Bitar صباغ=Sabbagh طويل=Tawil عطار=Attar غزالي=Ghazali فخري=Fakhri قاضي=Qadi
كردي=Kurdi
لبابيدي=Lababidi مغربي=Maghribi نابلسي=Nabulsi هاشمي=Hashimi وهبي=Wehbe ياسين=Yasin زين=Zein رفاعي=Rifai
"""


def _compounds(heads: str, tails: str) -> list[str]:
    # Strides that share no divisor with the pools mix heads and tails, so that neighbours in rank differ.
    head_list, tail_list = heads.split(), tails.split()
    total = len(head_list) * len(tail_list)
    order = sorted(range(total), key=lambda place: (place * 2_654_435_761) % 4_294_967_291)
    return [head_list[place // len(tail_list)] + tail_list[place % len(tail_list)] for place in order]


def _native_compounds(heads: str, tails: str) -> str:
    """Return entries like those of the pools, in the fixed order of `_compounds`."""
    entries = []
    for compound in _compounds(heads, "~".join(["", *tails.split()]).replace("~", " ~")):
        head, tail = compound.split("~")
        native, latin = head.split("=")
        ending, spellings = tail.split("=")
        romans = [
            (front + end).capitalize() if not front.endswith("-") else front + end
            for front, end in zip(
                latin.split("/") * 2,
                spellings.split("/") if "/" in spellings else [spellings] * 2,
                strict=False,
            )
        ]
        entries.append(f"{native}{ending}={'/'.join(dict.fromkeys(romans))}")
    return " ".join(entries)


def _native(pool: str) -> dict[str, tuple[str, ...]]:
    return {
        spellings.split("/")[0]: (native, *spellings.split("/"))
        for native, spellings in (entry.split("=") for entry in pool.split())
    }


_NATIVE_POOLS: Final = {
    "russian": _native(f"{_RUSSIAN} {_native_compounds(_RUSSIAN_HEADS, _RUSSIAN_TAILS)}"),
    "greek": _native(f"{_GREEK} {_native_compounds(_GREEK_HEADS, _GREEK_TAILS)}"),
    "chinese": _native(_CHINESE),
    "japanese": _native(f"{_JAPANESE} {_native_compounds(_JAPANESE_HEADS, _JAPANESE_TAILS)}"),
    "arabic": _native(f"{_ARABIC} {_native_compounds(_ARABIC_HEADS, _ARABIC_TAILS)}"),
}

FAMILY_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "english": tuple(dict.fromkeys([*_ENGLISH.split(), *_compounds(_ENGLISH_HEADS, _ENGLISH_TAILS)])),
    "german": tuple(dict.fromkeys([*_GERMAN.split(), *_compounds(_GERMAN_HEADS, _GERMAN_TAILS)])),
    "french": tuple(dict.fromkeys([*_FRENCH.split(), *_compounds(_FRENCH_HEADS, _FRENCH_TAILS)])),
    **{origin: tuple(pool) for origin, pool in _NATIVE_POOLS.items()},
}
"""Origin to family names in Latin script, most frequent first."""

NATIVE_FAMILY: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (origin, latin): spellings for origin, pool in _NATIVE_POOLS.items() for latin, spellings in pool.items()
}
"""(origin, Latin name) to its native form and its transliterations."""

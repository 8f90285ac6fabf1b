"""Given names of the made-up population, by origin and sex, most frequent first; nicknames; scripts.

Invariant: a pool is fixed: it does not grow with the number of records.
Elsewhere: family names (`service.demo.family_names`), how often each is drawn (`service.demo.draws`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["GIVEN_NAMES", "NATIVE_GIVEN", "NICKNAMES"]

_ENGLISH_F: Final = """
Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Margaret Nancy Lisa Betty Dorothy
Sandra Ashley Kimberly Donna Emily Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Laura Sharon
Cynthia
Kathleen Amy Angela Shirley Anna Brenda Pamela Emma Nicole Helen Samantha Katherine Christine Debra Rachel
Carolyn Janet Catherine Maria Heather Diane Ruth Julie Olivia Joyce Virginia Victoria Kelly Lauren Christina
Joan Evelyn Judith Megan Andrea Cheryl Hannah Jacqueline Martha Gloria Teresa Ann Sara Madison Frances Kathryn
Janice Jean Abigail Alice Julia Judy Sophia Grace Denise Amber Doris Marilyn Danielle Beverly Isabella Theresa
Diana Natalie Brittany Charlotte Marie Kayla Alexis Lori Chloe Poppy Isla Freya Imogen Fiona Gemma Hazel Ivy
Josephine Lucy Molly Niamh Phoebe Rosalind Sian Tamsin Una Winifred Zara Bronwen Edith Florence Harriet
Philippa Eleanor Beatrice Cordelia Davina Elspeth Felicity Georgina Henrietta Iona Jemima Keziah Lydia Maeve
"""
_ENGLISH_M: Final = """
James Robert John Michael David William Richard Joseph Thomas Charles Christopher Daniel Matthew Anthony Mark
Donald Steven Paul Andrew Joshua Kenneth Kevin Brian George Timothy Ronald Edward Jason Jeffrey Ryan Jacob
Gary Nicholas Eric Jonathan Stephen Larry Justin Scott Brandon Benjamin Samuel Gregory Alexander Frank Patrick
Raymond Jack Dennis Jerry Tyler Aaron Jose Adam Nathan Henry Douglas Zachary Peter Kyle Ethan Walter Noah
Jeremy Christian Keith Roger Terry Gerald Harold Sean Austin Carl Arthur Lawrence Dylan Jesse Jordan Bryan
Billy Joe Bruce Gabriel Logan Albert Willie Alan Juan Wayne Elijah Randy Roy Vincent Ralph Eugene Russell
Bobby Mason Philip Louis Oliver Harry Alfie Callum Declan Ewan Fergus Gareth Hamish Ian Kieran Liam Malcolm
Nigel Owen Percy Quentin Rhys Simon Trevor Vernon Wilfred Angus Barnaby Cedric Desmond Edmund Finlay Graham
Hugh Ivor Jasper Lachlan Miles Neville Oscar Rupert Stuart Theodore Alistair Bernard Clive Duncan Edwin Felix
"""
_GERMAN_F: Final = """
Anna Maria Ursula Monika Petra Elisabeth Sabine Renate Helga Karin Brigitte Ingrid Erika Andrea Gisela Claudia
Susanne Gabriele Christa Christine Hildegard Anja Barbara Sandra Nicole Stefanie Katharina Julia Martina Heike
Birgit Angelika Gertrud Silke Ute Katrin Tanja Ilse Jutta Marion Melanie Daniela Doris Eva Kerstin Nadine
Laura Lena Lea Johanna Franziska Sophie Charlotte Antje Bärbel Frauke Gudrun Heidrun Käthe Liesel Margarete
Mechthild Rosemarie Sigrid Sieglinde Waltraud Wiebke Grit Ines Jana Jasmin Ramona Simone Sonja Svenja Ulrike
"""
_GERMAN_M: Final = """
Peter Michael Thomas Andreas Wolfgang Klaus Jürgen Günter Stefan Christian Uwe Werner Hans Horst Frank Dieter
Manfred Markus Bernd Martin Daniel Jens Matthias Alexander Ralf Jörg Helmut Heinz Torsten Rainer Sebastian
Heinrich Jan Tobias Florian Oliver Karl Johannes Gerhard Friedrich Volker Walter Rolf Holger Sven Tim Lukas
Jonas Felix Maximilian Paul Philipp Dominik Kai Dirk Carsten Detlef Eberhard Erwin Götz Hartmut Ingo Joachim
Konrad Lothar Norbert Olaf Reinhard Rüdiger Siegfried Tilman Udo Ulrich Wilhelm Wolfram Anton Benedikt Emil
"""
_FRENCH_F: Final = """
Marie Nathalie Isabelle Sylvie Catherine Françoise Martine Christine Monique Valérie Sandrine Véronique
Stéphanie Céline Chantal Patricia Anne Brigitte Julie Aurélie Laurence Christiane Émilie Nicole Sophie Hélène
Élodie Camille Manon Léa Chloé Océane Margaux Juliette Mathilde Geneviève Thérèse Odile Solène Gaëlle Maëlle
"""
_FRENCH_M: Final = """
Jean Michel Philippe Pierre Alain Nicolas Christophe Patrick Laurent Bernard Frédéric Éric Stéphane Sébastien
David Julien Pascal Thierry Olivier Daniel Christian Thomas Gérard André René Guillaume François Jérôme Benoît
Mathieu Antoine Hugo Lucas Théo Clément Maxime Loïc Gaël Rémi Hervé Didier Yves Jacques Étienne Cédric Damien
"""

# Native form, then the transliterations met in registers, most usual first.
_RUSSIAN_F: Final = """
Анна=Anna Мария=Maria/Mariya Елена=Elena/Yelena Ольга=Olga Наталья=Natalia/Natalya Татьяна=Tatiana/Tatyana
Ирина=Irina Светлана=Svetlana Екатерина=Ekaterina/Yekaterina Юлия=Yulia/Julia Анастасия=Anastasia Дарья=Daria
Людмила=Lyudmila/Ludmila Галина=Galina Валентина=Valentina Вера=Vera Ксения=Ksenia/Xenia Полина=Polina
Надежда=Nadezhda Любовь=Lyubov София=Sofia/Sofiya Алиса=Alisa Виктория=Viktoria/Victoria Марина=Marina
"""
_RUSSIAN_M: Final = """
Александр=Aleksandr/Alexander Сергей=Sergei/Sergey Дмитрий=Dmitri/Dmitry Алексей=Aleksei/Alexey Андрей=Andrei
Михаил=Mikhail Иван=Ivan Владимир=Vladimir Николай=Nikolai/Nikolay Евгений=Evgeny/Yevgeny Максим=Maksim/Maxim
Юрий=Yuri/Yury Виктор=Viktor/Victor Павел=Pavel Константин=Konstantin Игорь=Igor Олег=Oleg Роман=Roman
Денис=Denis Артём=Artyom/Artem Никита=Nikita Илья=Ilya/Ilia Борис=Boris Фёдор=Fyodor/Fedor Григорий=Grigory
"""
_GREEK_F: Final = """
Μαρία=Maria Ελένη=Eleni/Helen Κατερίνα=Katerina Βασιλική=Vasiliki Σοφία=Sofia/Sophia Αγγελική=Angeliki
Γεωργία=Georgia Δήμητρα=Dimitra Κωνσταντίνα=Konstantina Αικατερίνη=Aikaterini Ευαγγελία=Evangelia
Ιωάννα=Ioanna
"""
_GREEK_M: Final = """
Γεώργιος=Georgios/George Κωνσταντίνος=Konstantinos/Constantinos Ιωάννης=Ioannis/Yiannis Δημήτριος=Dimitrios
Νικόλαος=Nikolaos/Nicholas Παναγιώτης=Panagiotis Βασίλειος=Vasileios/Vasilis Χρήστος=Christos
Αθανάσιος=Athanasios
Μιχαήλ=Michail/Michael Σπυρίδων=Spyridon Θεόδωρος=Theodoros/Theodore
"""
_CHINESE_F: Final = """
芳=Fang 娜=Na 敏=Min 静=Jing 丽=Li 秀英=Xiuying 燕=Yan 桂英=Guiying 婷婷=Tingting 雪=Xue 梅=Mei 玉兰=Yulan
红=Hong 霞=Xia 佳怡=Jiayi 欣怡=Xinyi 子涵=Zihan 雨桐=Yutong 思雨=Siyu 晓燕=Xiaoyan 海燕=Haiyan 秀兰=Xiulan
"""
_CHINESE_M: Final = """
伟=Wei 强=Qiang 磊=Lei 军=Jun 洋=Yang 勇=Yong 杰=Jie 涛=Tao 明=Ming 超=Chao 建国=Jianguo 志强=Zhiqiang
浩然=Haoran
宇轩=Yuxuan 文博=Wenbo 建华=Jianhua 国强=Guoqiang 小明=Xiaoming 俊杰=Junjie 子轩=Zixuan 海涛=Haitao
志明=Zhiming
"""
# Chinese family names are few and given names many: most are put together from two characters.
_CHINESE_HEADS: Final = """
家=Jia 晓=Xiao 志=Zhi 文=Wen 雅=Ya 思=Si 子=Zi 佳=Jia 建=Jian 国=Guo 海=Hai 春=Chun 明=Ming 永=Yong
天=Tian 玉=Yu 美=Mei 金=Jin
立=Li 书=Shu 新=Xin 德=De 光=Guang 宏=Hong 世=Shi 嘉=Jia 云=Yun 少=Shao 瑞=Rui 伟=Wei 景=Jing 慧=Hui 月=Yue
"""
_CHINESE_TAILS_F: Final = """
芳=fang 娜=na 静=jing 丽=li 燕=yan 婷=ting 雪=xue 梅=mei 兰=lan 霞=xia 怡=yi 涵=han 雯=wen 莹=ying 琳=lin
萍=ping 珍=zhen 琴=qin 凤=feng
"""
_CHINESE_TAILS_M: Final = """
强=qiang 磊=lei 军=jun 勇=yong 杰=jie 涛=tao 超=chao 华=hua 平=ping 刚=gang 辉=hui 鹏=peng 飞=fei 斌=bin
龙=long 峰=feng 东=dong 生=sheng
"""
_JAPANESE_F: Final = """
花子=Hanako 陽子=Yoko 恵子=Keiko 幸子=Sachiko 和子=Kazuko 久美子=Kumiko 由美子=Yumiko 直美=Naomi 裕子=Yuko
美咲=Misaki
さくら=Sakura 葵=Aoi 結衣=Yui 愛=Ai 優子=Yuko 千尋=Chihiro 真由美=Mayumi 智子=Tomoko 明美=Akemi 京子=Kyoko
"""
_JAPANESE_M: Final = """
太郎=Taro 健一=Kenichi 浩=Hiroshi 誠=Makoto 隆=Takashi 大輔=Daisuke 翔太=Shota 健太=Kenta 拓也=Takuya
直樹=Naoki 学=Manabu
一郎=Ichiro 蓮=Ren 陽翔=Haruto 哲也=Tetsuya 和也=Kazuya 秀樹=Hideki 明=Akira 修=Osamu 達也=Tatsuya
"""
_ARABIC_F: Final = """
فاطمة=Fatima/Fatma عائشة=Aisha/Aicha مريم=Maryam/Mariam زينب=Zainab/Zeinab خديجة=Khadija نور=Nour/Noor
ليلى=Layla/Leila سارة=Sara/Sarah هدى=Huda/Hoda سلمى=Salma أمينة=Amina ياسمين=Yasmin/Yasmine رانيا=Rania
سعاد=Suad/Souad حنان=Hanan إيمان=Iman/Eman
"""
_ARABIC_M: Final = """
محمد=Mohammed/Muhammad أحمد=Ahmed/Ahmad علي=Ali حسن=Hassan/Hasan حسين=Hussein/Husain عمر=Omar/Umar
خالد=Khalid/Khaled يوسف=Yusuf/Youssef إبراهيم=Ibrahim محمود=Mahmoud/Mahmud مصطفى=Mustafa/Moustafa
كريم=Karim/Kareem سامي=Sami طارق=Tariq/Tarek عبدالله=Abdullah/Abdallah سعيد=Said/Saeed
"""


def _paired(heads: str, tails: str) -> str:
    """Return entries of two characters, tails changing slowest so that neighbours in rank differ."""
    return " ".join(
        f"{first[0]}{second[0]}={first[1]}{second[1]}"
        for second in (entry.split("=") for entry in tails.split())
        for first in (entry.split("=") for entry in heads.split())
    )


def _native(pool: str) -> dict[str, tuple[str, ...]]:
    return {
        spellings.split("/")[0]: (native, *spellings.split("/"))
        for native, spellings in (entry.split("=") for entry in pool.split())
    }


_NATIVE_POOLS: Final = {
    ("russian", "f"): _native(_RUSSIAN_F),
    ("russian", "m"): _native(_RUSSIAN_M),
    ("greek", "f"): _native(_GREEK_F),
    ("greek", "m"): _native(_GREEK_M),
    ("chinese", "f"): _native(f"{_CHINESE_F} {_paired(_CHINESE_HEADS, _CHINESE_TAILS_F)}"),
    ("chinese", "m"): _native(f"{_CHINESE_M} {_paired(_CHINESE_HEADS, _CHINESE_TAILS_M)}"),
    ("japanese", "f"): _native(_JAPANESE_F),
    ("japanese", "m"): _native(_JAPANESE_M),
    ("arabic", "f"): _native(_ARABIC_F),
    ("arabic", "m"): _native(_ARABIC_M),
}

GIVEN_NAMES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("english", "f"): tuple(dict.fromkeys(_ENGLISH_F.split())),
    ("english", "m"): tuple(dict.fromkeys(_ENGLISH_M.split())),
    ("german", "f"): tuple(_GERMAN_F.split()),
    ("german", "m"): tuple(_GERMAN_M.split()),
    ("french", "f"): tuple(_FRENCH_F.split()),
    ("french", "m"): tuple(_FRENCH_M.split()),
    **{origin: tuple(pool) for origin, pool in _NATIVE_POOLS.items()},
}
"""(origin, sex) to given names in Latin script, most frequent first."""

NATIVE_GIVEN: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (origin, latin): spellings
    for (origin, _), pool in _NATIVE_POOLS.items()
    for latin, spellings in pool.items()
}
"""(origin, Latin name) to its native form and its transliterations."""

_NICKNAMES: Final = """
William=Bill/Will/Billy Robert=Bob/Rob/Bobby Richard=Dick/Rick/Rich James=Jim/Jimmy/Jamie John=Jack/Johnny
Michael=Mike/Mick Thomas=Tom/Tommy Charles=Charlie/Chuck Christopher=Chris Daniel=Dan/Danny Matthew=Matt
Anthony=Tony Steven=Steve Stephen=Steve Andrew=Andy/Drew Joshua=Josh Kenneth=Ken/Kenny Timothy=Tim
Edward=Ed/Ted/Eddie Jeffrey=Jeff Nicholas=Nick Jonathan=Jon Benjamin=Ben Samuel=Sam Gregory=Greg
Alexander=Alex/Sandy Patrick=Pat/Paddy Raymond=Ray Peter=Pete Lawrence=Larry Philip=Phil Joseph=Joe David=Dave
Donald=Don Ronald=Ron Douglas=Doug Albert=Al/Bert Arthur=Art Frederick=Fred Gerald=Gerry Theodore=Ted
Elizabeth=Liz/Beth/Betty Margaret=Maggie/Peggy/Meg Katherine=Kate/Kathy Catherine=Cathy/Kate Kathryn=Kate
Patricia=Pat/Trish Jennifer=Jen/Jenny Barbara=Barb Susan=Sue/Susie Jessica=Jess Deborah=Debbie/Deb
Rebecca=Becky/Becca Kimberly=Kim Christine=Chris/Tina Christina=Tina/Chrissy Victoria=Vicky/Tori
Samantha=Sam Stephanie=Steph Pamela=Pam Abigail=Abby Dorothy=Dot/Dottie Eleanor=Nell/Ellie Josephine=Jo
Theresa=Terri Teresa=Terri Sandra=Sandy Amanda=Mandy Cynthia=Cindy Virginia=Ginny Judith=Judy Frances=Fran
Katharina=Kathi/Käthe Johannes=Hannes Wolfgang=Wolf Friedrich=Fritz Heinrich=Heiner Josef=Sepp Wilhelm=Willi
Maximilian=Max Elisabeth=Lisa/Sissi Margarete=Grete Sebastian=Basti Stefanie=Steffi Gabriele=Gabi Ulrike=Uli
"""
NICKNAMES: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(short.split("/")) for name, short in (entry.split("=") for entry in _NICKNAMES.split())
}
"""Given name to the short forms its bearer may give instead."""

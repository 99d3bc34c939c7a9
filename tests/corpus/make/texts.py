"""The texts of the corpus, written for it."""

from __future__ import annotations

from tests.corpus.make.blocks import Block, Box, Break, Changed, Commented, Heading, Item, Noted, Table, Text

HANDBOOK: tuple[Block, ...] = (
    Heading("Travel handbook"),
    Text("This handbook tells staff how to book journeys, what the company pays, and whom to ask."),
    Heading("Before the journey", 2),
    Text("Ask your manager for approval before you book anything. The form is on the intranet."),
    Item("Write down the purpose of the journey.", "1."),
    Item("Compare at least two offers.", "2."),
    Item("Trains come before aeroplanes.", "a)", 2),
    Item("Night trains count as hotels.", "b)", 2),
    Item("Send the cheaper offer to accounting.", "3."),
    Noted("The daily allowance is 42 euros", "for journeys within the country.", "Raised from 38 euros in April 2023."),
    Commented("Meals at conferences are paid by the organiser.", "Check with Berta whether this is still true."),
    Changed("Receipts must be handed in within", "thirty", "fourteen", "days after the return."),
    Box("Emergency number: extension 4711"),
    Heading("What the company pays", 2),
    Table(
        (
            ("Kind", "Limit", "Approved by"),
            ("Hotel", "120 euros a night", "Manager"),
            ("Rental car", "65 euros a day\nfuel not included", "Head of department"),
            ("Taxi", "", "Manager"),
            ("Everything else needs a written request", "", "Board"),
        ),
        merged=True,
    ),
    Text("Limits are per person. They do not apply to journeys that customers pay for."),
    Break(),
    Text("Second page: questions go to the travel desk on the third floor."),
    Heading("After the journey", 2),
    Item("Keep boarding passes until the refund has arrived."),
    Item("Refunds arrive with the next salary."),
    Text("Unused tickets go back to the travel desk, which collects them for the auditors."),
)

CONTRACT: tuple[Block, ...] = (
    Heading("Gegenstand des Vertrags", 1, "1"),
    Text("Der Auftragnehmer wartet die Heizungsanlage im Gebäude Lindenstraße 12 für die Dauer von zwei Jahren."),
    Heading("Umfang der Leistungen", 2, "1.1"),
    Text("Zu den Leistungen gehören die jährliche Prüfung, das Nachfüllen von Wasser und der Wechsel der Filter."),
    Heading("Ausnahmen", 2, "1.2"),
    Text("Schäden durch Frost, Überspannung oder höhere Gewalt werden gesondert berechnet."),
    Heading("Vergütung", 1, "2"),
    Text("Die Vergütung beträgt 1800 Euro im Jahr zuzüglich der gesetzlichen Umsatzsteuer."),
    Table(
        (
            ("Leistung", "Häufigkeit", "Preis in Euro"),
            ("Prüfung der Anlage", "jährlich", "640"),
            ("Wechsel der Filter", "vierteljährlich", "85"),
            ("Bereitschaft außerhalb der Geschäftszeiten", "monatlich", "68"),
        )
    ),
    Heading("Kündigung", 1, "3"),
    Noted(
        "Die Kündigung ist mit einer Frist von drei Monaten", "zum Jahresende möglich.", "Sie bedarf der Schriftform."
    ),
)

ARTICLE: tuple[Block, ...] = (
    Heading("Rainwater in the old town"),
    Text(
        "The municipality has measured precipitation since 1912. Characteristically, intensive thunderstorms in summer "
        "overwhelm the underground infrastructure, while comparatively long droughts endanger the chestnut trees along "
        "the embankment. Engineers therefore recommend disconnecting residential buildings from the sewerage network."
    ),
    Heading("Measurements", 2),
    Text(
        "Seventeen automatic instruments transmit their observations every quarter of an hour. Unfortunately, "
        "approximately one instrument in five was misconfigured during the preceding administration, and "
        "representative conclusions became impossible. Recalibration was completed in September; since then the "
        "uncertainty has remained below three percent, notwithstanding considerable interference from construction."
    ),
    Heading("Recommendations", 2),
    Text(
        "Permeable pavements, green roofs and underground cisterns complement each other. Subsidies should preferably "
        "be distributed according to the disconnected surface, independently of the particular technology. "
        "Neighbourhood organisations have demonstrated remarkable enthusiasm: within eighteen months they transformed "
        "forty-two courtyards. Nevertheless, maintenance responsibilities remain insufficiently documented."
    ),
)

# Two paragraphs for each language, with its letters.
LANGUAGES: dict[str, tuple[str, str]] = {
    "en": (
        "The café on the corner opens at seven. Zoë’s résumé mentions “naïve” art – and a fee of £30 per hour.",
        "Nobody knows why the lighthouse was closed; the keeper left no note.",
    ),
    "de": (
        "Die Bücherei schließt während der Sommerferien früher. Für größere Gruppen führt Frau Jäger durch das Gebäude.",
        "Jeder Bürger darf höchstens fünf Bücher ausleihen; die Gebühr für verspätete Rückgabe beträgt zwei Euro.",
    ),
    "fr": (
        "L’été dernier, les élèves ont reçu un sœur-jumelage avec l’école de Nîmes, où la fête a duré jusqu’à l’aube.",
        "À partir de septembre, le déjeuner coûtera quatre euros ; les garçons de l’équipe préfèrent le goûter.",
    ),
    "cs": (
        "Příliš žluťoučký kůň úpěl ďábelské ódy. Knihovna je otevřena každý všední den kromě středy.",
        "Čtenáři si mohou vypůjčit nejvýše pět knih a časopisů, poplatek za zpoždění činí dvacet korun.",
    ),
    "pl": (
        "Zażółć gęślą jaźń. Biblioteka jest otwarta w dni powszednie, oprócz środy, od ósmej do szesnastej.",
        "Każdy czytelnik może wypożyczyć najwyżej pięć książek; opłata za zwłokę wynosi dziesięć złotych.",
    ),
    "tr": (
        "Kütüphane hafta içi her gün açıktır. Şişli ilçesinde yağmurlu günlerde çocuklar için öğle yemeği dağıtılır.",
        "Her üye en çok beş kitap ödünç alabilir; gecikme ücreti on liradır ve İstanbul dışındakiler için değişir.",
    ),
    "el": (
        "Η βιβλιοθήκη είναι ανοιχτή κάθε εργάσιμη ημέρα. Οι αναγνώστες μπορούν να δανειστούν έως πέντε βιβλία.",
        "Το τέλος για καθυστερημένη επιστροφή είναι δύο ευρώ, ενώ τα παιδιά δεν πληρώνουν τίποτα.",
    ),
    "ru": (
        "Библиотека открыта каждый будний день, кроме среды. Читатель может взять не более пяти книг.",
        "Плата за просроченный возврат составляет двадцать рублей; дети ничего не платят.",
    ),
    "uk": (
        "Бібліотека відчинена щодня, крім середи. Її читачі можуть узяти щонайбільше п’ять книжок.",
        "Плата за прострочене повернення становить двадцять гривень; діти не платять нічого.",
    ),
    "ar": (
        "المكتبة مفتوحة كل يوم ما عدا يوم الجمعة. يمكن لكل قارئ استعارة خمسة كتب على الأكثر.",
        "رسوم التأخير عشرون درهما، والأطفال لا يدفعون شيئا.",
    ),
    "he": (
        "הספרייה פתוחה בכל יום חול מלבד יום רביעי. כל קורא רשאי לשאול עד חמישה ספרים.",
        "הקנס על איחור הוא עשרים שקלים, וילדים אינם משלמים דבר.",
    ),
    "hi": (
        "पुस्तकालय बुधवार को छोड़कर हर दिन खुला रहता है। हर पाठक पाँच किताबें ले जा सकता है।",
        "देर से लौटाने पर बीस रुपये लगते हैं और बच्चों से कुछ नहीं लिया जाता।",
    ),
    "th": (
        "ห้องสมุดเปิดทุกวันยกเว้นวันพุธ ผู้อ่านแต่ละคนยืมหนังสือได้ไม่เกินห้าเล่ม",
        "ค่าปรับสำหรับการคืนช้าคือยี่สิบบาท ส่วนเด็กไม่ต้องจ่ายอะไรเลย",
    ),
    "zh": (
        "图书馆除星期三外每天开放。每位读者最多可以借五本书，借期为四个星期。",
        "逾期归还须缴纳二十元，儿童不收费。有问题请到三楼服务台询问。",
    ),
    "zh-Hant": (
        "圖書館除星期三外每天開放。每位讀者最多可以借五本書，借期為四個星期。",
        "逾期歸還須繳納二十元，兒童不收費。有問題請到三樓服務臺詢問。",
    ),
    "ja": (
        "図書館は水曜日を除いて毎日開いています。ひとり五冊まで、四週間借りることができます。",
        "返却が遅れると二百円かかりますが、子どもは無料です。カウンターは三階にあります。",
    ),
    "ko": (
        "도서관은 수요일을 제외하고 매일 문을 엽니다. 한 사람이 다섯 권까지 빌릴 수 있습니다.",
        "반납이 늦으면 이천 원을 내야 하지만 어린이는 무료입니다. 안내대는 삼층에 있습니다.",
    ),
    "vi": (
        "Thư viện mở cửa hằng ngày trừ thứ tư. Mỗi độc giả được mượn tối đa năm quyển sách trong bốn tuần.",
        "Phí trả sách muộn là hai mươi nghìn đồng; trẻ em không phải trả gì.",
    ),
    "lt": (
        "Biblioteka dirba kiekvieną darbo dieną, išskyrus trečiadienį. Žmonės gali pasiskolinti penkias knygas.",
        "Už vėlavimą mokami du eurai, o vaikams šis mokestis netaikomas.",
    ),
    "hu": (
        "A könyvtár szerda kivételével minden hétköznap nyitva van. Egyszerre öt könyvet lehet kölcsönözni.",
        "A késedelmi díj kétszáz forint; a gyerekeknek nem kell fizetniük, a felnőttektől kérünk türelmet és időt.",
    ),
}

"""Guesses of legacy charsets, for texts of one sentence."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.charset_guess import guess_charset

SENTENCES = {
    "Zwrot pieniędzy trwa dziesięć dni. Żółta łódź płynie.": ["cp1250", "iso8859-2"],
    "Žádost o vrácení peněz trvá deset dní, děkujeme.": ["cp1250", "iso8859-2", "cp852"],
    "Kérjük, küldje vissza az aláírt szerződést a hónap végéig.": ["cp1250", "iso8859-2"],
    "Lütfen imzalı sözleşmeyi ay sonuna kadar gönderiniz.": ["cp1254", "iso8859-9"],
    "İstanbul şubesi": ["cp1254"],
    "Ödeme şekli: peşin": ["cp1254", "iso8859-9"],
    "Alþingi samþykkti.": ["cp1252"],
    "Þingið kom saman í dag.": ["cp1252"],
    "La reunión será mañana a las diez en el salón pequeño.": ["cp1252", "cp850"],
    "Prašome atsiųsti pasirašytą sutartį iki mėnesio pabaigos.": ["cp1257"],
    "Die Rückzahlung der Gebühr dauert zehn Tage.": ["cp1252", "iso8859-1", "iso8859-15"],
    "La città è più bella perché c’è il sole.": ["cp1252"],
    "Où est la clé ?": ["cp1252"],
    "Café and naïve résumé.": ["cp1252"],
    "Возврат денег занимает десять дней.": ["cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic", "cp855"],
    "Повернення коштів триває десять днів.": ["cp1251", "koi8-u"],
    "Шановні колеги, засідання відбудеться у четвер.": ["cp1125"],
    "請求書 発行日 2024/05/01 ｶ)ﾔﾏﾀﾞｼｮｳｼﾞ 様 振込先 ﾐﾂｲｽﾐﾄﾓ銀行": ["cp932"],
    "Η επιστροφή χρημάτων διαρκεί δέκα ημέρες.": ["cp1253", "iso8859-7"],
    "ההחזר הכספי אורך עשרה ימים.": ["cp1255", "iso8859-8"],
    "يستغرق رد المبلغ عشرة أيام.": ["cp1256", "iso8859-6"],
    "การคืนเงินใช้เวลาสิบวัน": ["cp874"],
    "返金には十日かかります。": ["cp932", "euc_jp"],
    "①番の書類を㈱東京商事へ送付してください。": ["cp932"],
    "退款需要十天。": ["gb18030", "big5"],
    "환불에는 열흘이 걸립니다.": ["cp949", "euc_kr"],
}


@pytest.mark.parametrize(
    ("text", "codec"), [(text, codec) for text, codecs in SENTENCES.items() for codec in codecs], ids=str
)
def test_a_sentence_is_enough(text: str, codec: str) -> None:
    sample = text.encode(codec)
    assert sample.decode(guess_charset(sample)) == text


@pytest.mark.parametrize("text", ["The fee is 5 €.", "Price: £5 ± 3 %, 20 °C", "He said “yes” – it’s fine.", "5 £"])
def test_signs_alone_are_western(text: str) -> None:
    assert guess_charset(text.encode("cp1252")) == "cp1252"


def test_bytes_of_no_language_are_western() -> None:
    assert guess_charset(bytes(range(256)))
    assert guess_charset(b"\xff") == "cp1252"

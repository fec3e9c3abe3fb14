"""Text in encodings from before Unicode that does not say which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadInput
from headrace.knowledge.formats import charsets
from headrace.knowledge.formats.charsets import plausible, unstated
from headrace.knowledge.formats.text import decode
from headrace.knowledge.parse import parse

NAMES = "名前,年齢,住所\r\n佐藤太郎,30,東京\r\n三木英子,25,大阪\r\n髙橋淳,35,名古屋\r\n"
TEXTS = {
    "ja": "お客様の注文は昨日出荷されました。到着は三日後の予定です。ご不明な点はサポートまでお問い合わせください。",
    "zh": "您的订单已于昨天发货，预计三天后送达。如有任何疑问，请联系客服。",
    "tw": "您的訂單已於昨天出貨，預計三天後送達。如有任何疑問，請聯絡客服。",
    "ko": "고객님의 주문이 어제 발송되었습니다. 도착 예정일은 사흘 뒤입니다. 문의는 고객센터로 연락해 주세요.",
    "ru": "Ваш заказ был отправлен вчера. Доставка ожидается через три дня. По всем вопросам обращайтесь в поддержку.",
    "uk": "Ваше замовлення надіслано вчора. Доставка очікується за три дні. Запитання надсилайте до служби підтримки.",
    "el": "Η παραγγελία σας στάλθηκε χθες. Η παράδοση αναμένεται σε τρεις ημέρες. Για ερωτήσεις καλέστε μας.",
    "he": "ההזמנה שלך נשלחה אתמול. המשלוח צפוי להגיע בעוד שלושה ימים. לשאלות פנו לשירות הלקוחות.",
    "ar": "تم إرسال طلبك أمس. من المتوقع أن يصل خلال ثلاثة أيام. للاستفسارات يرجى الاتصال بخدمة العملاء.",
    "th": "คำสั่งซื้อของคุณถูกส่งเมื่อวานนี้ คาดว่าจะถึงภายในสามวัน หากมีคำถามโปรดติดต่อฝ่ายบริการลูกค้า",
    "pl": "Zażółć gęślą jaźń. Proszę o przesłanie faktury na adres spółki. Dziękujemy za zamówienie.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Prosím o zaslání faktury na naši adresu.",
    "hu": "Árvíztűrő tükörfúrógép. Kérjük, küldje el a számlát az alábbi címre, köszönjük szépen.",
    "tr": "Lütfen faturayı aşağıdaki adrese gönderin. Teşekkürler, İstanbul şubesi müşteri hizmetleri.",
    "lv": "Jūsu pasūtījums vakar tika nosūtīts. Piegāde gaidāma pēc trim dienām. Jautājumu gadījumā zvaniet mums.",
    "de": "Größe, Öl und Ärger: über die Lieferung der schönen grünen Türen müssen wir für Köln täglich prüfen.",
}
WRITTEN = [
    *[("ja", c) for c in ("cp932", "euc_jp")],
    ("zh", "gb18030"), ("tw", "big5"), ("ko", "cp949"),
    *[("ru", c) for c in ("cp1251", "koi8_r", "iso8859_5", "cp866")],
    *[("uk", c) for c in ("cp1251", "koi8_u")],
    *[("el", c) for c in ("cp1253", "iso8859_7")],
    ("he", "cp1255"), ("ar", "cp1256"), ("th", "cp874"),
    *[(language, c) for language in ("pl", "cs", "hu") for c in ("cp1250", "cp852")],
    ("pl", "iso8859_2"), ("tr", "cp1254"), ("lv", "cp1257"),
    *[("de", c) for c in ("cp850", "mac_roman")],
]  # fmt: skip


@pytest.mark.parametrize(("language", "charset"), WRITTEN)
def test_text_of_an_old_encoding_is_read_where_only_one_can_be_meant(language: str, charset: str) -> None:
    text = TEXTS[language]

    assert decode("a.txt", text.encode(charset)) == text
    assert decode("a.csv", f"id;note\r\n1;{text}\r\n".encode(charset)) == f"id;note\r\n1;{text}\r\n"


def test_a_table_of_old_excel_in_japan_is_a_table() -> None:
    parsed = parse("names.csv", NAMES.encode("cp932"))

    assert "| 髙橋淳 | 35 | 名古屋 |" in parsed.text
    assert parsed.media == "text/csv"


@pytest.mark.parametrize("charset", ["iso2022_jp", "iso2022_jp_ext"])
def test_japanese_mail_of_seven_bits_is_no_ascii(charset: str) -> None:
    assert decode("a.txt", TEXTS["ja"].encode(charset)) == TEXTS["ja"]


def test_what_a_terminal_wrote_stays_as_it_is() -> None:
    assert decode("a.log", b"\x1b$B is a key, \x1b[31mred\x1b[0m") == "\x1b$B is a key, \x1b[31mred\x1b[0m"


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("cp932", "注文書"),
        ("cp1251", "Цена"),
        ("cp1250", "Schimbare parolă"),
        ("cp1257", "Slēpt skaitu"),
        ("cp850", "Sy\u00f6t\u00e4 kokonainen arvo, ole hyv\u00e4"),
        ("mac_roman", "Haga clic en la administración"),
        ("cp1250", "id;miasto\r\n1;Łódź\r\n2;Gdańsk\r\n"),
    ],
)
def test_what_is_too_little_to_be_told_is_refused(charset: str, text: str) -> None:
    with pytest.raises(BadInput, match="UTF-8"):
        decode("a.txt", text.encode(charset))


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\x0d\x1a" + bytes(range(128, 256)) * 3,
        ("a" * 40 + "\n").encode() + bytes(range(0x80, 0x100)),
        ("Ваш заказ " * 20).encode("cp1251") + ("Ваш заказ " * 20).encode("koi8_r"),
        TEXTS["ja"].encode("cp932") + b"\x01" + TEXTS["ja"].encode("cp932"),
    ],
)
def test_what_is_no_text_of_one_encoding_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        decode("a.txt", content)


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_damaged_utf_8_is_not_read_as_something_else(language: str) -> None:
    content = TEXTS[language].encode()
    broken = content.find(max(content))  # in the middle of a character
    for damaged in (content[: broken + 1], content[:broken] + b"\xe9" + content[broken:], content + b"Gr\xfc\xdfe"):
        assert unstated(damaged) is None


def test_what_comes_late_is_judged_and_all_of_it_is_read() -> None:
    plain = "All of this is plain.\n" * 20_000
    content = plain.encode() + (TEXTS["ja"] + "\n").encode("cp932") * 3_000

    assert decode("a.txt", content) == plain + (TEXTS["ja"] + "\n") * 3_000


@pytest.mark.parametrize(("language", "charset"), [("ru", "cp1251"), ("ja", "cp932"), ("zh", "gb18030")])
@pytest.mark.parametrize("before", range(4))
def test_one_long_line_is_judged_by_its_beginning(language: str, charset: str, before: int) -> None:
    text = "a" * before + TEXTS[language] * 4_000

    assert len(content := text.encode(charset)) > 3 * charsets.SAMPLE
    assert decode("a.txt", content) == text


def test_a_wrong_byte_behind_what_is_judged_is_told() -> None:
    content = (TEXTS["ja"] * 3_000).encode("cp932") + b"\xff\xff"

    with pytest.raises(BadInput, match="UTF-8"):
        decode("a.txt", content)


def test_what_is_said_goes_before_what_it_looks_like() -> None:
    text = TEXTS["ru"]

    assert parse("a.html", f'<meta charset="koi8-r"><p>{text}</p>'.encode("koi8_r")).text == text
    assert decode("a.txt", text.encode("cp1251"), "koi8-r") != text
    with pytest.raises(BadInput, match="said to be shift_jis"):
        decode("a.txt", b"\x81\x20", "shift_jis")


@pytest.mark.parametrize(
    ("charset", "written", "text"),
    [
        ("gb2312", "gbk", "朱镕基与喆"),
        ("shift_jis", "cp932", "①髙橋～"),
        ("windows-31j", "cp932", "①"),
        ("iso-8859-1", "cp1252", "“é” – €"),
        ("x-mac-cyrillic", "mac_cyrillic", "Я"),
        ("iso-8859-1", "latin-1", "caf\u00e9\u0081"),
        ("us-ascii", "cp1251", TEXTS["ru"]),
        ("unknown-8bit", "koi8_r", TEXTS["ru"]),
        ("us-ascii", "cp1252", "é"),
    ],
)
def test_what_is_said_is_taken_as_it_is_meant(charset: str, written: str, text: str) -> None:
    assert decode("a.txt", text.encode(written), charset) == text


def test_what_says_ascii_and_is_none_is_judged() -> None:
    page = f'<html><meta charset="us-ascii"><p>{TEXTS["ru"]}</p>'

    assert parse("a.html", page.encode("cp1251")).text == TEXTS["ru"]


@pytest.mark.parametrize(
    "text", [*TEXTS.values(), NAMES, "l’été à Genève – «où?» 12 €", "日本語とEnglishが混ざる", "ﾔﾏﾀﾞ太郎"]
)
def test_what_people_write_is_plausible(text: str) -> None:
    assert plausible(text)


@pytest.mark.parametrize(
    "text",
    [
        "пРИВЕТ вСЕМ",  # capitals the wrong way round
        "Приvet мир",
        "Straﬂe gr¸n ¸ber",
        "L”senord f”r",
        "ДоставкаБот\x98ожидается",
        "日本ひらがな한국어",
        "\ue000 text",
    ],
)
def test_what_nobody_writes_is_not_plausible(text: str) -> None:
    assert not plausible(text)


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    found = unstated(content)

    assert found is None or found == content.decode("cp1252", "replace") or plausible(found)


@given(st.sampled_from(sorted(TEXTS)), st.integers(0, 60), st.integers(1, 60))
def test_a_part_of_a_text_is_that_part_or_refused(language: str, start: int, length: int) -> None:
    charset = next((c for known, c in WRITTEN if known == language))
    part = TEXTS[language][start : start + length]

    assert unstated(part.encode(charset)) in (None, part)

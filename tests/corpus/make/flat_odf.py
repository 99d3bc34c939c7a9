"""Write blocks as a flat OpenDocument text, which LibreOffice then saves in each of its formats."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.corpus.make.blocks import Block, Box, Break, Changed, Commented, Heading, Item, Noted, Table, Text

_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{urn}:1.0"'
    for name, urn in {
        "office": "office",
        "text": "text",
        "table": "table",
        "style": "style",
        "draw": "drawing",
        "svg": "svg-compatible",
        "fo": "xsl-fo-compatible",
        "meta": "meta",
    }.items()
)
_WHEN = "2024-03-05T09:30:00"
_TAB = (
    '<style:list-level-properties text:list-level-position-and-space-mode="label-alignment">'
    '<style:list-level-label-alignment text:label-followed-by="listtab" text:list-tab-stop-position="{0}cm" '
    'fo:text-indent="-0.9cm" fo:margin-left="{0}cm"/></style:list-level-properties>'
)


def flat_odf(
    blocks: Sequence[Block],
    title: str,
    *,
    header: str = "",
    footer: str = "",
    columns: int = 1,
    language: tuple[str, str] = ("en", "GB"),
    direction: str = "lr-tb",
    font: str = "Liberation Serif",
    hyphenate: bool = False,
    numbered: bool = False,
    height: str = "29.7cm",
) -> str:
    """Return the document as XML; ``footer`` is followed by the page's number."""
    styles = _styles(header, footer, columns, language, direction, font, hyphenate, numbered, height)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {_NAMESPACES} '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" office:version="1.2" '
        'office:mimetype="application/vnd.oasis.opendocument.text">'
        f"<office:meta><dc:title>{escape(title)}</dc:title></office:meta>{styles}"
        f"<office:body><office:text>{_tracked(blocks)}{_body(blocks)}</office:text></office:body></office:document>"
    )


def _styles(
    header: str,
    footer: str,
    columns: int,
    language: tuple[str, str],
    direction: str,
    font: str,
    hyphenate: bool,
    numbered: bool,
    height: str,
) -> str:
    text = (
        f'style:font-name="{font}" style:font-name-asian="{font}" style:font-name-complex="{font}" fo:font-size="11pt" '
        f'fo:language="{language[0]}" fo:country="{language[1]}" fo:hyphenate="{str(hyphenate).lower()}" '
        'fo:hyphenation-remain-char-count="2" fo:hyphenation-push-char-count="2"'
    )
    paragraph = f'fo:text-align="{"justify" if columns > 1 else "start"}" style:writing-mode="{direction}" '
    levels = "".join(
        f'<text:outline-level-style text:level="{level}" text:style-name="" style:num-format="1" '
        f'text:display-levels="{level}">{_TAB.format(1.2)}</text:outline-level-style>'
        for level in (1, 2, 3)
    )
    page = f'<style:columns fo:column-count="{columns}" fo:column-gap="0.8cm"/>' if columns > 1 else ""
    number = "<text:page-number>1</text:page-number>"
    return f"""
<office:font-face-decls><style:font-face style:name="{font}" svg:font-family="'{font}'"/></office:font-face-decls>
<office:styles>
<style:default-style style:family="paragraph"><style:paragraph-properties {paragraph}/><style:text-properties {text}/>
</style:default-style>
<style:style style:name="Heading_20_1" style:display-name="Heading 1" style:family="paragraph"
 style:default-outline-level="1"><style:text-properties fo:font-size="18pt" fo:font-weight="bold"/></style:style>
<style:style style:name="Heading_20_2" style:display-name="Heading 2" style:family="paragraph"
 style:default-outline-level="2"><style:text-properties fo:font-size="14pt" fo:font-weight="bold"/></style:style>
{f"<text:outline-style style:name='Outline'>{levels}</text:outline-style>" if numbered else ""}
<text:list-style style:name="Numbers">
<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix=".">{_TAB.format(1)}
</text:list-level-style-number>
<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")">{_TAB.format(2)}
</text:list-level-style-number>
</text:list-style>
<text:list-style style:name="Bullets"><text:list-level-style-bullet text:level="1" text:bullet-char="•">{_TAB.format(1)}
</text:list-level-style-bullet>
</text:list-style>
</office:styles>
<office:automatic-styles>
<style:style style:name="Break" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style>
<style:style style:name="Cell" style:family="table-cell">
<style:table-cell-properties fo:border="0.5pt solid #000000"/></style:style>
<style:style style:name="Box" style:family="graphic"><style:graphic-properties style:wrap="right"
 style:horizontal-pos="right" fo:border="0.5pt solid #000000" fo:padding="0.1cm"/></style:style>
<style:page-layout style:name="Page"><style:page-layout-properties fo:page-width="21cm" fo:page-height="{height}"
 fo:margin="2cm">{page}</style:page-layout-properties></style:page-layout>
</office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="Page">
{f"<style:header><text:p>{escape(header)}</text:p></style:header>" if header else ""}
{f"<style:footer><text:p>{escape(footer)} {number}</text:p></style:footer>" if footer else ""}
</style:master-page></office:master-styles>"""


def _tracked(blocks: Sequence[Block]) -> str:
    info = f"<office:change-info><dc:creator>Ann</dc:creator><dc:date>{_WHEN}</dc:date></office:change-info>"
    regions = "".join(
        f'<text:changed-region text:id="d{n}"><text:deletion>{info}<text:p>{escape(block.deleted)}</text:p>'
        f'</text:deletion></text:changed-region><text:changed-region text:id="i{n}"><text:insertion>{info}'
        "</text:insertion></text:changed-region>"
        for n, block in enumerate(blocks)
        if isinstance(block, Changed)
    )
    return f'<text:tracked-changes text:track-changes="false">{regions}</text:tracked-changes>' if regions else ""


def _body(blocks: Sequence[Block]) -> str:
    pieces: list[str] = []
    for number, block in enumerate(blocks):
        previous = blocks[number - 1] if number else None
        after = blocks[number + 1] if number + 1 < len(blocks) else None
        pieces.append(_block(number, block, previous, after))
    return "\n".join(pieces)


def _block(number: int, block: Block, previous: Block | None, after: Block | None) -> str:
    match block:
        case Heading(text, level):
            return f'<text:h text:style-name="Heading_20_{level}" text:outline-level="{level}">{escape(text)}</text:h>'
        case Text(text):
            style = ' text:style-name="Break"' if isinstance(previous, Break) else ""
            return f"<text:p{style}>{escape(text)}</text:p>"
        case Item():
            return _item(block, previous, after)
        case Table(rows, merged):
            return _table(number, rows, merged)
        case Noted(before, rest, note):
            note = (
                f'<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>'
                f"<text:note-body><text:p>{escape(note)}</text:p></text:note-body></text:note>"
            )
            return f"<text:p>{escape(before)}{note} {escape(rest)}</text:p>"
        case Changed(before, _, inserted, rest):
            new = f'<text:change-start text:change-id="i{number}"/>{escape(inserted)}<text:change-end '
            return (
                f'<text:p>{escape(before)} <text:change text:change-id="d{number}"/>{new}'
                f'text:change-id="i{number}"/> {escape(rest)}</text:p>'
            )
        case Commented(text, comment):
            note = f"<dc:creator>Ann</dc:creator><dc:date>{_WHEN}</dc:date><text:p>{escape(comment)}</text:p>"
            return f"<text:p><office:annotation>{note}</office:annotation>{escape(text)}</text:p>"
        case Box(text):
            frame = (
                f'<draw:frame draw:style-name="Box" text:anchor-type="paragraph" svg:width="5cm" draw:name="Box{number}">'
                f'<draw:text-box fo:min-height="1cm"><text:p>{escape(text)}</text:p></draw:text-box></draw:frame>'
            )
            return f"<text:p>{frame}</text:p>"
        case Break():
            return ""


def _item(item: Item, previous: Block | None, after: Block | None) -> str:
    """Return the item; neighbours share a list, so that their numbers go on."""
    style = "Numbers" if item.number else "Bullets"
    opening = "" if isinstance(previous, Item) else f'<text:list text:style-name="{style}">'
    closing = "" if isinstance(after, Item) else "</text:list>"
    content = f"<text:p>{escape(item.text)}</text:p>"
    for _ in range(item.level - 1):
        content = f"<text:list><text:list-item>{content}</text:list-item></text:list>"
    return f"{opening}<text:list-item>{content}</text:list-item>{closing}"


def _table(number: int, rows: tuple[tuple[str, ...], ...], merged: bool) -> str:
    width = len(rows[0])
    lines = []
    for index, row in enumerate(rows):
        spans = merged and index == len(rows) - 1
        cells = []
        for column, cell in enumerate(row):
            if spans and 0 < column < width - 1:
                cells.append("<table:covered-table-cell/>")
                continue
            span = f' table:number-columns-spanned="{width - 1}"' if spans and column == 0 else ""
            paragraphs = "".join(f"<text:p>{escape(line)}</text:p>" for line in cell.split("\n"))
            cells.append(f'<table:table-cell table:style-name="Cell"{span}>{paragraphs}</table:table-cell>')
        lines.append(f"<table:table-row>{''.join(cells)}</table:table-row>")
    columns = f'<table:table-column table:number-columns-repeated="{width}"/>'
    head = f"<table:table-header-rows>{lines[0]}</table:table-header-rows>"
    return f'<table:table table:name="Table{number}">{columns}{head}{"".join(lines[1:])}</table:table>'

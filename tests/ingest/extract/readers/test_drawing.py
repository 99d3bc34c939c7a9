"""Charts and SmartArt."""

from __future__ import annotations

from rag_pipeline.ingest.extract.messages import Warned, WorkerMessage
from rag_pipeline.ingest.extract.opc import Relationship
from rag_pipeline.ingest.extract.readers.drawing import drawing_ids, drawing_lines
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.zip_archive import ZipArchive
from tests.ingest.extract.makers import input_file, make_zip


def lines(kind: str, xml: str, *, with_values: bool = True) -> list[str]:
    archive = ZipArchive(input_file(make_zip({"part.xml": xml})))
    writer = SectionWriter(lambda _: None, text_bytes=1_000_000)
    return drawing_lines(archive, Relationship(kind, "part.xml"), writer, with_values=with_values)


def points(*values: str) -> str:
    return "".join(f'<pt idx="{at}"><v>{value}</v></pt>' for at, value in enumerate(values))


def series(name: str, *values: str) -> str:
    return (
        f"<ser><tx><strRef><strCache>{points(name)}</strCache></strRef></tx><cat><strRef><strCache>"
        f"{points('North', 'South')}</strCache></strRef></cat><val><numRef><numCache><formatCode>0.0%</formatCode>"
        f"{points(*values)}</numCache></numRef></val></ser>"
    )


CHART = (
    "<chartSpace><chart><title><tx><rich><p><r><t>Share</t></r></p><p><r><t>by region</t></r></p></rich></tx></title>"
    f"<plotArea><barChart>{series('2023', '0.5', '0.25')}{series('2024', '0.125')}</barChart><valAx><title><tx><rich>"
    "<p><r><t>Percent</t></r></p></rich></tx></title></valAx></plotArea></chart></chartSpace>"
)


def test_each_category_of_a_chart_is_a_line_with_its_values() -> None:
    assert lines("chart", CHART) == [
        "Share by region",
        "Percent",
        "North | 2023: 50.0% | 2024: 12.5%",
        "South | 2023: 25.0%",
    ]


def test_a_chart_beside_its_sheet_gives_titles_and_names() -> None:
    assert lines("chart", CHART, with_values=False) == ["Share by region", "Percent", "2023 | 2024"]


def test_levels_of_categories_are_joined() -> None:
    xml = (
        "<c><ser><cat><multiLvlStrRef><multiLvlStrCache><lvl><pt idx='0'><v>Q1</v></pt></lvl><lvl><pt idx='0'>"
        "<v>2024</v></pt></lvl></multiLvlStrCache></multiLvlStrRef></cat><val><numCache>"
        f"{points('5')}</numCache></val></ser></c>"
    )
    assert lines("chart", xml) == ["2024 Q1 | 5"]


def test_a_chart_of_excel_2016() -> None:
    xml = (
        "<chartSpace><chartData><data id='0'><strDim><lvl><pt idx='0'>Rent</pt></lvl></strDim><numDim><lvl "
        "formatCode='0.00'><pt idx='0'>7</pt></lvl></numDim></data></chartData><chart><title><tx><rich><p><r><t>Costs"
        "</t></r></p></rich></tx></title><plotArea><series><tx><txData><v>2024</v></txData></tx></series></plotArea>"
        "</chart></chartSpace>"
    )
    assert lines("chartEx", xml) == ["Costs", "Rent | 2024: 7.00"]


def test_smartart_is_read_in_the_order_of_its_tree() -> None:
    def point(identifier: str, text: str) -> str:
        return f'<pt modelId="{identifier}"><t><p><r><t>{text}</t></r></p></t></pt>'

    def line(source: str, target: str, order: int, kind: str = "parOf") -> str:
        return f'<cxn type="{kind}" srcId="{source}" destId="{target}" srcOrd="{order}"/>'

    xml = (
        f'<dataModel><ptLst>{point("c", "Check")}{point("p", "Plan")}{point("d", "Do")}<pt modelId="root"/>'
        f"{point('x', 'Alone')}</ptLst><cxnLst>{line('root', 'c', 2)}{line('root', 'p', 0)}{line('root', 'd', 1)}"
        f"{line('d', 'root', 0, 'presOf')}</cxnLst></dataModel>"
    )
    assert lines("diagramData", xml) == ["Plan", "Do", "Check", "Alone"]


def test_a_tree_that_is_a_circle_ends() -> None:
    xml = (
        '<d><pt modelId="a"><t><p><r><t>A</t></r></p></t></pt><cxn srcId="r" destId="a"/><cxn srcId="a" destId="a"/>'
        '<cxn srcId="a" destId="r"/></d>'
    )
    assert lines("diagramData", xml) == ["A"]


def test_a_damaged_chart_is_a_warning() -> None:
    sent: list[WorkerMessage] = []
    archive = ZipArchive(input_file(make_zip({"part.xml": "<chart>"})))
    writer = SectionWriter(sent.append, text_bytes=1_000_000)
    assert drawing_lines(archive, Relationship("chart", "part.xml"), writer) == []
    assert [message.type for message in sent if isinstance(message, Warned)] == ["damaged_part"]
    assert drawing_lines(archive, None, writer) == []
    assert drawing_lines(archive, Relationship("image", "part.xml"), writer) == []


def test_references_are_found() -> None:
    assert drawing_ids("chart", {"urn:r id": "r1"}) == "r1"
    assert drawing_ids("relIds", {"urn:r dm": "r2"}) == "r2"
    assert drawing_ids("blip", {"urn:r embed": "r3"}) is None

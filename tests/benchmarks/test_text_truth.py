from __future__ import annotations

from pathlib import Path

from benchmarks.lib.text_truth import parse_truth, read_folder


def test_lines_with_a_key_are_told_from_text() -> None:
    truth = parse_truth(
        "# made by hand\nheading: Fees\nNote: pay\nfact: a  b\nnot: x\nplace: page 2 | pay here\nwarning: w"
    )
    assert truth.ordered == ["Fees", "Note", "pay"]
    assert truth.headings == ["Fees"]
    assert (truth.facts, truth.absent, truth.places, truth.warnings) == (
        ["a b"],
        ["x"],
        [("page 2", "pay here")],
        ["w"],
    )


def test_empty_cells_are_left_out() -> None:
    assert parse_truth("row: a |  | b c").rows == [[["a"], ["b", "c"]]]


def test_a_folder_gives_the_files_that_have_a_truth(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("deep/a.txt", "deep/a.txt.truth.txt", "b.txt", "gone.txt.truth.txt"):
        (tmp_path / name).write_text("one")
    assert [path.name for path in read_folder(tmp_path)] == ["a.txt"]

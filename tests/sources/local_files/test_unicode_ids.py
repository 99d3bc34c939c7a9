from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.local_files.unicode_ids import UnicodeIds, normalize_id
from rag_pipeline.status.control import Action
from tests.sources.local_files.running import Run, running
from tests.sources.memory_stages import MemoryStore
from tests.support.unicode_forms import FORMS, Form

pytestmark = pytest.mark.slow

NFC, NFD = (normalize(form, "Büro/Mönch.txt") for form in FORMS)


def rename_all(folder: Path, form: Form) -> None:
    """Rename every file and folder to another Unicode normal form, as a remounted share may do."""
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(normalize(form, path.name)))


def uris(run: Run) -> list[str]:
    return [file.uri for file in run.store.files("scope").values()]


@pytest.mark.parametrize(("before", "after"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_change_of_normal_form_causes_no_deletion_and_no_embedding(tmp_path: Path, before: Form, after: Form) -> None:
    with running(tmp_path) as run:
        path = run.write(normalize(before, NFC), "one")
        run.wait_idle(processed=1)
        rename_all(run.folder, after)
        run.wait(lambda: uris(run) != [path.as_uri()])
        run.wait(lambda: run.state()["status"] == "idle")
        assert (run.ended("deleted"), run.test.embedder.embedded, run.state()["total_deleted"]) == ([], 1, 0)
        assert list(run.rows()) == list(run.store.texts()) == [normalize(before, NFC)]
        assert uris(run) == [(run.folder / normalize(after, NFC)).as_uri()]


def test_a_change_of_normal_form_between_runs_causes_no_deletion(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write(NFC, "one")
        run.write("plain.txt", "two")
        run.thread.start()
        run.wait_over()
    rename_all(run.folder, "NFD")
    with running(tmp_path, store, single=True) as again:
        assert (again.ended("deleted"), again.test.embedder.embedded, again.test.extractor.read) == ([], 0, [])
        assert sorted(again.store.texts()) == sorted([NFC, "plain.txt"])


def test_two_files_whose_names_differ_by_normal_form_are_both_kept(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write(NFD, "decomposed")
        run.wait_idle(processed=1)
        run.write(NFC, "composed")
        run.wait_idle(processed=2)
        assert run.store.texts() == {NFD: ["decomposed"], NFC: ["composed"]}
        (run.folder / NFD).unlink()
        run.wait(lambda: run.state()["total_deleted"] == 1)
        assert run.store.texts() == {NFC: ["composed"]}


def test_requests_may_name_a_file_in_either_normal_form(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write(NFD, "corrupt")
        run.wait(lambda: run.state()["total_failed"] == 1)
        run.test.extractor.read.clear()
        assert run.status.control is not None
        run.status.control.ask(Action.RETRY, NFC)
        run.wait(lambda: len(run.test.extractor.read) == 1)


@given(st.lists(st.sampled_from(["é", "e\u0301", "é/ü", "é/u\u0308", "e\u0301/ü", "a"]), unique=True), st.data())
def test_assigned_ids_are_unique_and_ids_in_use_stay(found: list[str], data: st.DataObject) -> None:
    known = data.draw(st.lists(st.sampled_from(["é", "e\u0301", "é/ü", "e\u0301/u\u0308", "x"]), unique=True))
    forms = UnicodeIds()
    forms.learn(known)
    changed = forms.assign(found)
    given_ids = [changed.get(key, key) for key in found]
    assert len(set(given_ids)) == len(found)
    assert [normalize_id(key) for key in given_ids] == [normalize_id(key) for key in found]
    assert all(key not in changed for key in found if key in known)
    assert set(changed.values()) <= set(known)

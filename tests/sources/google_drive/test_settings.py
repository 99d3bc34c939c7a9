from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings, read_folder_id

FOLDER = "1aBcD-efGh_IjKlMnOpQrStUvWxYz012345"


@pytest.mark.parametrize(
    "text",
    [
        FOLDER,
        f"  {FOLDER}\n",
        f"https://drive.google.com/drive/folders/{FOLDER}",
        f"https://drive.google.com/drive/folders/{FOLDER}?usp=sharing",
        f"https://drive.google.com/drive/u/1/folders/{FOLDER}/",
        f"drive.google.com/drive/folders/{FOLDER}",
        f"https://drive.google.com/open?id={FOLDER}&usp=drive_copy",
    ],
)
def test_a_folder_is_given_by_id_or_url(text: str) -> None:
    assert read_folder_id("--folder-id", text) == FOLDER


@pytest.mark.parametrize("text", ["root", "https://drive.google.com/drive/u/0/my-drive"])
def test_my_drive_is_root(text: str) -> None:
    assert read_folder_id("--folder-id", text) == "root"
    assert GoogleDriveSettings(read_folder_id("--folder-id", text), Path("x")).location == "My Drive"


@pytest.mark.parametrize(
    "text",
    [
        "https://drive.google.com/",
        "https://drive.google.com/drive/folders/",
        "https://drive.google.com/drive/folders/a b",
        f"https://example.com/drive/folders/{FOLDER}",
        "https://[",
        "my folder",
        "../etc",
        "x" * 201,
    ],
)
def test_an_invalid_folder_is_a_one_line_error_that_names_the_setting(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_folder_id("RAG_WATCH_FOLDER_ID", text)
    assert str(caught.value).startswith(f"RAG_WATCH_FOLDER_ID={text!r}: expected the id of a folder in Google Drive")


@given(st.text(max_size=60))
def test_any_text_is_an_id_or_that_error(text: str) -> None:
    for given_text in (text, f"https://drive.google.com/drive/folders/{text}", f"https://{text}"):
        try:
            found = read_folder_id("--folder-id", given_text)
        except ConfigurationError:
            continue
        assert found.replace("-", "x").replace("_", "x").isalnum()
        assert found.isascii()


def test_arguments_take_precedence_over_the_environment(tmp_path: Path) -> None:
    env = {
        "RAG_WATCH_FOLDER_ID": "theirs",
        "RUN_MODE": "continuous",
        "RAG_CHECK_INTERVAL": "30",
        "RAG_WORKERS": "7",
        "STATUS_STATE_DIR": "/elsewhere",
        "RAG_DELETE_MAX_FILES": "5",
        "RAG_DELETE_MAX_PERCENT": "50",
    }
    read = GoogleDriveSettings.from_env(env)
    brake = BrakeSettings(5, 50)
    assert read == GoogleDriveSettings("theirs", Path("/elsewhere"), RunMode.CONTINUOUS, 30.0, 7, brake=brake)
    assert GoogleDriveSettings.from_env(env, confirm_deletions=True).brake.confirm_first
    ours = GoogleDriveSettings.from_env(env, folder_id="ours", single=True, state_dir=tmp_path)
    assert (ours.folder_id, ours.mode, ours.state_dir) == ("ours", RunMode.SINGLE, tmp_path)
    assert ours.state_dir_key == "--state-dir"


def test_the_default_interval_is_one_minute() -> None:
    read = GoogleDriveSettings.from_env({"RAG_WATCH_FOLDER_ID": FOLDER})
    assert (read.check_interval_seconds, read.mode, read.workers) == (60.0, RunMode.CONTINUOUS, 4)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "no folder to watch: give --folder-id, or set RAG_WATCH_FOLDER_ID"),
        ({"RAG_WATCH_FOLDER_ID": FOLDER, "RAG_WORKERS": "0"}, "RAG_WORKERS='0'"),
        ({"RAG_WATCH_FOLDER_ID": FOLDER, "RAG_CHECK_INTERVAL": "soon"}, "RAG_CHECK_INTERVAL='soon'"),
        ({"RAG_WATCH_FOLDER_ID": FOLDER, "RUN_MODE": "twice"}, "RUN_MODE='twice'"),
        (
            {"RAG_WATCH_FOLDER_ID": FOLDER, "GOOGLE_DRIVE_API_URL": "http://x.test"},
            "GOOGLE_DRIVE_API_URL='http://x.test'",
        ),
        *(
            ({"RAG_WATCH_FOLDER_ID": FOLDER, "GOOGLE_DRIVE_API_URL": url}, f"GOOGLE_DRIVE_API_URL='{url}'")
            for url in ("https://a/b", "http://127.0.0.1:1?x=1", "http://127.0.0.1:1/?", "https://a#b", "https://a/#")
        ),
    ],
)
def test_an_invalid_setting_is_named(env: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        GoogleDriveSettings.from_env(env)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9", "https://drive.example"]
)
def test_another_api_url_is_https_or_on_this_machine(url: str) -> None:
    read = GoogleDriveSettings.from_env({"RAG_WATCH_FOLDER_ID": FOLDER, "GOOGLE_DRIVE_API_URL": url})
    assert read.api_url == url.rstrip("/")

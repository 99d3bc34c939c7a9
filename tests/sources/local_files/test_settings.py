from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.local_files.settings import LocalFilesSettings


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = LocalFilesSettings.from_env({}, folder=str(tmp_path))
    assert settings == LocalFilesSettings(str(tmp_path.resolve()), Path(".rag_pipeline"))
    assert (settings.mode, settings.check_interval_seconds) == (RunMode.CONTINUOUS, 10.0)


def test_arguments_override_the_environment(tmp_path: Path) -> None:
    env = {
        "RAG_WATCH_DIRECTORY": str(tmp_path),
        "RUN_MODE": "single",
        "STATUS_STATE_DIR": "/s",
        "RAG_CHECK_INTERVAL": "0.5",
        "RAG_SETTLE_SECONDS": "0",
        "RAG_WORKERS": "3",
        "RAG_DELETE_MAX_FILES": "5",
        "RAG_DELETE_MAX_PERCENT": "50",
        "RAG_FOLLOW_OUTSIDE_LINKS": "1",
    }
    settings = LocalFilesSettings.from_env(env)
    assert settings == LocalFilesSettings(
        str(tmp_path.resolve()),
        Path("/s"),
        RunMode.SINGLE,
        0.5,
        0.0,
        3,
        brake=BrakeSettings(5, 50),
        follow_outside_links=True,
    )
    assert LocalFilesSettings.from_env(env, confirm_deletions=True).brake.confirm_first
    other = tmp_path / "other"
    other.mkdir()
    assert LocalFilesSettings.from_env(env, folder=str(other), state_dir=Path("/t")).folder == str(other.resolve())


def test_a_link_to_the_folder_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert LocalFilesSettings.from_env({}, folder=str(tmp_path / "link")).folder == str((tmp_path / "real").resolve())


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "no folder to watch"),
        (
            {"RAG_WATCH_DIRECTORY": "/no/such"},
            "RAG_WATCH_DIRECTORY='/no/such': expected a folder that can be listed (No such file or directory)",
        ),
        ({"RAG_WATCH_DIRECTORY": __file__}, f"{__file__!r}: expected a folder that can be listed (Not a directory)"),
        ({"RAG_WATCH_DIRECTORY": "/", "STATUS_STATE_DIR": "/"}, "STATUS_STATE_DIR='/': expected another folder"),
        ({"RAG_WATCH_DIRECTORY": "/", "RUN_MODE": "twice"}, "RUN_MODE='twice'"),
        ({"RAG_WATCH_DIRECTORY": "/", "RAG_CHECK_INTERVAL": "soon"}, "RAG_CHECK_INTERVAL='soon'"),
        ({"RAG_WATCH_DIRECTORY": "/", "RAG_WORKERS": "0"}, "RAG_WORKERS='0'"),
    ],
)
def test_an_invalid_value_is_one_line_that_names_it(env: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LocalFilesSettings.from_env(env)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_invalid_argument_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^DIR='/no/such': expected a folder that can be listed"):
        LocalFilesSettings.from_env({"RAG_WATCH_DIRECTORY": "/"}, folder="/no/such")
    with pytest.raises(ConfigurationError, match=r"^--state-dir='.*': expected another folder"):
        LocalFilesSettings.from_env({"STATUS_STATE_DIR": "/s"}, folder=str(tmp_path), state_dir=tmp_path)
    assert LocalFilesSettings.from_env({}, folder=str(tmp_path), state_dir=Path("/t")).state_dir_key == "--state-dir"

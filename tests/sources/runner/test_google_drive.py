"""The table of a folder in Google Drive: what is built from it, and where its credentials come from."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from rag_pipeline.sources.google_drive.errors import CredentialsError
from rag_pipeline.sources.runner.command import Surroundings
from tests.sources.run.files import problem, read

DRIVE = '[[pipeline]]\nkind = "google_drive"\nid = "drive"\n'
ADDRESS = "https://drive.google.com/drive/u/0/folders/1AbC_-x?usp=sharing"


def test_a_folder_is_named_by_its_id_or_its_address(tmp_path: Path) -> None:
    for given in ("1AbC_-x", ADDRESS):
        (entry,) = read(tmp_path, f'{DRIVE}folder_id = "{given}"\nworkers = 2\n').pipelines
        assert (entry.kind, entry.place, entry.place_key) == ("google_drive", "1AbC_-x", "folder_id")
        assert (entry.task.scope, entry.task.workers, entry.task.title) == ("drive", 2, "Google Drive folder 1AbC_-x")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "folder_id is missing: expected the id of a folder in Google Drive"),
        ('folder_id = "a b"', "folder_id='a b': expected the id of a folder in Google Drive"),
        ('folder_id = "x"\nfolder = "y"', "unknown key 'folder': expected check_interval, credentials_env"),
        ('folder_id = "x"\nworkers = 99', "workers=99: expected a whole number from 1 to 64"),
        ('folder_id = "x"\ncredentials_env = "NOWHERE"', "credentials_env: the variable NOWHERE is not set"),
        (
            """folder_id = "x"\ncredentials_env = '{"private_key": "hunter2"}'""",
            "credentials_env: expected the name of an environment variable that holds the JSON key of",
        ),
        (
            """folder_id = "x"\ncredentials_file = '{"private_key": "hunter2"}'""",
            "credentials_file: expected the path of the JSON key of a service account, not what is in it",
        ),
        (
            f'folder_id = "x"\ncredentials_file = "{"hunter2" * 100}"',
            "credentials_file: expected the path of the JSON key of a service account, not what is in it",
        ),
        ('folder_id = "x"\ncredentials_file = "a"\ncredentials_env = "B"', "credentials_file and credentials_env are"),
    ],
)
def test_what_can_not_be_used_is_told(tmp_path: Path, table: str, said: str) -> None:
    told = problem(tmp_path, f"{DRIVE}{table}\n")
    assert told.startswith(f"[[pipeline]] 1 (drive): {said}")
    assert "hunter2" not in told


def test_two_may_not_follow_one_folder_however_it_is_named(tmp_path: Path) -> None:
    other = DRIVE.replace('"drive"\n', '"other"\n')
    said = problem(tmp_path, f'{DRIVE}folder_id = "1AbC_-x"\n{other}folder_id = "{ADDRESS}"\n')
    assert said.startswith("[[pipeline]] 2 (other): folder_id=")
    assert said.endswith("expected another one than [[pipeline]] 1 (drive) follows")


def test_credentials_that_are_missing_are_found_when_it_is_checked_and_no_mistake_of_the_file(tmp_path: Path) -> None:
    (entry,) = read(tmp_path, f'{DRIVE}folder_id = "root"\n').pipelines
    with pytest.raises(CredentialsError, match="no credentials for Google Drive"):
        entry.verify()


def test_each_pipeline_can_have_credentials_of_its_own(tmp_path: Path) -> None:
    env = {"GOOGLE_DRIVE_OAUTH_CLIENT": "/elsewhere.json", "SALES_KEY": '{"type": "other"}'}
    (by_variable,) = read(tmp_path, f'{DRIVE}folder_id = "root"\ncredentials_env = "SALES_KEY"\n', env).pipelines
    (by_file,) = read(tmp_path, f'{DRIVE}folder_id = "root"\ncredentials_file = "sales.json"\n', env).pipelines
    (usual,) = read(tmp_path, f'{DRIVE}folder_id = "root"\n', env).pipelines
    for entry, named in (
        (by_variable, "^credentials_env: SALES_KEY: expected the JSON key"),
        (by_file, f"^credentials_file={tmp_path}/sales.json: expected the path of the JSON key"),
        (usual, "^GOOGLE_DRIVE_OAUTH_CLIENT=/elsewhere.json: "),
    ):
        with pytest.raises(CredentialsError, match=named):
            entry.verify()
        with pytest.raises(CredentialsError, match=named):
            entry.task.build(cast(Surroundings, None))

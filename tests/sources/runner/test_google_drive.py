from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from rag_pipeline.sources.google_drive.errors import CredentialsError
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext
from tests.sources.runner.run_files import problem, read

DRIVE = '[[pipeline]]\nkind = "google_drive"\nid = "drive"\n'
ADDRESS = "https://drive.google.com/drive/u/0/folders/1AbC_-x?usp=sharing"


def test_a_folder_is_given_by_its_id_or_its_url(tmp_path: Path) -> None:
    for given in ("1AbC_-x", ADDRESS):
        (pipeline,) = read(tmp_path, f'{DRIVE}folder_id = "{given}"\nworkers = 2\n').pipelines
        assert (pipeline.kind, pipeline.location, pipeline.location_key) == ("google_drive", "1AbC_-x", "folder_id")
        assert (pipeline.spec.collection, pipeline.spec.workers, pipeline.spec.title) == (
            "drive",
            2,
            "Google Drive folder 1AbC_-x",
        )


@pytest.mark.parametrize(
    ("table", "message"),
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
            "credentials_file: expected the path of the JSON key of a service account, not its content",
        ),
        (
            f'folder_id = "x"\ncredentials_file = "{"hunter2" * 100}"',
            "credentials_file: expected the path of the JSON key of a service account, not its content",
        ),
        ('folder_id = "x"\ncredentials_file = "a"\ncredentials_env = "B"', "credentials_file and credentials_env are"),
    ],
)
def test_invalid_tables_are_rejected(tmp_path: Path, table: str, message: str) -> None:
    error = problem(tmp_path, f"{DRIVE}{table}\n")
    assert error.startswith(f"[[pipeline]] 1 (drive): {message}")
    assert "hunter2" not in error


def test_two_pipelines_may_not_follow_one_folder(tmp_path: Path) -> None:
    other = DRIVE.replace('"drive"\n', '"other"\n')
    message = problem(tmp_path, f'{DRIVE}folder_id = "1AbC_-x"\n{other}folder_id = "{ADDRESS}"\n')
    assert message.startswith("[[pipeline]] 2 (other): folder_id=")
    assert message.endswith("expected another one than [[pipeline]] 1 (drive) follows")


def test_missing_credentials_are_an_error_only_when_they_are_verified(tmp_path: Path) -> None:
    (pipeline,) = read(tmp_path, f'{DRIVE}folder_id = "root"\n').pipelines
    with pytest.raises(CredentialsError, match="no credentials for Google Drive"):
        pipeline.verify()


@pytest.mark.slow
def test_each_pipeline_can_have_credentials_of_its_own(tmp_path: Path) -> None:
    env = {"GOOGLE_DRIVE_OAUTH_CLIENT": "/elsewhere.json", "SALES_KEY": '{"type": "other"}'}
    (by_variable,) = read(tmp_path, f'{DRIVE}folder_id = "root"\ncredentials_env = "SALES_KEY"\n', env).pipelines
    (by_file,) = read(tmp_path, f'{DRIVE}folder_id = "root"\ncredentials_file = "sales.json"\n', env).pipelines
    (usual,) = read(tmp_path, f'{DRIVE}folder_id = "root"\n', env).pipelines
    for pipeline, named in (
        (by_variable, "^credentials_env: SALES_KEY: expected the JSON key"),
        (by_file, f"^credentials_file={tmp_path}/sales.json: expected the path of the JSON key"),
        (usual, "^GOOGLE_DRIVE_OAUTH_CLIENT=/elsewhere.json: "),
    ):
        with pytest.raises(CredentialsError, match=named):
            pipeline.verify()
        with pytest.raises(CredentialsError, match=named):
            pipeline.spec.build(cast(PipelineContext, None))

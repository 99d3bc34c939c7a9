from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.runner.run_files import FOLDER, problem, read

ONE = FOLDER + 'id = "a"\nfolder = "."\n'
URL = "postgresql+psycopg://user@db.test/rag"
A_NAME = "the name of an environment variable that holds the address: letters, digits and _"
SECRET = "postgresql+psycopg://user:hunter2@db.test/rag"


def test_without_a_table_the_environment_decides(tmp_path: Path) -> None:
    assert read(tmp_path, ONE).store_url is None


def test_the_file_can_hold_an_address_without_a_password(tmp_path: Path) -> None:
    assert read(tmp_path, f'{ONE}[store]\nurl = "{URL}"\n').store_url == URL


def test_the_file_can_name_a_variable_with_an_address_and_a_password(tmp_path: Path) -> None:
    assert read(tmp_path, f'{ONE}[store]\nurl_env = "PAPERS_DB"\n', {"PAPERS_DB": SECRET}).store_url == SECRET


def test_a_password_in_the_file_is_rejected_and_not_shown(tmp_path: Path) -> None:
    assert problem(tmp_path, f'{ONE}[store]\nurl = "{SECRET}"\n') == (
        "[store]: url: there is a password in it: name a variable that has the address by url_env instead"
    )


@pytest.mark.parametrize("url", [f"{URL}?password=hunter2", "postgresql://[hunter2", "mysql://user:hunter2@host/db"])
def test_an_invalid_address_is_rejected_and_its_password_not_shown(tmp_path: Path, url: str) -> None:
    said = problem(tmp_path, f'{ONE}[store]\nurl = "{url}"\n')
    assert said.startswith("[store]: url='")
    other = problem(tmp_path, f'{ONE}[store]\nurl_env = "DB"\n', {"DB": url})
    assert other.startswith("[store]: url_env: DB='")
    assert "hunter2" not in said + other


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('url_env = "NOWHERE"', "[store]: url_env: the variable NOWHERE is not set"),
        (f'url_env = "A"\nurl = "{URL}"', "[store]: url and url_env are both there: expected one of them"),
        (
            f'url_env = "{SECRET}"',
            f"[store]: url_env: expected {A_NAME}",
        ),
        ("url = 5", "[store]: url=5: expected an address such as postgresql+psycopg://user@host/database"),
        ('path = "x"', "[store]: unknown key 'path': expected url, url_env"),
    ],
)
def test_invalid_tables_are_rejected(tmp_path: Path, table: str, said: str) -> None:
    assert problem(tmp_path, f"{ONE}[store]\n{table}\n") == said

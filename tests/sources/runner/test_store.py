"""Where the store is, and that no password gets into a file or a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.run.files import FOLDER, problem, read

ONE = FOLDER + 'id = "a"\nfolder = "."\n'
URL = "postgresql+psycopg://user@db.test/rag"
A_NAME = "the name of an environment variable that holds the address: letters, digits and _"
SECRET = "postgresql+psycopg://user:hunter2@db.test/rag"


def test_without_a_word_the_environment_decides(tmp_path: Path) -> None:
    assert read(tmp_path, ONE).store_url is None


def test_an_address_without_a_password_stands_in_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, f'{ONE}[store]\nurl = "{URL}"\n').store_url == URL


def test_one_with_a_password_stands_in_a_variable_that_the_file_names(tmp_path: Path) -> None:
    assert read(tmp_path, f'{ONE}[store]\nurl_env = "PAPERS_DB"\n', {"PAPERS_DB": SECRET}).store_url == SECRET


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    assert problem(tmp_path, f'{ONE}[store]\nurl = "{SECRET}"\n') == (
        "[store]: url: there is a password in it: name a variable that has the address by url_env instead"
    )


@pytest.mark.parametrize("url", [f"{URL}?password=hunter2", "postgresql://[hunter2", "mysql://user:hunter2@host/db"])
def test_an_address_of_no_store_is_told_and_not_repeated(tmp_path: Path, url: str) -> None:
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
def test_what_can_not_be_used_is_told(tmp_path: Path, table: str, said: str) -> None:
    assert problem(tmp_path, f"{ONE}[store]\n{table}\n") == said

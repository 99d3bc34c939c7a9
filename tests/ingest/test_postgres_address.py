"""RAG_STORE_URL: what it may say, and that nothing of it that may be secret is shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.postgres_address import PostgresAddress, parse_address


def parse(text: str) -> PostgresAddress:
    return parse_address("RAG_STORE_URL", text)


def test_all_parts_are_read() -> None:
    address = parse("postgresql+psycopg://me:pa%2Fss@db.example:6543/rag?schema=team_a&sslmode=verify-full")
    assert address == PostgresAddress("db.example", 6543, "rag", "me", "pa/ss", "team_a", (("sslmode", "verify-full"),))
    assert address.connection_parameters() == {
        "host": "db.example", "port": 6543, "dbname": "rag", "user": "me", "password": "pa/ss", "sslmode": "verify-full"
    }  # fmt: skip


def test_what_is_left_out_is_left_to_libpq() -> None:
    address = parse("postgresql://db/rag")
    assert address.connection_parameters() == {"host": "db", "port": 5432, "dbname": "rag"}


def test_several_hosts_are_for_libpq_to_try() -> None:
    address = parse("postgresql://db-1,db-2:6543/rag?target_session_attrs=read-write")
    assert (address.host, address.port) == ("db-1,db-2", 6543)


def test_a_socket_is_a_folder() -> None:
    assert parse("postgresql+psycopg:///rag?host=/var/run/postgresql").host == "/var/run/postgresql"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:hush@db/rag", "postgresql://db:5432/rag"),
        ("postgresql+psycopg://me:hush@[::1]:5433/rag?schema=x", "postgresql://[::1]:5433/rag?schema=x"),
    ],
)
def test_people_see_neither_user_nor_password(text: str, shown: str) -> None:
    address = parse(text)
    assert str(address) == shown
    assert "hush" not in repr(address)


BAD = {
    "": "an address such as",
    "me:hush@db/rag": "an address such as",
    "mysql://me:hush@db/rag": "an address such as",
    "postgresql+psycopg2://me:hush@db/rag": "an address such as",
    "postgresql://me:hush@db": "the name of a database",
    "postgresql://me:hush@/rag": "with a host",
    "postgresql://me:hush@db/rag/more": "the name of a database",
    "postgresql://me:hush@db/rag#hush": "the name of a database",
    "postgresql://me:hush@db:port/rag": "written as %2F",
    "postgresql://me:hush/hush@db/rag": "written as %2F",
    "postgresql://me:hu#sh@db/rag": "written as %2F",
    "postgresql://me:hush@db/rag?hush": "written as %2F",
    "postgresql://me:hush@db/rag?password=hush": "no other parameters than host, schema",
    "postgresql://me:hush@db/rag?schema=Hush": "a schema of lower case letters",
    "postgresql://me:hush@db/rag?schema=pg_hush": "a schema of lower case letters",
}


@pytest.mark.parametrize(("text", "told"), BAD.items(), ids=list(BAD))
def test_a_bad_address_is_one_line_without_the_password(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("RAG_STORE_URL='")
    assert told in message
    assert "hush" not in message.lower()
    assert "\n" not in message


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_any_password_can_be_written(password: str) -> None:
    assert parse(f"postgresql://me:{quote(password, safe='')}@db/rag").password == password


@given(st.text())
def test_anything_is_read_or_refused_without_a_word_of_it(text: str) -> None:
    try:
        parse(f"postgresql://me:s3cret@{text}")
    except ConfigurationError as error:
        told = str(error)
    else:
        told = ""
    assert "s3cret" not in told

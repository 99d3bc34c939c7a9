"""Reads the ``[store]`` table of a run file: the address of the vector store."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.common.env import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.postgres_address import PostgresAddress, parse_address
from rag_pipeline.sources.runner.toml_table import TomlTable


def read(table: TomlTable, env: Mapping[str, str]) -> str | None:
    """Return the address of the store, None for the default of ``RAG_STORE_URL``; raises ConfigurationError.

    ``url`` is the address without a password, which does not belong into a file; ``url_env`` names an environment
    variable that holds the address.
    """
    url = table.text("url", "an address such as postgresql+psycopg://user@host/database")
    variable = table.variable("url_env", "the address")
    if url is not None and variable is not None:
        table.fail("url and url_env are both there: expected one of them")
    if url is not None:
        if _parsed(table, "url", url).password is not None:
            table.fail("url: there is a password in it: name a variable that has the address by url_env instead")
        return url
    if variable is None:
        return None
    url = read_str(env, variable)
    if url is None:
        table.fail(f"url_env: the variable {variable} is not set")
    _parsed(table, f"url_env: {variable}", url)
    return url


def _parsed(table: TomlTable, key: str, url: str) -> PostgresAddress:
    try:
        return parse_address(key, url)
    except ConfigurationError as error:  # its text shows no secret
        table.fail(str(error))

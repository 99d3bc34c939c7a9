"""The ``[store]`` table: where the chunks are kept."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.common.config import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.store.pgvector.address import PostgresAddress, parse_address
from rag_pipeline.sources.runner.table import Table


def read(table: Table, env: Mapping[str, str]) -> str | None:
    """Return the address of the store, None for what ``RAG_STORE_URL`` says; raises ConfigurationError.

    ``url`` is the address, without a password, since the file is no place for one; ``url_env`` names the variable that
    has it.
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


def _parsed(table: Table, key: str, url: str) -> PostgresAddress:
    try:
        return parse_address(key, url)
    except ConfigurationError as error:  # which does not repeat what may be secret
        table.fail(str(error))

"""Fixtures: a fake Drive server for each test."""

from tests.drive.conftest import server

__all__ = ["server"]

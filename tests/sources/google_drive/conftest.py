"""The Drive of each test: the one that its own tests have."""

from tests.drive.conftest import server

__all__ = ["server"]

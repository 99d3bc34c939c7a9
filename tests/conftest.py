"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# Machines that run tests are busy; waits have deadlines of their own.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

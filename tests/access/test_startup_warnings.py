"""The warning at the start if anyone can read the status."""

from __future__ import annotations

import pytest

from rag_pipeline.access import OPEN
from rag_pipeline.access.guard import guard_from_settings
from rag_pipeline.access.startup_warnings import exposure_warning, is_loopback
from rag_pipeline.common.config import AuthSettings


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_needs_no_warning(address: str) -> None:
    assert is_loopback(address)
    assert exposure_warning(address, OPEN) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "fe80::1%eth0", "2001:db8::1", "::ffff:10.0.0.1"])
def test_any_other_address_gets_one_line_with_the_remedy(address: str) -> None:
    line = exposure_warning(address, OPEN)
    assert line is not None
    assert "\n" not in line
    assert address in line
    assert "STATUS_AUTH_TOKEN" in line
    assert "pause" not in line
    assert "pause" in (exposure_warning(address, OPEN, control=True) or "")
    assert exposure_warning(address, guard_from_settings(AuthSettings(tokens=("a-token-of-the-house",)))) is None

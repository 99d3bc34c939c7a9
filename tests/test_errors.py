"""Every error has one root, a standard base class and an exit code."""

from __future__ import annotations

import inspect

import pytest

from rag_pipeline import errors
from rag_pipeline.errors import ExitCode, ExtractorUnavailableError, RagPipelineError, ResourceError

ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, RagPipelineError)]


@pytest.mark.parametrize("kind", ALL)
def test_each_error_is_in_the_documented_tree(kind: type[RagPipelineError]) -> None:
    assert kind.__doc__
    assert errors.__doc__
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", [c for c in ALL if c is not RagPipelineError])
def test_each_error_is_also_of_a_standard_type(kind: type[RagPipelineError]) -> None:
    assert issubclass(kind, (ValueError, OSError, RuntimeError))


@pytest.mark.parametrize("kind", ALL)
def test_only_two_errors_are_retryable(kind: type[RagPipelineError]) -> None:
    assert kind("x").retryable is (kind in (ExtractorUnavailableError, ResourceError))
    assert isinstance(kind.exit_code, ExitCode)


def test_exit_codes_differ_and_fit_a_process() -> None:
    codes = [int(code) for code in ExitCode]
    assert len(set(codes)) == len(codes)
    assert all(0 <= code <= 255 for code in codes)
    assert (codes[0], int(ExitCode.FILES_FAILED)) == (0, 1)


def test_configuration_errors_exit_as_usage_errors() -> None:
    assert errors.ConfigurationError.exit_code is ExitCode.USAGE
    assert errors.PortInUseError.exit_code is ExitCode.PORT_IN_USE

"""Finds the file of a call among its arguments, by name or by rule; nothing is opened."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

MAX_NAME_LENGTH = 1024
"""A longer text is more likely a file's content than its name."""


class File(NamedTuple):
    """A file for the status: ``id`` distinguishes files with the same name, ``size`` is in bytes, ``link`` a URL."""

    name: str
    id: str | None = None
    size: int | None = None
    mime_type: str | None = None
    link: str | None = None


Choice = str | Callable[..., object] | None
"""The name of an argument, or a function of the call's arguments that returns a File, a name or None.

None: the default rule of :class:`FileArgument`.
"""


def file_of(value: object) -> File | None:
    """Return the file that a File, a path or a text of one line names; None for any other value."""
    if isinstance(value, File):
        return value
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
        return None
    return File(value) if value.strip() and "\n" not in value else None


class FileArgument:
    """Finds the file in the arguments of one function.

    Without a choice it is the first argument that is a path, or a text that can be a file name. Raises ValueError if
    the function has no argument of the chosen name.
    """

    def __init__(self, function: Callable[..., object], choice: Choice = None) -> None:
        self._choice = choice
        self._signature = inspect.signature(function)
        if isinstance(choice, str) and not takes(self._signature, choice):
            raise ValueError(f"{_name_of(function)}() has no argument {choice!r}")

    def find(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> File | None:
        """Return the file of this call; None if there is none, or if the arguments don't match the function."""
        if callable(self._choice):
            return file_of(self._choice(*args, **kwargs))
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:  # the function is about to raise the same error
            return None
        bound.apply_defaults()
        values = _values(bound)
        if self._choice is not None:
            return file_of(dict(values).get(self._choice))
        return next((file for _, value in values if (file := file_of(value)) is not None), None)


def takes(signature: inspect.Signature, argument: str) -> bool:
    """Return whether the function accepts an argument of this name."""
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    return argument in kinds or inspect.Parameter.VAR_KEYWORD in kinds.values()


def _values(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((name, item) for item in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        else:
            yield name, value


def _name_of(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)

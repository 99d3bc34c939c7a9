"""The ``tracked`` decorator for functions, coroutines, generators and async generators that process a file."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import nullcontext
from typing import Any, TypeVar, cast, overload

from rag_pipeline.adapters.current_file import working_on
from rag_pipeline.adapters.file_argument import Choice
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.adapters.tracked_calls import CallFactory
from rag_pipeline.status.pipeline import PipelineStatus

F = TypeVar("F", bound=Callable[..., Any])

_default = Reporter("pipeline")


@overload
def tracked(function: F, /) -> F: ...
@overload
def tracked(*, file: Choice = None, status: PipelineStatus | None = None) -> Callable[[F], F]: ...
def tracked(
    function: F | None = None, /, *, file: Choice = None, status: PipelineStatus | None = None
) -> F | Callable[[F], F]:
    """Report each call of a function as the processing of one file: started, stages, completed or failed.

    ``file`` is the name of the argument that names the file, or a function of the same arguments that returns a name, a
    ``File`` or None. The default is the first argument that is a path or a short text. A call without a file is
    not reported; one inside another tracked call for the same file is a stage of it. What the function returns, yields
    and raises does not change. Reports go to ``status`` if it is given. Raises ValueError if the function has no such
    argument.
    """
    reporter = _default if status is None else Reporter("pipeline", status)

    def track(function: F) -> F:
        calls = CallFactory(function, file, reporter)
        return cast(F, functools.wraps(function)(_wrapper_of(function)(function, calls)))

    return track if function is None else track(function)


def _wrapper_of(function: Callable[..., Any]) -> Callable[[Callable[..., Any], CallFactory], Callable[..., Any]]:
    """Return the wrapper for this kind of function; the result is of the same kind, because frameworks inspect that."""
    if inspect.isasyncgenfunction(function):
        return _async_generator
    if inspect.isgeneratorfunction(function):
        return _generator
    return _coroutine if inspect.iscoroutinefunction(function) else _function


def _function(function: Callable[..., Any], calls: CallFactory) -> Callable[..., Any]:
    def tracked_function(*args: Any, **kwargs: Any) -> Any:
        call = calls.create(args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        with call.reported(), working_on(call):
            call.result = result = function(*args, **kwargs)
        return result

    return tracked_function


def _coroutine(function: Callable[..., Any], calls: CallFactory) -> Callable[..., Any]:
    async def tracked_coroutine(*args: Any, **kwargs: Any) -> Any:
        call = calls.create(args, kwargs)
        if call is None:
            return await function(*args, **kwargs)
        with call.reported(), working_on(call):
            call.result = result = await function(*args, **kwargs)
        return result

    return tracked_coroutine


# Between two steps of a generator the caller's code runs, which does not process the file. So the current file is set
# for each step. The rest forwards the whole generator protocol: send, throw, close, return.


def _generator(function: Callable[..., Any], calls: CallFactory) -> Callable[..., Any]:
    def tracked_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner: Generator[Any, Any, Any] = function(*args, **kwargs)
        call = calls.create(args, kwargs)
        if call is None:
            return (yield from inner)
        with call.reported():
            step: Callable[[Any], Any] = inner.send
            value: Any = None
            while True:
                try:
                    with working_on(call):
                        item = step(value)
                except StopIteration as end:
                    call.result = end.value
                    return end.value
                try:
                    step, value = inner.send, (yield item)
                except GeneratorExit:
                    with working_on(call):
                        inner.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the caller, for the inner generator
                    step, value = inner.throw, error

    return tracked_generator


def _async_generator(function: Callable[..., Any], calls: CallFactory) -> Callable[..., Any]:
    async def tracked_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        call = calls.create(args, kwargs)
        current = nullcontext if call is None else functools.partial(working_on, call)
        with nullcontext() if call is None else call.reported():
            step: Callable[[Any], Any] = inner.asend
            value: Any = None
            while True:
                try:
                    with current():
                        item = await step(value)
                except StopAsyncIteration:
                    return
                try:
                    step, value = inner.asend, (yield item)
                except GeneratorExit:
                    with current():
                        await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the caller, for the inner generator
                    step, value = inner.athrow, error

    return tracked_generator

"""The error for a missing library."""

from __future__ import annotations

import pytest

from rag_pipeline.adapters.libraries import require_library
from rag_pipeline.errors import ConfigurationError
from tests.support.programs import run

pytestmark = pytest.mark.slow

ADAPTERS = [
    ("celery", "celery", "celery"),
    ("langchain", "langchain_core", "langchain"),
    ("llama_index", "llama_index", "llama-index"),
]


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.core", "json.no_such_part"])
def test_a_missing_library_is_one_line_that_says_what_to_install(module: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_library(module, "some-library", "some")
    expected = 'some-library is not installed, and its adapter needs it: pip install "rag-pipeline-status[some]"'
    assert str(caught.value) == expected


def test_an_installed_library_is_not_imported() -> None:
    code = (
        "import sys; from rag_pipeline.adapters.libraries import require_library; "
        "require_library('wave', 'wave', 'x'); print('wave' in sys.modules)"
    )
    done = run("-c", code)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("adapter", "library", "extra"), ADAPTERS)
def test_each_adapter_checks_its_library(adapter: str, library: str, extra: str) -> None:
    done = run("-c", f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.split(".")[0] == {library!r} else find(name, *rest)
import rag_pipeline.adapters.{adapter}
""")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f'pip install "rag-pipeline-status[{extra}]"')


def test_importing_the_adapters_package_loads_no_library_and_no_server() -> None:
    done = run("-c", "import sys\nfrom rag_pipeline.adapters import File, stage, tracked\n"
                     "print({'celery', 'langchain_core', 'llama_index', 'eventlet'} & set(sys.modules))")  # fmt: skip
    assert (done.stdout, done.stderr) == ("set()\n", "")

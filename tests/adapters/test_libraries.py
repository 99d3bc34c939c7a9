"""What is said where a library is missing."""

from __future__ import annotations

import pytest

from rag_pipeline.adapters.libraries import need
from rag_pipeline.errors import ConfigurationError
from tests.support.programs import run

ADAPTERS = [
    ("celery", "celery", "celery"),
    ("langchain", "langchain_core", "langchain"),
    ("llama_index", "llama_index", "llama-index"),
]


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.core", "json.no_such_part"])
def test_a_missing_library_is_one_line_that_says_what_to_install(module: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        need(module, "some-library", "some")
    expected = 'some-library is not installed, and its adapter needs it: pip install "rag-pipeline-status[some]"'
    assert str(caught.value) == expected


def test_a_library_that_is_there_is_not_loaded() -> None:
    done = run("-c", "import sys\nfrom rag_pipeline.adapters.libraries import need\nneed('wave', 'wave', 'x')\n"
                     "print('wave' in sys.modules)")  # fmt: skip
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("adapter", "library", "extra"), ADAPTERS)
def test_each_adapter_says_it(adapter: str, library: str, extra: str) -> None:
    done = run("-c", f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.split(".")[0] == {library!r} else find(name, *rest)
import rag_pipeline.adapters.{adapter}
""")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f'pip install "rag-pipeline-status[{extra}]"')


def test_the_adapters_alone_load_no_library_and_no_server() -> None:
    done = run("-c", "import sys\nfrom rag_pipeline.adapters import File, stage, tracked\n"
                     "print({'celery', 'langchain_core', 'llama_index', 'eventlet'} & set(sys.modules))")  # fmt: skip
    assert (done.stdout, done.stderr) == ("set()\n", "")

"""Name the modules of rag_pipeline that have no test file; exit 1 if there is one.

``rag_pipeline/a/b.py`` is tested by ``tests/a/test_b.py``. A module may go without for a reason written down here.
"""

from __future__ import annotations

import sys
from pathlib import Path

EXCEPTIONS = {
    "ingest/store/pgvector/statements.py": "statements alone; tests of the store run them",
    "sources/following/jobs.py": "records without behaviour",
    "__main__.py": "one line; tests of the command run it",
    "http_server/limits.py": "a record without behaviour",
    "ingest/types.py": "records and protocols without behaviour",
}


def main() -> int:
    """Print a line for each module without a test, and for each exception that is none."""
    root = Path(__file__).parents[1]
    modules = {str(path.relative_to(root / "rag_pipeline")): path for path in (root / "rag_pipeline").rglob("*.py")}
    problems = []
    for name, path in sorted(modules.items()):
        test = root / "tests" / Path(name).with_name(f"test_{path.name}")
        # An __init__.py gathers names for others; what it gathers has tests of its own.
        if path.name != "__init__.py" and not test.exists() and name not in EXCEPTIONS:
            problems.append(f"rag_pipeline/{name}: no test file {test.relative_to(root)}")
        elif test.exists() and name in EXCEPTIONS:
            problems.append(f"rag_pipeline/{name}: has a test file; strike it from the exceptions")
    print("\n".join(problems) or f"each of {len(modules)} modules has its test file")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Make the files of the corpus with real programs, and their truths: ``python -m tests.corpus.make``."""

"""The servers under test: each obeys the same commands on stdin; see ``common.py``."""

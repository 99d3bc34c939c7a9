"""Measures fan-out: our server beside its peers, driven by the same compiled client. See README.md in this folder."""

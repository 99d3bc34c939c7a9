"""Attacks on a running service, and what everybody else notices of them."""

"""Pipelines under faults at random: real processes, killed, starved and misled, and judged at every moment."""

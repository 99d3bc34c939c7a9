"""The status of a pipeline: its state, and one numbered event for each mutation."""

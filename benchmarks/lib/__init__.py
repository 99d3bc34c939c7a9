"""What the runner is made of: processes, measuring, cases, the report."""

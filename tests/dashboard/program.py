"""A pipeline with its service, run as a process and killed by tests.

Arguments: HTTP port, Socket.IO port, state folder. Completes as many files as each line of input says, and then has one
in flight; prints ``did`` when it is through with a line.
"""

from __future__ import annotations

import sys

from rag_pipeline import PipelineStatus, start_status_server


def main() -> None:
    """Serve until the end of input."""
    http_port, socket_port = map(int, sys.argv[1:3])
    status = PipelineStatus("local_files", "killed")
    with start_status_server(http_port, socket_port=socket_port, pipelines=[status], state_dir=sys.argv[3]):
        status.update(status="running")
        print("did start", flush=True)
        for line in sys.stdin:
            for number in range(int(line)):
                status.complete_file(f"file {number}.txt")
            status.add_processing_file("half done.pdf")
            print(f"did {line.strip()}", flush=True)


if __name__ == "__main__":
    main()

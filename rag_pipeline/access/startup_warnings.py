"""What is said at the start when everyone may see what should perhaps not be for everyone."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from rag_pipeline.access.guard import Guard


def warning(address: str, guard: Guard, *, control: bool = False) -> str | None:
    """Return the line to be said once for a service that is bound to the address; None if there is nothing to say.

    ``control`` says that pipelines may be directed over HTTP.
    """
    if guard.required or is_loopback(address):
        return None
    direct = ", and pause, resume and retry" if control else ""
    return (
        f"anyone who reaches {address} can see the status, names of documents and all{direct}: set STATUS_AUTH_TOKEN "
        "to ask for a token, or STATUS_HOST=127.0.0.1 to serve this machine alone"
    )


def is_loopback(address: str) -> bool:
    """Return whether only programs of this machine reach the address, which is one as the kernel tells it."""
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found.is_loopback if mapped is None else mapped.is_loopback

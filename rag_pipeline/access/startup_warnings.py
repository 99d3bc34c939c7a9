"""The warning at the start if anyone who reaches the service can read it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from rag_pipeline.access.guard import Guard


def exposure_warning(address: str, guard: Guard, *, control: bool = False) -> str | None:
    """Return the warning to log for a service bound to the address, None if there is none.

    ``control`` means that pipelines can be controlled over HTTP.
    """
    if guard.required or is_loopback(address):
        return None
    actions = ", and pause, resume and retry" if control else ""
    return (
        f"anyone who reaches {address} can see the status, names of documents and all{actions}: set STATUS_AUTH_TOKEN "
        "to ask for a token, or STATUS_HOST=127.0.0.1 to serve this machine alone"
    )


def is_loopback(address: str) -> bool:
    """Return whether only programs on this machine can reach the address, as the kernel reports it."""
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found.is_loopback if mapped is None else mapped.is_loopback

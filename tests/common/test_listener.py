from __future__ import annotations

import errno
import os
import socket

import pytest

from rag_pipeline.common.listener import open_listener
from rag_pipeline.errors import ConfigurationError, PortInUseError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_port_0_picks_a_free_port(host: str) -> None:
    listener = open_listener(host, 0)
    try:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    finally:
        listener.close()


OTHER = "another program or a service that is starting"


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_error_of_a_taken_port_names_it(owner: str, host: str) -> None:
    taken = open_listener(owner, 0)
    try:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"^port {port} on {host} is in use by {OTHER}; ") as raised:
            open_listener(host, port)
        assert raised.value.errno == errno.EADDRINUSE
        assert isinstance(raised.value, OSError)
    finally:
        taken.close()


def test_a_port_can_be_bound_again_while_old_connections_end() -> None:
    first = socket.create_server(("127.0.0.1", 0))
    port = first.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        accepted, _ = first.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        assert client.recv(1) == b""
    first.close()
    open_listener("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "1.2.3.4.5", "a\0b", "x" * 300, "ü" * 70 + ".test"])
def test_an_unknown_host_is_a_configuration_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a host name or address of this machine"):
        open_listener(host, 0)


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"host='192\.0\.2\.1' \(STATUS_HOST\): expected an address of this machine"
    ):
        open_listener("192.0.2.1", 0)


def test_a_port_out_of_range_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        open_listener("127.0.0.1", 70_000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind every port")
def test_the_error_of_a_forbidden_port_says_so() -> None:
    with pytest.raises(PortInUseError, match=r"port 1 on 127\.0\.0\.1 may not be bound by this user"):
        open_listener("127.0.0.1", 1)

"""Python runs this file at start when its folder is on PYTHONPATH: from then on only loopback can be reached.

The notebooks are executed in kernels that start so. It imports nothing of weightlore, so that it costs nothing.
"""

import errno
import ipaddress
import socket
from typing import Any

__all__ = ["allowed", "block"]


def allowed(host: object) -> bool:
    """Return whether a host is this machine: a loopback address or one of its names.

    Args:
        host: as the first entry of a socket address; ``None`` and ``""`` mean this machine.

    Source: ours
    """
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        return False


def block() -> None:
    """Let every connection that leaves this machine raise, in this process.

    Raises:
        OSError: later, from ``socket``, for any address but loopback.

    Source: ours
    """
    if not hasattr(socket.socket, "weightlore_blocked"):
        for method in ("connect", "connect_ex", "sendto"):
            setattr(socket.socket, method, _guarded(getattr(socket.socket, method)))
        setattr(socket, "getaddrinfo", _resolver(socket.getaddrinfo))  # noqa: B010, mypy refuses the plain assignment
        setattr(socket.socket, "weightlore_blocked", True)  # noqa: B010


def _guarded(method: Any) -> Any:
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if isinstance(address, tuple) and not allowed(address[0]):
            raise _refused(address[0])
        return method(self, *args)

    return guarded


def _resolver(original: Any) -> Any:
    def getaddrinfo(host: Any, *args: Any, **keywords: Any) -> Any:
        if not allowed(host):
            raise _refused(host)
        return original(host, *args, **keywords)

    return getaddrinfo


def _refused(host: object) -> OSError:
    return OSError(errno.ENETUNREACH, f"notebooks run without network, but one asked for {host}; embed the data")


block()

"""Free ports on loopback for servers that need one."""

from __future__ import annotations

import random
import socket

#: Below the range from which systems give outgoing connections their port (from 32768 on Linux): a server that is
#: killed finds its port free again, where another process's connection could have taken an ephemeral one meanwhile.
PORTS = range(16_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on, chosen at random so that two callers rarely meet."""
    free: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        free.append(port)
        if len(free) == count:
            return free
    raise OSError(f"no {count} free ports from {PORTS.start} to {PORTS.stop}")

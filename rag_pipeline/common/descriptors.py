"""The budget of file descriptors: how many connections may use, so that the pipeline keeps the rest.

A pipeline opens documents, databases and child processes. Without a reserve, many connecting clients would leave it
with "too many open files".
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rag_pipeline.common import native

try:
    import resource
except ImportError:  # Windows has no such limit
    HAS_LIMIT = False
else:
    HAS_LIMIT = True

MOST_DESCRIPTORS = 1 << 20  # a hard limit may be a billion, which no kernel can serve
LARGEST_RESERVE = 1024


def soft_limit() -> int:
    """Return how many descriptors the process may have open now."""
    if not HAS_LIMIT:
        return MOST_DESCRIPTORS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MOST_DESCRIPTORS)


def raise_soft_limit() -> None:
    """Raise the process's soft limit of open files to its hard limit, if the system allows it."""
    if not HAS_LIMIT:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft_limit() >= wanted or soft == resource.RLIM_INFINITY:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has another limit of its own
        pass


def capacity() -> int:
    """Return how many connections all ports may have together: the soft limit less a reserve.

    The reserve is a quarter of the limit, at most 1,024.
    """
    limit = soft_limit()
    return max(1, limit - min(LARGEST_RESERVE, limit // 4))


class DescriptorBudget:
    """Counts the connections of all ports; safe to call from any thread, and never waits.

    Each port has a :class:`Share` with a guaranteed part, so a flood on one port leaves the other reachable.
    """

    def __init__(self, limit: Callable[[], int] = capacity) -> None:
        self._limit = limit
        self._lock = native.allocate_lock()
        self._shares: list[Share] = []

    def share(self, guaranteed: int) -> Share:
        """Return a new share for a port; no other port can use up its first ``guaranteed`` connections."""
        share = Share(self, guaranteed)
        with self._lock:
            self._shares.append(share)
        return share

    def take(self, share: Share) -> bool:
        """Count one more connection of the share; return False if it may have no more. Called by the share."""
        with self._lock:
            if share.used >= self._most(share):
                return False
            share.used += 1
            return True

    def give_back(self, share: Share) -> None:
        """Count one connection less. Called by the share."""
        with self._lock:
            share.used = max(0, share.used - 1)

    def most(self, share: Share) -> int:
        """Return how many connections the share could have now."""
        with self._lock:
            return self._most(share)

    def remove(self, share: Share) -> None:
        """Remove the share and its connections; idempotent."""
        with self._lock:
            if share in self._shares:
                self._shares.remove(share)

    def renew(self) -> None:
        """Start empty in a forked child: the connections belong to the parent, which may hold the lock."""
        self._lock = native.allocate_lock()
        self._shares = []

    def _most(self, share: Share) -> int:
        """Return the limit less what other shares use or are guaranteed; the lock must be held."""
        limit = self._limit()
        others = sum(max(one.used, min(one.guaranteed, limit // 4)) for one in self._shares if one is not share)
        return max(0, limit - others)


class Share:
    """One port's part of a budget."""

    def __init__(self, budget: DescriptorBudget, guaranteed: int) -> None:
        self._budget = budget
        self.guaranteed = guaranteed
        self.used = 0

    def take(self) -> bool:
        """Count one more connection; return False if there may be no more."""
        return self._budget.take(self)

    def give_back(self) -> None:
        """Count one connection less, once its descriptor is closed."""
        self._budget.give_back(self)

    @property
    def most(self) -> int:
        """The number of connections that the port could have now."""
        return self._budget.most(self)

    def close(self) -> None:
        """Give the whole share back when the port is closed; idempotent."""
        self._budget.remove(self)


connections = DescriptorBudget()
"""The budget of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=connections.renew)

"""A monitor of services beside mlx-tree: looks at each one every few seconds, hears of changes at once, and tells them.

It restarts nothing. That is mlx-tree's part: two that restart the same server are in each other's way::

    async def changed(change: Change) -> None:
        print(change.service, change.before["state"], "->", change.after["state"], change.after.get("reason", ""))

    monitor = ServiceMonitor([Service("mlx", get_mlx_supervisor())], on_change=changed)
    await monitor.run()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterable, Optional, Protocol

from mlx_supervisor import Status, limited

log = logging.getLogger(__name__)

#: What makes a change. Other parts of the document, such as times, differ whenever one looks.
WATCHED = ("state", "process_pid", "restart_count", "health_check_failures", "circuit_breaker_state")


class Watched(Protocol):
    """What can be watched: an ``MlxSupervisor``, or anything that has these two."""

    async def status(self) -> Status: ...

    def events(self) -> AsyncIterator[Dict[str, Any]]: ...


@dataclass(frozen=True)
class Service:
    """A service and what it is called."""

    name: str
    supervisor: Watched


@dataclass(frozen=True)
class Change:
    """What has become of a service. ``event`` is what was heard last before it was looked at, if anything was."""

    service: str
    before: Status
    after: Status
    event: Optional[Dict[str, Any]]


class ServiceMonitor:
    """Watches services for as long as :meth:`run` runs, through ends and starts of mlx-tree itself."""

    def __init__(
        self,
        services: Iterable[Service],
        on_change: Callable[[Change], Awaitable[None]],
        interval: float = 5.0,
    ) -> None:
        self.services = list(services)
        self.on_change = on_change
        self.interval = interval
        #: The latest document of each service.
        self.latest: Dict[str, Status] = {}

    async def run(self) -> None:
        """Watches until it is cancelled."""
        await asyncio.gather(*(self._watch(service) for service in self.services))

    async def _watch(self, service: Service) -> None:
        news = asyncio.Event()
        heard: Dict[str, Any] = {}
        following = asyncio.ensure_future(self._follow(service, news, heard))
        try:
            self.latest[service.name] = await service.supervisor.status()
            while True:
                # News make it look at once; without any it looks all the same, should the stream be dead.
                with contextlib.suppress(asyncio.TimeoutError):
                    await limited(news.wait(), self.interval)
                news.clear()
                after = await service.supervisor.status()
                before, self.latest[service.name] = self.latest[service.name], after
                if any(before[key] != after[key] for key in WATCHED):
                    await self._tell(Change(service.name, before, after, heard.get("event")))
        finally:
            following.cancel()

    async def _follow(self, service: Service, news: asyncio.Event, heard: Dict[str, Any]) -> None:
        async for event in service.supervisor.events():
            heard["event"] = event
            # Requests come and go by the hundred, and change none of what is watched.
            if not str(event.get("event", "")).startswith("request."):
                news.set()

    async def _tell(self, change: Change) -> None:
        try:
            await self.on_change(change)
        except Exception:  # A listener's mistake must not blind the monitor.
            log.exception("on_change failed for %s", change.service)


if __name__ == "__main__":
    from mlx_supervisor import get_mlx_supervisor

    async def changed(change: Change) -> None:
        reason = change.after.get("reason") or ""
        print(f"{change.service}: {change.before['state']} -> {change.after['state']} {reason}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(ServiceMonitor([Service("mlx", get_mlx_supervisor())], changed).run())

"""mlx-tree from Python: starting, watching and stopping the supervised LLM server from asyncio code.

One file, nothing but the standard library, Python 3.9 or later. Copy it beside your own code::

    supervisor = get_mlx_supervisor()
    await supervisor.start()                  # ready, or SupervisorError says why not
    status = supervisor.get_status()
    print(status["state"], status["restart_count"])
    await supervisor.stop()

mlx-tree is found through its state directory, where it leaves its address and a token that only its own user can read. All
requests go to the loopback address that stands there, past every proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AsyncIterator, Awaitable, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

Status = Dict[str, Any]
Event = Dict[str, Any]

#: The longest that a question may take. It is answered from memory, on this machine.
QUESTION = 2.0
#: mlx-tree says something every 15 s on a stream of events. One that is silent for so long is dead.
SILENCE = 45.0
#: No answer of mlx-tree is longer.
LONGEST = 8 << 20
#: The exit code that says, among other things, that another mlx-tree was first.
OTHER_WAS_FIRST = 75


class SupervisorError(RuntimeError):
    """The server is not ready, or a verb was refused. The text says why, for people."""


class NotRunning(SupervisorError):
    """There is no mlx-tree that could be asked."""


@dataclass(frozen=True)
class Access:
    """Where the control plane answers, and the token that its verbs want."""

    host: str
    port: int
    pid: int
    token: str

    def __repr__(self) -> str:
        return f"Access({self.host}:{self.port}, pid {self.pid}, ***)"


def default_state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The state directory that mlx-tree itself would take."""
    if environment.get("MLX_TREE__STATE_DIR"):
        return Path(environment["MLX_TREE__STATE_DIR"])
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library/Application Support/mlx-tree"
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".local/state") / "mlx-tree"


class MlxSupervisor:
    """One mlx-tree, running or not, named by its state directory.

    All methods can be called at any time and as often as one likes, also from several tasks at once. Of several calls of
    :meth:`start`, here or in other programs, one starts mlx-tree and the others join it.
    """

    def __init__(
        self,
        state_dir: Optional[os.PathLike[str]] = None,
        command: Sequence[str] = ("mlx-tree", "run"),
        start_timeout: float = 900.0,
    ) -> None:
        self.state_dir = Path(state_dir) if state_dir is not None else default_state_dir()
        self.command = list(command)
        #: The longest that :meth:`start` waits. The first start may have to install packages and to load a large model.
        self.start_timeout = start_timeout
        #: What an mlx-tree that was started from here has written.
        self.log = self.state_dir / "started-from-python.log"
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._turn: Optional[Tuple[asyncio.AbstractEventLoop, asyncio.Lock]] = None

    # --- the four that people know -------------------------------------------------------------------------------

    async def start(self) -> Status:
        """Starts mlx-tree if none runs, and the server if it was stopped. Resolves when the server is ready.

        Raises :class:`SupervisorError` with the reason if it will not become ready by itself, or after ``start_timeout``.
        """
        deadline = time.monotonic() + self.start_timeout
        async with self._lock():
            status = await self._status_or_none()
            if status is None:
                status = await self._launch(deadline)
            if status["state"] == "stopped":
                await self._within(deadline, self.perform("start"))
            return await self._ready(deadline)

    def get_status(self) -> Status:
        """The status document, at once. ``state``, ``process_pid``, ``restart_count``, ``health_check_failures`` and
        ``circuit_breaker_state`` are always there, also when no mlx-tree runs; ``reason`` says why the server does not serve.

        Never raises, and takes milliseconds; at most ``QUESTION`` seconds if mlx-tree hangs. :meth:`status` does not block.
        """
        try:
            access = self.access()
        except NotRunning as error:
            return down("stopped", str(error))
        connection = http.client.HTTPConnection(access.host, access.port, timeout=QUESTION)
        try:
            connection.request("GET", "/status", headers={"Host": f"{access.host}:{access.port}"})
            answer = connection.getresponse()
            return self._understood(answer.status, answer.read(LONGEST))
        except (OSError, http.client.HTTPException, SupervisorError) as error:
            return self._unanswered(access, error)
        finally:
            connection.close()

    async def stop(self) -> None:
        """Stops the server in order: SIGTERM, its time, SIGKILL. Models and processes are released.

        An mlx-tree that was started from here ends too. One that somebody else has started (a service, a terminal) stays, and
        keeps the server stopped until :meth:`start`. It is no error if nothing runs.
        """
        async with self._lock():
            try:
                await self.perform("shutdown" if self._child is not None else "stop")
            except NotRunning:
                pass
            await self._reap()

    async def restart(self) -> Status:
        """Stops the server, forgets its failures, and starts it; requests wait meanwhile. Resolves when it is ready."""
        deadline = time.monotonic() + self.start_timeout
        try:
            await self._within(deadline, self.perform("restart"))
        except NotRunning:
            return await self.start()
        return await self._ready(deadline)

    # --- what there is beside them -------------------------------------------------------------------------------

    async def status(self) -> Status:
        """The same as :meth:`get_status`, without blocking the event loop."""
        try:
            access = self.access()
        except NotRunning as error:
            return down("stopped", str(error))
        try:
            return self._understood(*await limited(_ask(access, "GET", "/status"), QUESTION))
        except (OSError, asyncio.TimeoutError, SupervisorError) as error:
            return self._unanswered(access, error)

    async def perform(self, verb: str) -> str:
        """Has ``start``, ``stop``, ``restart``, ``reload``, ``drain``, ``reset`` or ``shutdown`` carried out, and waits for
        it. Returns what mlx-tree says of it; raises :class:`SupervisorError` with the reason if it refuses."""
        access = self.access()
        try:
            code, body = await _ask(access, "POST", f"/{verb}", access.token)
        except OSError as error:
            raise NotRunning(f"mlx-tree (pid {access.pid}) does not answer: {error}") from error
        document = _json(body)
        if code != 200:
            told = [str(document.get(key)) for key in ("message", "help") if document.get(key)]
            raise SupervisorError("; ".join(told) or f"mlx-tree answered {code}")
        return str(document.get("message", ""))

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What has happened since event number ``after`` and what happens, for ever: dictionaries with ``seq``, ``at``,
        ``child``, ``event`` and what belongs to it.

        Comes back by itself when the connection breaks or mlx-tree is started again, and goes on where it was. Two events are
        the stream's own: ``stream.lost`` (``count`` events are remembered no more) and ``stream.restarted`` (another
        mlx-tree answers; its events begin anew).
        """
        run: Optional[str] = None
        pause = 0.1
        while True:
            try:
                access = self.access()
                async for name, data in _listen(access, after, run):
                    pause = 0.1
                    if name == "hello":
                        if run is not None and data.get("run") != run:
                            after = 0
                        run = data.get("run")
                        continue
                    if name in ("lost", "restarted"):
                        yield {"event": f"stream.{name}", **data}
                        continue
                    after = data.get("seq", after)
                    yield data
            except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError, SupervisorError):
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    def access(self) -> Access:
        """The way in. Raises :class:`NotRunning` if there is none."""
        path = self.state_dir / "control.json"
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():
                    raise NotRunning(f"{path} belongs to another user")
                document = json.loads(file.read(LONGEST))
            url = urlsplit(str(document["url"]))
            access = Access(str(url.hostname), int(url.port or 0), int(document["pid"]), str(document["token"]))
        except FileNotFoundError:
            raise NotRunning("mlx-tree is not running") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotRunning(f"{path} cannot be read: {error}") from None
        if url.scheme != "http" or access.host not in ("127.0.0.1", "localhost", "::1"):
            # The token is for nobody else.
            raise NotRunning(f"{path} names an address that is not of this machine")
        return access

    # --- inside --------------------------------------------------------------------------------------------------

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]

    async def _status_or_none(self) -> Optional[Status]:
        """None if no mlx-tree runs. One that runs and does not answer is not joined by a second one."""
        try:
            access = self.access()
        except NotRunning:
            return None
        status = await self.status()
        if "supervisor" not in status and not _lives(access.pid):
            return None
        return status

    async def _launch(self, deadline: float) -> Status:
        if self._child is not None:
            self._child.poll()  # One that was killed.
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            os.fchmod(log.fileno(), 0o600)
            try:
                child = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "MLX_TREE__STATE_DIR": str(self.state_dir)},
                    # A Ctrl-C for this program is not one for the server, and mlx-tree outlives it.
                    start_new_session=True,
                )
            except OSError as error:
                raise SupervisorError(f"{self.command[0]} cannot be started: {error}") from error
        self._child = child
        while True:
            status = await self._status_or_none()
            if status is not None and "supervisor" in status:
                if child.poll() is not None or status["supervisor"]["pid"] != child.pid:
                    # Somebody else was first, or has been asked to start it: it is not ours to end. One that was too late
                    # ends by itself; until it has, it would take the place of the first one, should that be stopped.
                    late = min(deadline, time.monotonic() + 5)
                    while child.poll() is None and time.monotonic() < late:
                        await asyncio.sleep(0.05)
                    await self._reap()
                return status
            if child.poll() is not None and child.returncode != 0:
                await self._reap()
                if child.returncode == OTHER_WAS_FIRST and await self._other_answers(deadline):
                    return await self.status()
                raise SupervisorError(f"mlx-tree ended with {child.returncode}: {self._last_words()}")
            await self._pause(deadline, "mlx-tree does not come up")

    async def _other_answers(self, deadline: float) -> bool:
        """Whether the one that was first, and may still be getting ready, comes to answer."""
        named = re.search(r"pid (\d+)", self._last_words())
        while named is not None and _lives(int(named.group(1))):
            if "supervisor" in await self.status():
                return True
            await self._pause(deadline, "the mlx-tree that was first does not come up")
        return False

    async def _ready(self, deadline: float) -> Status:
        while True:
            status = await self.status()
            if status["state"] == "running":
                return status
            if status["state"] in ("failed", "suspended", "stopped"):
                raise SupervisorError(f"the server is {status['state']}: {status.get('reason') or 'no reason is given'}")
            await self._pause(deadline, f"the server is not ready: {status.get('reason') or status['state']}")

    async def _within(self, deadline: float, work: Any) -> Any:
        try:
            return await limited(work, max(deadline - time.monotonic(), 0.1))
        except asyncio.TimeoutError:
            raise SupervisorError(f"not ready after {self.start_timeout:g} s") from None

    async def _pause(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise SupervisorError(f"{what} (after {self.start_timeout:g} s)")
        await asyncio.sleep(0.1)

    async def _reap(self) -> None:
        """Waits for the end of a child that is ending, so that no zombie stays. One that is not waited for to the end is still
        ours, and the next :meth:`stop` waits for it."""
        child = self._child
        while child is not None and child.poll() is None:
            if "supervisor" in (status := await self.status()) and status["supervisor"]["pid"] != child.pid:
                # It waits for nobody; it is the launcher of another one.
                break
            await asyncio.sleep(0.05)
        self._child = None

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            first = next((at for at, line in enumerate(lines) if line.startswith("error:")), max(len(lines) - 3, 0))
            return " · ".join(line.strip() for line in lines[first:] if line.strip())
        return "it has written nothing"

    @staticmethod
    def _understood(code: int, body: bytes) -> Status:
        document = _json(body)
        if code != 200 or "state" not in document:
            raise SupervisorError(str(document.get("message") or f"mlx-tree answered {code}"))
        return document

    @staticmethod
    def _unanswered(access: Access, error: BaseException) -> Status:
        if not _lives(access.pid):
            return down("stopped", f"mlx-tree (pid {access.pid}) was killed")
        return down("failed", f"mlx-tree (pid {access.pid}) does not answer: {error or type(error).__name__}")


_supervisors: Dict[Path, MlxSupervisor] = {}


def get_mlx_supervisor(state_dir: Optional[os.PathLike[str]] = None, **options: Any) -> MlxSupervisor:
    """The supervisor of this program: always the same one for the same state directory."""
    place = Path(state_dir) if state_dir is not None else default_state_dir()
    if place not in _supervisors:
        _supervisors[place] = MlxSupervisor(place, **options)
    return _supervisors[place]


def down(state: str, reason: str) -> Status:
    """A status document for when no mlx-tree answers."""
    return {
        "state": state,
        "process_pid": None,
        "restart_count": 0,
        "health_check_failures": 0,
        "circuit_breaker_state": "closed",
        "reason": reason,
    }


async def limited(work: Awaitable[Any], seconds: float) -> Any:
    """``work``, or TimeoutError. Unlike ``asyncio.wait_for`` before Python 3.12, it never swallows a cancellation that comes at
    the very moment at which ``work`` is done: a task that watches for ever could not be ended then."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if not done:
        raise asyncio.TimeoutError
    return task.result()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        # A zombie has ended, though its number is still taken (Linux).
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return True


def _json(body: bytes) -> Dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise SupervisorError("the answer cannot be understood; is it an mlx-tree?") from None
    return document if isinstance(document, dict) else {}


async def _open(
    access: Access, method: str, path: str, token: Optional[str], accept: str, more: Sequence[str] = ()
) -> Tuple[int, Dict[str, str], asyncio.StreamReader, asyncio.StreamWriter]:
    """Sends a request, and answers the status, the headers and where the body comes from."""
    reader, writer = await asyncio.open_connection(access.host, access.port, limit=LONGEST)
    try:
        host = f"[{access.host}]" if ":" in access.host else access.host
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}:{access.port}", f"Accept: {accept}", "Connection: close", *more]
        body = b""
        if method == "POST":
            body = b"{}"
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if token is not None:
            head.append(f"Authorization: Bearer {token}")
        writer.write("\r\n".join([*head, "", ""]).encode("ascii") + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split(" ")[1]), headers, reader, writer
    except BaseException as error:
        writer.close()
        if isinstance(error, (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError)):
            raise ConnectionError("the connection was closed without an answer") from error
        raise


async def _body(headers: Mapping[str, str], reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The body in pieces, each as soon as it is there."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                return
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    elif "content-length" in headers:
        yield await reader.readexactly(min(int(headers["content-length"]), LONGEST))
    else:
        while piece := await reader.read(65536):
            yield piece


async def _ask(access: Access, method: str, path: str, token: Optional[str] = None) -> Tuple[int, bytes]:
    code, headers, reader, writer = await _open(access, method, path, token, "application/json")
    try:
        return code, b"".join([piece async for piece in _body(headers, reader)])
    except (asyncio.IncompleteReadError, ValueError) as error:
        raise ConnectionError("the answer broke off") from error
    finally:
        writer.close()


async def _listen(
    access: Access, after: int, run: Optional[str]
) -> AsyncIterator[Tuple[str, Dict[str, Any]]]:
    """The stream of events of one connection: names and documents."""
    query = f"/events?run={run}" if run else "/events"
    opened = _open(access, "GET", query, None, "text/event-stream", [f"Last-Event-ID: {after}"])
    code, headers, reader, writer = await limited(opened, QUESTION)
    try:
        if code != 200:
            raise SupervisorError(f"mlx-tree answered {code}")
        rest = b""
        pieces = _body(headers, reader).__aiter__()
        while True:
            try:
                rest += await limited(pieces.__anext__(), SILENCE)
            except StopAsyncIteration:
                return
            *blocks, rest = rest.split(b"\n\n")
            for block in blocks:
                fields: Dict[str, List[str]] = {}
                for line in block.decode("utf-8", "replace").split("\n"):
                    name, _, value = line.partition(":")
                    fields.setdefault(name, []).append(value[1:] if value.startswith(" ") else value)
                if "data" in fields:
                    yield fields.get("event", [""])[-1], _json("\n".join(fields["data"]).encode())
    finally:
        writer.close()

"""The Python of docs/PYTHON.md against the real program: MLX_TREE names it, and all of it is given up when this ends."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List

import mlx_supervisor
from mlx_supervisor import MlxSupervisor, NotRunning, SupervisorError, get_mlx_supervisor
from service_monitor import Change, Service, ServiceMonitor

PROGRAM = os.environ["MLX_TREE"]
#: The longest that anything here may take. Nothing does unless something is broken.
PATIENCE = 60.0
KEYS = ["state", "process_pid", "restart_count", "health_check_failures", "circuit_breaker_state"]
SHORT = ["restart.backoff_initial=200ms", "restart.backoff_max=200ms", "health.interval=500ms", "health.timeout=500ms", "shutdown.grace=3s"]
DEMO = [PROGRAM, "demo", *(word for key in SHORT for word in ("--set", key))]


# A test that hangs would hang whoever runs it.
faulthandler.dump_traceback_later(180, exit=True)


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.state = Path(home.name) / "state"
        self.addCleanup(self.end)

    def end(self) -> None:
        """Ends an mlx-tree that a failed test has left."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(json.loads((self.state / "control.json").read_text())["pid"], signal.SIGTERM)

    def supervisor(self, command: List[str] = DEMO, **options: Any) -> MlxSupervisor:
        return MlxSupervisor(self.state, command=command, start_timeout=options.pop("start_timeout", PATIENCE))

    async def until(self, condition: Callable[[], Any]) -> Any:
        async def wait() -> Any:
            while not (met := condition()):
                await asyncio.sleep(0.02)
            return met

        return await asyncio.wait_for(wait(), PATIENCE)

    def by_hand(self) -> "subprocess.Popen[bytes]":
        """An mlx-tree that somebody else has started."""
        env = {**os.environ, "MLX_TREE__STATE_DIR": str(self.state)}
        tree = subprocess.Popen(DEMO, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

        def end() -> None:
            with contextlib.suppress(OSError):
                tree.terminate()
            tree.wait(PATIENCE)

        self.addCleanup(end)
        return tree


class Life(Case):
    async def test_start_status_kill_and_stop(self) -> None:
        supervisor = self.supervisor()
        before = supervisor.get_status()
        self.assertEqual(list(before)[:5], KEYS)
        self.assertEqual((before["state"], before["reason"]), ("stopped", "mlx-tree is not running"))
        await supervisor.stop()  # is no error

        status = await supervisor.start()
        self.assertEqual((status["state"], status["restart_count"]), ("running", 0))
        self.assertEqual([list(supervisor.get_status())[:5], list(await supervisor.status())[:5]], [KEYS, KEYS])
        tree, server = status["supervisor"]["pid"], status["process_pid"]

        os.kill(server, signal.SIGKILL)
        heard: List[Dict[str, Any]] = []

        async def listen() -> None:
            async for event in supervisor.events():
                heard.append(event)
                if event["event"] == "server.ready" and event["epoch"] == 2:
                    return

        await asyncio.wait_for(listen(), PATIENCE)
        self.assertEqual([event["seq"] for event in heard], list(range(1, len(heard) + 1)), "none lost, none twice")
        [exited] = [event for event in heard if event["event"] == "server.exited"]
        self.assertEqual(exited["signal"], signal.SIGKILL)
        status = supervisor.get_status()
        self.assertEqual((status["state"], status["restart_count"]), ("running", 1))
        self.assertNotEqual(status["process_pid"], server)

        status = await supervisor.restart()
        self.assertEqual((status["state"], status["supervisor"]["pid"]), ("running", tree))
        server = status["process_pid"]
        await supervisor.stop()
        self.assertEqual(supervisor.get_status()["state"], "stopped")
        for pid in (tree, server):
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    async def test_who_starts_it_at_the_same_time_gets_the_same_one(self) -> None:
        one, other = self.supervisor(), self.supervisor()
        every = await asyncio.gather(one.start(), one.start(), other.start(), one.start())
        self.assertEqual(len({status["supervisor"]["pid"] for status in every}), 1)
        # One of the two has started it, and that one's stop ends it.
        owner, guest = (one, other) if one._child is not None else (other, one)
        self.assertIsNone(guest._child)
        await owner.stop()
        self.assertEqual(guest.get_status()["state"], "stopped")

    async def test_one_that_runs_already_is_joined_and_outlives_a_stop(self) -> None:
        tree = self.by_hand()
        supervisor = self.supervisor(["/nowhere/mlx-tree"])
        await self.until(lambda: "supervisor" in supervisor.get_status())
        self.assertEqual((await supervisor.start())["supervisor"]["pid"], tree.pid)
        await supervisor.stop()
        status = supervisor.get_status()
        self.assertEqual((status["state"], status["process_pid"]), ("stopped", None))
        self.assertIsNone(tree.poll())
        self.assertEqual((await supervisor.start())["state"], "running")

    async def test_the_monitor_sees_all_of_it_through_a_new_mlx_tree(self) -> None:
        supervisor, changes = self.supervisor(), []
        events: List[str] = []

        async def changed(change: Change) -> None:
            changes.append(change)
            raise RuntimeError("a mistake of the listener's, which must blind nobody")

        async def listen() -> None:
            async for event in supervisor.events():
                events.append(event["event"])

        # A whole minute: what is seen in time was heard, not looked up.
        monitor = ServiceMonitor([Service("mlx", supervisor)], changed, interval=60)
        with self.assertLogs("service_monitor", "ERROR"):
            watching = [asyncio.ensure_future(it) for it in (monitor.run(), listen())]
            try:
                await supervisor.start()
                await self.until(lambda: any(change.after["state"] == "running" for change in changes))
                first = supervisor.get_status()
                os.kill(first["process_pid"], signal.SIGKILL)
                await self.until(lambda: any(it.after["restart_count"] == 1 and it.after["state"] == "running" for it in changes))
                self.assertTrue(all(change.service == "mlx" and change.event for change in changes))
                # mlx-tree itself is killed; its guard ends the server, and another one is started.
                seen = len(events)
                os.kill(first["supervisor"]["pid"], signal.SIGKILL)
                await self.until(lambda: supervisor.get_status()["state"] == "stopped")
                self.assertIn("was killed", supervisor.get_status()["reason"])
                second = await supervisor.start()
                self.assertNotEqual(second["supervisor"]["pid"], first["supervisor"]["pid"])
                await self.until(lambda: "stream.restarted" in events[seen:] and "server.ready" in events[seen:])
                # There is a process, under the same number, before it serves.
                serves = ("running", second["process_pid"])
                await self.until(lambda: (changes[-1].after["state"], changes[-1].after["process_pid"]) == serves)
            finally:
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
        await supervisor.stop()


class Refusals(Case):
    async def test_a_start_that_cannot_succeed_says_why(self) -> None:
        for command, said in (
            (["/nowhere/mlx-tree"], "cannot be started"),
            ([PROGRAM, "run", "--set", "server.prot=1"], "server.prot"),
        ):
            with self.assertRaisesRegex(SupervisorError, said):
                await self.supervisor(command).start()
        # A server that never comes up, and a patience that ends.
        slow = self.supervisor([*DEMO, "--", "--listen-after", "1000s"], start_timeout=1.5)
        with self.assertRaisesRegex(SupervisorError, "1.5 s"):
            await slow.start()
        await slow.stop()
        # A server that goes down whenever it is started: held back in the end.
        hopeless = self.supervisor([*DEMO, "--set", "breaker.failure_threshold=1", "--", "--exit-after", "0", "--code", "3"])
        with self.assertRaisesRegex(SupervisorError, "suspended.*code 3"):
            await hopeless.start()
        await hopeless.stop()
        self.assertEqual(hopeless.get_status()["state"], "stopped")

    async def test_the_token_is_for_this_machine_and_this_user_only(self) -> None:
        supervisor = self.supervisor()
        await supervisor.start()
        path = self.state / "control.json"
        real = json.loads(path.read_text())
        self.assertNotIn(real["token"], repr(supervisor.access()))
        path.write_text(json.dumps({**real, "token": "0" * 64}))
        self.assertEqual(supervisor.get_status()["state"], "running", "reading needs none")
        with self.assertRaisesRegex(SupervisorError, "token"):
            await supervisor.perform("restart")
        for url in ("http://192.0.2.1:80", "https://127.0.0.1:1", "http://127.0.0.1.evil.example:80", "file:///etc/passwd"):
            path.write_text(json.dumps({**real, "url": url}))
            with self.assertRaisesRegex(NotRunning, "not of this machine"):
                await supervisor.perform("restart")
        for nonsense in ("", "[]", "{}", '{"url": 1}'):
            path.write_text(nonsense)
            self.assertEqual(supervisor.get_status()["state"], "stopped")
        path.write_text(json.dumps(real))
        await supervisor.stop()

    async def test_an_mlx_tree_that_hangs_is_told_and_no_second_one_is_started(self) -> None:
        question, mlx_supervisor.QUESTION = mlx_supervisor.QUESTION, 0.3
        self.addCleanup(setattr, mlx_supervisor, "QUESTION", question)
        supervisor = self.supervisor()
        tree = (await supervisor.start())["supervisor"]["pid"]
        os.kill(tree, signal.SIGSTOP)
        try:
            for status in (supervisor.get_status(), await supervisor.status()):
                self.assertEqual((list(status)[:5], status["state"]), (KEYS, "failed"))
                self.assertIn(f"pid {tree}) does not answer", status["reason"])
            with self.assertRaisesRegex(SupervisorError, "does not answer"):
                await self.supervisor().start()
        finally:
            os.kill(tree, signal.SIGCONT)
        await self.until(lambda: supervisor.get_status()["state"] == "running")
        await supervisor.stop()

    async def test_proxies_are_not_asked(self) -> None:
        # What the runner has set leads nowhere; all the other tests have gone past it too.
        self.assertEqual(os.environ["http_proxy"], "http://127.0.0.1:1")
        self.assertIs(get_mlx_supervisor(self.state), get_mlx_supervisor(self.state))
        self.assertIsNot(get_mlx_supervisor(self.state), get_mlx_supervisor())


if __name__ == "__main__":
    unittest.main()

"""The running supervisor: brings everything up in order, keeps it up, takes it down in order."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from mediagate.supervisor import StartError, postgres, probes
from mediagate.supervisor.children import Child, OneShot, drain
from mediagate.supervisor.logs import LogFile
from mediagate.supervisor.plan import ChildSpec, Plan
from mediagate.supervisor.processes import kill_session, remember

POLL_S: Final = 0.02
READY_POLL_S: Final = 0.05
STEADY_POLL_S: Final = 1.0
EXITS_BEFORE_READY_MAX: Final = 5
# A terminal and a parent such as `uv run` may both pass on the same Ctrl-C.
SAME_SIGNAL_WITHIN_S: Final = 0.5
POSTGRES_STOP_S: Final = 20.0
ENVOY_STOP_S: Final = 5.0
GRACE_S: Final = 2.0
# Some programs walk all descriptors up to the limit, so "infinite" is no good choice.
FILES_MAX: Final = 65536


class StopRequested(Exception):
    """A signal asked us to stop."""


class KillRequested(Exception):
    """A second signal asked us to stop at once."""


def raise_file_limit() -> None:
    """Let the children open as many files as the system allows: each watcher is a connection or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


class Supervisor:
    """Runs one plan until a signal ends it. `run` returns the exit code."""

    def __init__(self, plan: Plan, *, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> None:
        self._plan = plan
        self._out = out
        self._err = err
        self._logs: dict[str, LogFile] = {}
        self._children: list[Child] = []
        self._postgres: Child | None = None
        self._envoy: Child | None = None
        self._migration: OneShot | None = None
        self._ready = False
        self._stopping = False
        self._signals: list[float] = []
        self._next_news = 0.0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> int:
        """Bring everything up, keep it up, and take it down in order when a signal comes."""
        raise_file_limit()
        self._listen_for_signals()
        try:
            self._bring_up()
            self._say(self._plan.ready_message.replace("{seconds}", f"{time.monotonic() - self._plan.began:.1f}"))
            while True:
                self._turn(STEADY_POLL_S)
        except StopRequested:
            return self._take_down()
        except StartError as error:
            self._say(str(error), self._err)
            return error.exit_code
        except KillRequested:
            return 1
        except OSError as error:
            if os.environ.get("MEDIAGATE_DEBUG") == "1":
                raise
            self._say(f"mediagate cannot go on: {error.strerror}: {error.filename}", self._err)
            return 1
        finally:
            self._kill_all()

    def _bring_up(self) -> None:
        spec = self._plan.postgres
        if spec:
            postgres.stop_leftovers(spec)
        for stale in Path(self._plan.run_dir).glob("*.sock"):
            stale.unlink()
        if self._plan.envoy:
            self._envoy = self._add(Child(self._plan.envoy, self._log(self._plan.envoy.name)))
        known = spec is not None and postgres.has_schema(spec, self._plan.schema)
        if not known and self._plan.migrate.preload:
            self._migration = OneShot(self._plan.migrate, self._log("migrate"), held=True)
        servers = [self._add(Child(server, self._log(server.name), held=True)) for server in self._plan.servers]
        if spec:
            self._bring_up_postgres()
        if not known:
            self._migrate()
        for server in servers:
            server.release()
            if not server.pid:
                self._start(server)
        self._wait_for(self._answers, "mediagate", every_s=READY_POLL_S)
        self._ready = True
        for background in self._plan.background:
            self._add(Child(background, self._log(background.name)))

    def _bring_up_postgres(self) -> None:
        spec = self._plan.postgres
        assert spec is not None
        if not postgres.is_made(spec):
            for command, given in postgres.make_commands(spec):
                step = OneShot(ChildSpec("postgres", command), self._log("postgres"), given=given, user=spec.user)
                if self._run_to_end(step) != 0:
                    raise StartError(f"The embedded PostgreSQL cannot be set up: {step.last_line()}")
            postgres.finish_making(spec)
        child = Child(
            ChildSpec("postgres", postgres.server_command(spec)),
            self._log("postgres"),
            stop_signal=signal.SIGINT,
            kill_signal=signal.SIGQUIT,
            on_our_death=signal.SIGINT,
            user=spec.user,
            before_start=lambda: postgres.stop_leftovers(spec),
        )
        self._postgres = self._add(child)
        self._wait_for(lambda: child.pid is not None and postgres.is_ready(spec, child.pid), "PostgreSQL")

    def _migrate(self) -> None:
        migration = self._migration or OneShot(self._plan.migrate, self._log("migrate"))
        migration.release()
        code = self._run_to_end(migration)
        said = migration.last_line()
        if code == 2 and said:
            raise StartError(said)
        if code != 0:
            raise StartError(f"The database migration failed with exit code {code}: {said}", exit_code=1)
        if self._plan.postgres:
            postgres.note_schema(self._plan.postgres, self._plan.schema)

    def _run_to_end(self, command: OneShot) -> int:
        """Wait for a command while watching everything else. Returns its exit code."""
        try:
            while (code := command.poll()) is None:
                self._turn(POLL_S, command.output)
            command.poll()
            return code
        finally:
            command.close()

    def _add(self, child: Child) -> Child:
        self._children.append(child)
        self._start(child)
        return child

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except (OSError, StartError) as error:
            sentence = f"{child.name} cannot be started: {getattr(error, 'strerror', error)}"
            if not self._ready:
                raise StartError(sentence) from None
            self._say(sentence, self._err)
            child.postpone()
        remember(self._plan.pids_file, {one.name: one.pid for one in self._children if one.pid})

    def _log(self, name: str) -> LogFile | None:
        if self._plan.log_dir is None:
            return None
        if name not in self._logs:
            directory = Path(self._plan.log_dir)
            directory.mkdir(mode=0o700, exist_ok=True)
            self._logs[name] = LogFile(directory, name)
        return self._logs[name]

    def _answers(self) -> bool:
        # Envoy logs each refused question, so it is not asked before it can say yes.
        if not all(os.path.exists(server.socket) for server in self._plan.servers if server.socket):
            return False
        if self._plan.ready_http:
            return probes.answers_ready(*self._plan.ready_http)
        if self._plan.ready_tcp:
            return probes.takes_connections(*self._plan.ready_tcp)
        return True

    def _wait_for(self, done: Callable[[], bool], who: str, every_s: float = POLL_S) -> None:
        deadline = time.monotonic() + self._plan.ready_within_s
        while not done():
            if time.monotonic() >= deadline:
                where = f" See {self._plan.log_dir}." if self._plan.log_dir else ""
                raise StartError(f"{who} was not ready within {self._plan.ready_within_s:g} s.{where}", exit_code=5)
            self._turn(every_s)

    def _turn(self, wait_s: float, *also: int) -> None:
        """Wait for a signal, an ended child or the time; then do what is due."""
        due = [child.start_again_at for child in self._children if child.start_again_at is not None]
        wait_s = max(0.0, min([wait_s, *(at - time.monotonic() for at in due)]))
        select.select([self._wake_read, *also], [], [], wait_s)
        drain(self._wake_read)
        self._heed_signals()
        for child in self._children:
            if child.reap():
                self._mourn(child)
            if child.is_due() and not self._stopping:
                self._start(child)
        if time.monotonic() >= self._next_news:
            self._next_news = time.monotonic() + STEADY_POLL_S
            self._tell_news()

    def _mourn(self, child: Child) -> None:
        if self._stopping:
            return
        if not self._ready and child.exit_code == 2:
            raise StartError(child.log.last_line() if child.log else child.obituary())
        if not self._ready and child.exits >= EXITS_BEFORE_READY_MAX:
            where = f" Its log is {child.log.path}." if child.log else ""
            raise StartError(f"{child.obituary()}. It ended {child.exits} times in a row.{where}", exit_code=1)
        if self._ready:
            self._say(f"{child.obituary()}; starting it again.", self._err)

    def _tell_news(self) -> None:
        if self._stopping:
            return
        for name, log in self._logs.items():
            for line in log.news():
                self._say(f"{name} | {line}", self._err)

    def _take_down(self) -> int:
        """Let running requests finish, then stop in the order in which each is needed by the others."""
        self._stopping = True
        clean = True
        servers = [child for child in self._children if child not in (self._envoy, self._postgres)]
        patience_s = self._plan.drain_s + self._plan.shutdown_s + GRACE_S
        deadline = time.monotonic() + patience_s
        try:
            if self._ready:
                self._say("Stopping: running requests may finish. Ctrl-C again ends everything at once.", self._err)
            clean &= self._stop(servers, patience_s)
            clean &= self._let_envoy_finish(deadline)
            clean &= self._stop([self._envoy], ENVOY_STOP_S)
            clean &= self._stop([self._postgres], POSTGRES_STOP_S)
        except KillRequested:
            return 1
        return 0 if clean else 1

    def _stop(self, children: Iterable[Child | None], patience_s: float) -> bool:
        """Stop these. False if one did not end in time and had to be killed, or ended with an error."""
        running = [child for child in children if child and child.process]
        for child in running:
            child.stop()
        if self._wait_quietly(lambda: not any(child.process for child in running), patience_s):
            return all(child.ended_well() for child in running)
        for child in running:
            if child.process:
                self._say(f"{child.name} did not stop within {patience_s:g} s and was killed.", self._err)
                child.kill()
        return False

    def _let_envoy_finish(self, deadline: float) -> bool:
        """Wait for the answers that Envoy still carries, to a slow reader or straight from a store."""
        admin = self._plan.envoy_admin
        if not admin or not self._envoy or not self._envoy.process or not self._ready:
            return True
        return self._wait_quietly(lambda: not probes.carries_anything(admin), deadline - time.monotonic())

    def _wait_quietly(self, done: Callable[[], bool], patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while not done():
            if time.monotonic() >= deadline:
                return False
            self._turn(POLL_S)
        return True

    def _kill_all(self) -> None:
        """Leave nothing running. PostgreSQL gets the moment it needs to end its own processes."""
        self._stopping = True
        if self._migration:
            self._migration.close()
        for child in self._children:
            child.kill()
        deadline = time.monotonic() + GRACE_S
        for child in self._children:
            while child.process and not child.reap():
                if time.monotonic() >= deadline:
                    kill_session(child.process.pid)
                time.sleep(POLL_S)
        self._plan.pids_file.unlink(missing_ok=True)

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup` and its like ignore SIGHUP on purpose.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: self._signals.append(time.monotonic()))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def _heed_signals(self) -> None:
        if not self._signals:
            return
        if self._stopping and self._signals[-1] - self._signals[0] > SAME_SIGNAL_WITHIN_S:
            raise KillRequested
        if not self._stopping:
            raise StopRequested

    def _say(self, text: str, where: TextIO | None = None) -> None:
        try:
            print(text, file=where or self._out, flush=True)
        except OSError:
            # A closed terminal is no reason to stop serving.
            return

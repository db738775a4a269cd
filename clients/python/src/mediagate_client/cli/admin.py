"""`mediagate keys`, `mediagate users` and `mediagate teams`: what AdminService does, from the shell.

The commands of the three differ in a few words, so that they are built from one table of options.
"""

# Signatures are read when the commands are built, so that annotations cannot be texts here.
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from mediagate_client.cli import show
from mediagate_client.cli.options import command, group
from mediagate_client.cli.shell import Shell

PAGE_SIZE: Final = 1000

_LIMITS: Final[tuple[tuple[str, type, str], ...]] = (
    ("models", list, "A model that may be used; repeat it. `*` at the end stands for any text."),
    ("providers", list, "A provider that may be used; repeat it."),
    ("max_budget", float, "The most that may be spent in a period, US dollars."),
    ("soft_budget", float, "Spending is warned about from here on, US dollars."),
    ("budget_duration", str, "When the budget begins anew: 30d, 12h, 1mo."),
    ("rpm_limit", int, "Requests a minute."),
    ("tpm_limit", int, "Tokens of chats a minute, both directions together."),
    ("uploads_per_minute", int, "Uploads a minute."),
    ("bytes_per_minute", float, "Bytes a minute, up and down together."),
    ("max_parallel_requests", int, "Requests at the same time."),
    ("max_parallel_uploads", int, "Uploads at the same time."),
    ("storage_quota_bytes", float, "The most that may be stored, bytes."),
    ("end_user_storage_quota_bytes", float, "The same for each end user."),
    ("placement", dict, "What accounts must be like, as LABEL=VALUE; repeat it."),
    ("retention_days", dict, "How long files are kept, as PURPOSE=DAYS; repeat it."),
    ("guardrails", list, "A guardrail that runs beside those that always do; repeat it."),
    ("blocked", bool, "Refuse every call."),
)
_KEY: Final[tuple[tuple[str, type, str], ...]] = (
    ("key_alias", str, "A name among all keys."),
    ("user_id", str, "Whose key it is."),
    ("team_id", str, "The team whose objects it shares."),
    ("duration", str, "The key expires this long from now: 30d, 12h; `never`."),
    *_LIMITS,
    ("admin", bool, "It administers the gateway."),
    ("allow_provider_access", bool, "It may name files at providers by their own ids."),
)
_SHORT: Final = {"models": "--model", "providers": "--provider", "guardrails": "--guardrail"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One of keys, users, teams. `named_by` is the member that names one; `columns` are what a list shows."""

    noun: str
    create: str
    named_by: str
    many: str
    options: tuple[tuple[str, type, str], ...]
    columns: tuple[str, ...]
    may_name: bool = field(default=True)


KINDS: Final = (
    Kind(
        "key",
        "generate",
        "key",
        "keys",
        _KEY,
        ("key_id", "key_name", "key_alias", "user_id", "team_id", "spend", "max_budget", "expires_at"),
        may_name=False,
    ),
    Kind(
        "user",
        "new",
        "user_id",
        "user_ids",
        (("user_alias", str, "A name for people."), ("user_email", str, "Where to reach them."), *_LIMITS),
        ("user_id", "user_alias", "user_email", "spend", "max_budget"),
    ),
    Kind(
        "team",
        "new",
        "team_id",
        "team_ids",
        (("team_alias", str, "A name for people."), *_LIMITS),
        ("team_id", "team_alias", "spend", "max_budget"),
    ),
)


def commands_of(kind: Kind) -> typer.Typer:
    """The sub-commands of one kind."""
    noun = kind.noun
    app = group(f"{noun.capitalize()}s: make, list, change and delete them.")
    command(app, "create", help=f"Make a {noun}. Prints {_printed(kind)}.", admin=True)(_create(kind))
    command(app, "update", help=f"Change what is given of a {noun}.", admin=True)(_update(kind))
    command(app, "list", help=f"List every {noun}, newest first. `ls` is the same.", admin=True)(_list(kind))
    command(app, "show", help=f"Show one {noun}, as JSON.", admin=True)(_show(kind))
    also = "" if noun == "key" else " and their keys"
    command(app, "delete", help=f"Delete {noun}s{also}: all or none. `rm` is the same.", admin=True)(_delete(kind))
    if noun == "key":
        command(app, "regenerate", help="Give a key another secret; the old one is refused.", admin=True)(_regenerate)
    return app


def _printed(kind: Kind) -> str:
    return "the key, which is shown this once" if kind.noun == "key" else "its id"


def _create(kind: Kind) -> Callable[..., None]:
    def run(shell: Shell, **given: Any) -> None:
        members = _members(kind, given)
        if kind.may_name and given.get(kind.named_by):
            members[kind.named_by] = given[kind.named_by]
        if kind.noun == "user":
            members["auto_create_key"] = False
        made = shell.rest.post(f"/{kind.noun}/{kind.create}", members)
        # The secret alone can be put into a variable: KEY=$(mediagate keys create ...).
        shell.answer(made, lambda: [made["key"] if kind.noun == "key" else made[kind.named_by]])

    options = list(kind.options)
    if kind.may_name:
        options.insert(0, (kind.named_by, str, "The id. Default: a new one."))
    return _with_options(run, options)


def _update(kind: Kind) -> Callable[..., None]:
    def run(
        shell: Shell,
        name: Annotated[str, typer.Argument(metavar=kind.noun.upper(), help=_naming(kind))],
        clear: Annotated[list[str] | None, typer.Option("--clear", help="A member to clear; repeat it.")] = None,
        **given: Any,
    ) -> None:
        members = _members(kind, given)
        mask = {"update_mask": ",".join([*members, *clear])} if clear else {}
        changed = shell.rest.post(f"/{kind.noun}/update", {kind.named_by: name, **members}, mask)
        shell.answer(changed, lambda: _table([changed], kind.columns))

    return _with_options(run, kind.options)


def _list(kind: Kind) -> Callable[..., None]:
    def run(shell: Shell) -> None:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = shell.rest.get(f"/{kind.noun}/list", {"size": PAGE_SIZE, "page_token": token})
            found += page.get(f"{kind.noun}s", [])
            token = page.get("next_page_token", "")
            if not token:
                break
        shell.answer(found, lambda: _table(found, kind.columns))

    return run


def _show(kind: Kind) -> Callable[..., None]:
    def run(
        shell: Shell,
        name: Annotated[str, typer.Argument(metavar=kind.noun.upper(), help=_naming(kind))],
    ) -> None:
        shell.json = True
        shell.answer(shell.rest.get(f"/{kind.noun}/info", {kind.named_by: name}), list)

    return run


def _delete(kind: Kind) -> Callable[..., None]:
    def run(
        shell: Shell,
        names: Annotated[list[str], typer.Argument(metavar=kind.noun.upper(), help=_naming(kind))],
    ) -> None:
        gone = shell.rest.post(f"/{kind.noun}/delete", {kind.many: names})
        shell.answer(gone, lambda: gone[f"deleted_{kind.noun}s"])

    return run


def _regenerate(
    shell: Shell, name: Annotated[str, typer.Argument(metavar="KEY", help="The key, its id or its alias.")]
) -> None:
    made = shell.rest.post("/key/regenerate", {"key": name})
    shell.answer(made, lambda: [made["key"]])


def _naming(kind: Kind) -> str:
    return "The key, its id or its alias." if kind.noun == "key" else "The id."


def _with_options(run: Callable[..., None], options: Any) -> Callable[..., None]:
    """The function with an option for each row of the table in the place of its `**given`."""
    signature = inspect.signature(run, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_type_of(type_), typer.Option(_SHORT.get(name, _flag(name, type_)), help=says)],
        )
        for name, type_, says in options
    ]
    run.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *more)}
    return run


def _type_of(type_: type) -> Any:
    return list[str] | None if type_ in (list, dict) else type_ | None


def _flag(name: str, type_: type) -> str:
    flag = "--" + name.replace("_", "-")
    return f"{flag}/--no-{flag.removeprefix('--')}" if type_ is bool else flag


def _members(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as the members of a request."""
    types = {name: type_ for name, type_, _ in kind.options}
    return {
        name: _pairs(name, value) if types[name] is dict else value
        for name, value in given.items()
        if name in types and value is not None and value != []
    }


def _pairs(name: str, texts: list[str]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for text in texts:
        label, equals, value = text.partition("=")
        if not equals or (name == "retention_days" and not value.isdecimal()):
            raise typer.BadParameter(f"{text} is not LABEL=VALUE.", param_hint=_flag(name, dict))
        pairs[label] = int(value) if name == "retention_days" else value
    return pairs


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[str]:
    return show.table(columns, [[row.get(column) for column in columns] for row in rows])


keys, users, teams = (commands_of(kind) for kind in KINDS)

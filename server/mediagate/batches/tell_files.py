"""How the provider of a batch is told of the files that its lines mention."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediagate.batches.journal import maker_of
from mediagate.batches.translate import DIALECTS
from mediagate.chat.choose_ways import Plan
from mediagate.chat.mentioned import Reader
from mediagate.chat.resolve_files import ResolveFiles
from mediagate.core.batches import Batch
from mediagate.core.chat import FileUse, MediaKind, Mention, Way
from mediagate.core.errors import InvalidField
from mediagate.providers.registry import chat_spec
from mediagate.routing.catalog import ModelCatalog


@dataclass(frozen=True, slots=True)
class TellFiles:
    """Says it as for a chat, and copies the file to the provider where that takes it. A link to one of our files is no
    way: it is gone before the provider comes to the line."""

    resolve: ResolveFiles
    catalog: ModelCatalog

    async def run(self, batch: Batch, mention: Mention) -> tuple[MediaKind, FileUse] | None:
        """None for what goes to the provider as it is. Raises what is wrong with the mention as a chat does, and
        `InvalidField` for a file that the provider could only fetch."""
        deployment = next((one for one in self.catalog.all() if one.id == batch.deployment), None)
        dialect = DIALECTS.get(batch.endpoint)
        if deployment is None or dialect is None:
            raise InvalidField("Files cannot be used in these lines.", param=mention.param, code="unsupported_part")
        named = deployment.named(batch.model or "")
        spec, who = chat_spec(named.provider), maker_of(batch)
        files = await self.resolve.load(who, [mention])
        [plan] = self.resolve.plans(who, files, [Reader(named, spec, dialect)])
        async with self.resolve.uses(_lasting(plan, mention)) as uses:
            return uses[mention.path]


def _lasting(plan: Plan, mention: Mention) -> Plan:
    """The plan without links to files of ours."""
    choices = tuple(
        (one, possible if one.file is None else tuple(choice for choice in possible if choice.way is not Way.LINK))
        for one, possible in plan.choices
    )
    if not all(possible for _, possible in choices):
        raise InvalidField(
            f"{plan.reader.spec.title} could only fetch this file by a link, and links are gone before a batch is "
            "done. Ask the model of another provider, or send the file in a chat.",
            param=mention.param,
            code="unsupported_part",
        )
    return replace(plan, choices=choices)

"""Our rule among the life-cycle rules of a bucket.

S3 has one document for all rules, and no condition on its replacement: it is read, our rule is put in its place, and it
is written only where that makes a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree

from botocore.serialize import create_serializer

from mediagate.core.errors import ProviderRefused
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.failures import TITLE, refusal_code
from mediagate.providers.bedrock.settings import Settings
from mediagate.providers.files import RetentionPlan
from mediagate.providers.http_failures import nowhere

RULES_MAX: Final = 1000
_MINIMUM: Final = "TransitionDefaultMinimumObjectSize"


def rule_id(prefix: str) -> str:
    """How our rule for a prefix is called."""
    return f"mediagate-retention:{prefix}"


def our_rule(prefix: str, days: int, *, old_style: bool = False) -> dict[str, Any]:
    """Objects, their older versions, and uploads that nobody finished. In the old style the prefix has no filter."""
    place = {"Prefix": f"{prefix}/"}
    return {
        "ID": rule_id(prefix),
        **(place if old_style else {"Filter": place}),
        "Status": "Enabled",
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def merged(rules: list[dict[str, Any]], prefix: str, days: int | None) -> list[dict[str, Any]]:
    """The rules with ours in its place, or at the end where it is new; without it where `days` is None."""
    # S3 refuses documents that mix the two styles (https://github.com/aws/aws-sdk-ruby/issues/1653).
    old_style = any("Prefix" in rule for rule in rules if rule.get("ID") != rule_id(prefix))
    ours = [] if days is None else [our_rule(prefix, days, old_style=old_style)]
    result: list[dict[str, Any]] = []
    for rule in rules:
        if rule.get("ID") != rule_id(prefix):
            result.append(rule)
        else:
            result += ours
            ours = []
    return result + ours


class Retention:
    """The life-cycle rules of an account's bucket."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    @property
    def _settings(self) -> Settings:
        return self._s3.settings

    async def plan(self) -> RetentionPlan:
        """Read the rules and merge ours. Raises `ProviderRefused` where the bucket is missing, has no room for another
        rule, or has rules that would not come through unchanged."""
        bucket, prefix, days = self._settings.bucket, self._settings.prefix, self._settings.retention_days
        found, raw, more = await self._read(bucket)
        wanted = merged(found, prefix, days)
        current = next((rule for rule in found if rule.get("ID") == rule_id(prefix)), None)
        changed = wanted != found
        if changed and len(wanted) > RULES_MAX:
            raise ProviderRefused(
                f"The bucket has {len(found)} life-cycle rules already; {TITLE} takes {RULES_MAX}.",
                code="provider_lifecycle_full",
            )
        if changed and raw:
            await self._s3.run(lambda client: _check_nothing_is_lost(client, bucket, found, raw))
        current_days = (current or {}).get("Expiration", {}).get("Days")
        return RetentionPlan(
            bucket=bucket,
            prefix=prefix,
            days=days,
            current_days=current_days,
            rules={"Rules": wanted, **more} if changed else None,
            summary=_summary(f"s3://{bucket}/{prefix}/", days, current_days, changed, len(found) - bool(current)),
        )

    async def apply(self) -> RetentionPlan:
        """Plan, and write where there is a difference."""
        plan = await self.plan()
        if plan.rules is None:
            return plan
        document = dict(plan.rules)
        rules = document.pop("Rules")
        if rules:
            await self._s3.call(
                "put_bucket_lifecycle_configuration",
                Bucket=plan.bucket,
                LifecycleConfiguration={"Rules": rules},
                **document,
            )
        else:
            await self._s3.call("delete_bucket_lifecycle", Bucket=plan.bucket)
        return plan

    async def _read(self, bucket: str) -> tuple[list[dict[str, Any]], bytes, dict[str, Any]]:
        """The rules, the document that they were read from, and what stands beside them."""
        try:
            answer, raw = await self._s3.run(lambda client: _with_document(client, bucket))
        except FileNotFoundError as error:
            if refusal_code(error) == "NoSuchLifecycleConfiguration":
                return [], b"", {}
            raise nowhere(TITLE) from None
        more = {_MINIMUM: answer[_MINIMUM]} if answer.get(_MINIMUM) else {}
        return list(answer.get("Rules", ())), raw, more


def _with_document(client: Any, bucket: str) -> tuple[dict[str, Any], bytes]:
    documents: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        documents.append(response_dict["body"])

    event = "before-parse.s3.GetBucketLifecycleConfiguration"
    client.meta.events.register(event, keep)
    try:
        answer = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    finally:
        client.meta.events.unregister(event, keep)
    return answer, documents[-1]


def _check_nothing_is_lost(client: Any, bucket: str, rules: list[dict[str, Any]], raw: bytes) -> None:
    """The SDK drops elements that it does not know. A rule with such a one would be written back without it."""
    model = client.meta.service_model.operation_model("PutBucketLifecycleConfiguration")
    params = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": rules}}
    written = create_serializer("rest-xml").serialize_to_request(params, model)["body"]
    if Counter(_elements(raw)) != Counter(_elements(written)):
        raise ProviderRefused(
            "The bucket has life-cycle rules of a newer kind, which would be damaged. Set the gateway's rule by hand.",
            code="provider_lifecycle_unknown",
        )


def _elements(document: bytes) -> Iterator[str]:
    """The names of all elements inside of rules."""
    root = ElementTree.fromstring(document)  # noqa: S314 (S3's own answer over an authenticated channel)
    for rule in root:
        yield from (element.tag.rpartition("}")[2] for element in rule.iter())


def _summary(place: str, days: int | None, current_days: int | None, changed: bool, foreign: int) -> str:
    kept = f"; {foreign} other rules stay as they are" if foreign else ""
    if not changed:
        state = "no rule of ours" if days is None else f"expires after {days} days"
        return f"{place}: {state}, nothing to write"
    if days is None:
        return f"{place}: the rule of {current_days} days is removed{kept}"
    before = f" instead of {current_days}" if current_days not in (None, days) else ""
    return f"{place}: expires after {days} days{before}{kept}"

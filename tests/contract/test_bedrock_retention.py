"""Our life-cycle rule among those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import web

from mediagate.core.errors import ProviderRefused
from mediagate.providers.bedrock.files import BedrockFiles, build
from mediagate.providers.bedrock.retention import RULES_MAX, merged, our_rule
from tests.doubles.s3 import account, s3

OLD_STYLE: list[dict[str, Any]] = [
    {"ID": "logs", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 3}},
    {
        "ID": "old",
        "Prefix": "",
        "Status": "Disabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    },
]
FOREIGN: list[dict[str, Any]] = [
    {
        "ID": "archive",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"}]}},
        "Status": "Disabled",
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 9, "StorageClass": "GLACIER"}],
    },
    {
        "ID": "mediagate-retention:other",
        "Filter": {"Prefix": "other/"},
        "Status": "Enabled",
        "Expiration": {"Days": 4},
    },
]


@asynccontextmanager
async def kept(url: str, s3_bucket: str, days: int | None) -> AsyncIterator[BedrockFiles]:
    """The account with this retention."""
    files = build(account(url, s3_bucket, retention_days=days))
    try:
        yield files
    finally:
        await files.close()


def rules_of(s3_client: Any, s3_bucket: str) -> list[dict[str, Any]]:
    """What the bucket has; no rules where it has no configuration."""
    try:
        rules: list[dict[str, Any]] = s3_client.get_bucket_lifecycle_configuration(Bucket=s3_bucket)["Rules"]
    except s3_client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration"
        return []
    return rules


async def test_a_bucket_without_rules_gets_ours_once(moto_url: str, s3_client: Any, s3_bucket: str) -> None:
    async with kept(moto_url, s3_bucket, 7) as files:
        plan = await files.plan_retention()
        assert (plan.bucket, plan.prefix, plan.days, plan.current_days) == (s3_bucket, "mediagate", 7, None)
        assert plan.rules == {"Rules": [our_rule("mediagate", 7)]}
        assert rules_of(s3_client, s3_bucket) == []
        await files.apply_retention()
        (rule,) = rules_of(s3_client, s3_bucket)
        assert rule["ID"] == "mediagate-retention:mediagate"
        assert rule["Filter"]["Prefix"] == "mediagate/"
        assert rule["Expiration"]["Days"] == 7
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
        again = await files.apply_retention()
        assert (again.rules, again.current_days) == (None, 7)


@pytest.mark.parametrize(("foreign", "place"), [(FOREIGN, "Filter"), (OLD_STYLE, "Prefix")], ids=["filters", "old"])
async def test_rules_of_others_stay_as_they_are(
    moto_url: str, s3_client: Any, s3_bucket: str, foreign: list[dict[str, Any]], place: str
) -> None:
    s3_client.put_bucket_lifecycle_configuration(Bucket=s3_bucket, LifecycleConfiguration={"Rules": foreign})
    before = rules_of(s3_client, s3_bucket)
    for days in (7, 30):
        async with kept(moto_url, s3_bucket, days) as files:
            plan = await files.apply_retention()
            assert "2 other rules stay" in plan.summary
            assert (await files.plan_retention()).rules is None
        *theirs, ours = rules_of(s3_client, s3_bucket)
        assert theirs == before
        assert ours["Expiration"]["Days"] == days
        # S3 refuses a document in two styles; moto does not.
        assert (ours.get("Filter") or ours)["Prefix"] == "mediagate/"
        assert place in ours
    async with kept(moto_url, s3_bucket, None) as files:
        plan = await files.apply_retention()
        assert (plan.days, plan.current_days) == (None, 30)
        assert rules_of(s3_client, s3_bucket) == before
        assert (await files.apply_retention()).rules is None


async def test_without_any_rule_left_the_configuration_goes(
    moto_url: str,
    s3_client: Any,
    s3_bucket: str,
) -> None:
    async with kept(moto_url, s3_bucket, 7) as files:
        await files.apply_retention()
    async with kept(moto_url, s3_bucket, None) as files:
        await files.apply_retention()
        assert rules_of(s3_client, s3_bucket) == []
        assert (await files.plan_retention()).rules is None


async def test_a_missing_bucket_is_a_matter_of_the_configuration(moto_url: str) -> None:
    async with kept(moto_url, "no-such-bucket-anywhere", 7) as files:
        with pytest.raises(ProviderRefused) as failed:
            await files.plan_retention()
    assert failed.value.code == "provider_not_found"


def test_our_rule_keeps_its_place() -> None:
    rules = [FOREIGN[0], our_rule("mediagate", 7), FOREIGN[1]]
    assert merged(rules, "mediagate", 8) == [FOREIGN[0], our_rule("mediagate", 8), FOREIGN[1]]
    assert merged(rules, "mediagate", None) == [FOREIGN[0], FOREIGN[1]]
    assert merged(rules, "elsewhere", 1) == [*rules, our_rule("elsewhere", 1)]


class Bucket:
    """The life-cycle of one bucket as S3 writes it."""

    def __init__(self, rules: str) -> None:
        self._rules = rules
        self.written: list[tuple[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        minimum = "x-amz-transition-default-minimum-object-size"
        if request.method == "PUT":
            self.written.append((await request.text(), request.headers.get(minimum, "")))
            return web.Response()
        body = f'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{self._rules}</LifecycleConfiguration>'
        return web.Response(text=body, content_type="application/xml", headers={minimum: "varies_by_storage_class"})


def rule(number: int, more: str = "") -> str:
    """A rule of somebody else."""
    return (
        f"<Rule><ID>r{number}</ID><Filter><Prefix>p{number}/</Prefix></Filter><Status>Enabled</Status>"
        f"<Expiration><Days>1</Days></Expiration>{more}</Rule>"
    )


async def test_what_stands_beside_the_rules_is_written_back() -> None:
    double = Bucket(rule(1))
    async with s3(double, retention_days=5) as (files, _):
        await files.apply_retention()
    ((body, minimum),) = double.written
    assert minimum == "varies_by_storage_class"
    theirs, ours = ElementTree.fromstring(body)
    assert sorted(_leaves(theirs)) == sorted(_leaves(ElementTree.fromstring(rule(1))))
    assert ("ID", "mediagate-retention:mediagate") in _leaves(ours)


def _leaves(element: ElementTree.Element) -> list[tuple[str, str]]:
    """Names and texts of an element and all below it."""
    return [(found.tag.rpartition("}")[2], found.text or "") for found in element.iter()]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ("".join(rule(number) for number in range(RULES_MAX)), "provider_lifecycle_full"),
        (rule(1, "<Hibernation><Days>5</Days></Hibernation>"), "provider_lifecycle_unknown"),
    ],
    ids=["full", "unknown element"],
)
async def test_what_cannot_be_kept_is_not_written(rules: str, code: str) -> None:
    double = Bucket(rules)
    async with s3(double, retention_days=5) as (files, _):
        with pytest.raises(ProviderRefused) as failed:
            await files.apply_retention()
    assert failed.value.code == code
    assert not failed.value.retryable
    assert double.written == []

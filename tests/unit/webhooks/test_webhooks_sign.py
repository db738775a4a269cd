"""Signatures, against the vector that the libraries of Standard Webhooks share, and both verifiers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import openai
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mediagate.webhooks.sign import hint_of, new_secret, signed_headers

BODY = b'{"id":"evt_1"}'


def test_the_shared_vector() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_valid_secret_verifies_with_both_libraries_and_no_other_does() -> None:
    secrets = [new_secret() for _ in range(3)]
    headers = signed_headers("evt_1", BODY, secrets[:2], datetime.now(UTC))
    client = openai.OpenAI(api_key="unused")
    for secret in secrets[:2]:
        Webhook(secret).verify(BODY, headers)
        client.webhooks.verify_signature(BODY, headers, secret=secret)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[2]).verify(BODY, headers)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.verify_signature(BODY, headers, secret=secrets[2])


def test_a_secret_is_256_random_bits_of_which_a_hint_shows_little() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret[6:])) == 32
    assert secret != new_secret()
    assert hint_of(secret) == "whsec_…" + secret[-4:]

"""TokenService: translate, call, translate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from google.protobuf.json_format import MessageToDict

from mediagate._gen.mediagate.v1 import tokens_pb2, tokens_pb2_grpc
from mediagate.access.create_token import CreateToken, TokenWish
from mediagate.access.tokens import GetToken, ListTokens, RevokeToken
from mediagate.api.call import Call
from mediagate.api.callers import QUERY
from mediagate.api.convert import text_or_null, unix
from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField
from mediagate.core.handles import HandleKind, Token
from mediagate.core.limits import echo
from mediagate.core.periods import end_of_period
from mediagate.files.upload_terms import SettleUpload


@dataclass(frozen=True, slots=True)
class TokenServicer(tokens_pb2_grpc.TokenServiceServicer):
    """Serves `mediagate.v1.TokenService`. `public_url` is where browsers reach the gateway; empty where nobody says."""

    create_token: CreateToken
    settle_upload: SettleUpload
    get_token: GetToken
    list_tokens: ListTokens
    revoke_token: RevokeToken
    clock: Clock
    public_url: str

    async def CreateToken(self, request: tokens_pb2.CreateTokenRequest, call: Call) -> tokens_pb2.Token:
        kind = HandleKind(request.kind)
        terms = None
        if kind is HandleKind.UPLOAD:
            terms = self.settle_upload.run(call.principal, _tree(request.upload))
        elif request.HasField("upload"):
            raise InvalidField("'upload' is for tokens of the kind 'upload'.", param="upload")
        wish = TokenWish(
            kind=kind,
            video_id=request.video_id or None,
            file_id=request.file_id or None,
            end_user=request.user or None,
            lifetime_s=self._lifetime_s(request.expires_in) if request.HasField("expires_in") else None,
            terms=terms,
            reserves=request.upload.HasField("bytes_max"),
        )
        token, secret = await self.create_token.run(call.principal, wish)
        message = self._message(token)
        message.token = secret
        path = _path_of(token)
        if path is not None:
            message.url = f"{self.public_url}{path}?{urlencode({QUERY: secret})}"
        call.respond([("cache-control", "no-store")])
        return message

    async def ListTokens(self, request: tokens_pb2.ListTokensRequest, call: Call) -> tokens_pb2.ListTokensResponse:
        page = await self.list_tokens.run(
            call.principal,
            after=request.after,
            limit=request.limit,
            end_user=request.user,
            object_id=request.video_id or request.file_id,
            kind=HandleKind(request.kind) if request.kind else None,
        )
        return tokens_pb2.ListTokensResponse(
            object="list",
            data=[self._message(token) for token in page.items],
            first_id=text_or_null(page.items[0].id if page.items else None),
            last_id=text_or_null(page.items[-1].id if page.items else None),
            has_more=page.has_more,
        )

    async def GetToken(self, request: tokens_pb2.GetTokenRequest, call: Call) -> tokens_pb2.Token:
        return self._message(await self.get_token.run(call.principal, request.token_id))

    async def RevokeToken(self, request: tokens_pb2.RevokeTokenRequest, call: Call) -> tokens_pb2.Token:
        return self._message(await self.revoke_token.run(call.principal, request.token_id))

    def _lifetime_s(self, text: str) -> float:
        now = self.clock.now()
        try:
            return (end_of_period(now, text) - now).total_seconds()
        except ValueError:
            raise InvalidField(
                f"'expires_in' is not a duration: '{echo(text)}'. Write it like 90s, 15m, 12h or 7d.",
                param="expires_in",
            ) from None

    def _message(self, token: Token) -> tokens_pb2.Token:
        is_video = token.object_id is not None and ids.VIDEO.matches(token.object_id)
        return tokens_pb2.Token(
            id=token.id,
            object="token",
            kind=token.kind.value,
            status=token.status(self.clock.now()),
            created_at=unix(token.created_at),
            expires_at=unix(token.expires_at),
            revoked_at=None if token.revoked_at is None else unix(token.revoked_at),
            hint=token.hint,
            video_id=token.object_id if is_video else None,
            file_id=token.made_id if is_video or token.object_id is None else token.object_id,
            user=token.end_user,
            key_id=token.key_id,
            upload=None if token.terms is None else _upload(token),
        )


def _tree(upload: tokens_pb2.TokenUpload) -> dict[str, Any]:
    return MessageToDict(upload, preserving_proto_field_name=True)


def _upload(token: Token) -> tokens_pb2.TokenUpload:
    terms = token.terms
    assert terms is not None
    message = tokens_pb2.TokenUpload(
        purpose=terms.field("purpose"),
        bytes_max=terms.bytes_max,
        filename=terms.filename,
        on_partial=terms.field("on_partial"),
    )
    seconds = terms.field("expires_after[seconds]")
    if seconds is not None:
        message.expires_after.anchor = "created_at"
        message.expires_after.seconds = int(seconds)
    targets = [value for name, value in terms.fields if name == "custom_llm_provider"]
    if targets:
        message.custom_llm_provider.list_value.extend(targets)
    return message


def _path_of(token: Token) -> str | None:
    """Where the token is of use; None for one that is of use in many places."""
    match token.kind:
        case HandleKind.WATCH:
            return f"/v1/videos/{token.object_id}/events"
        case HandleKind.PLAYBACK:
            kind = "videos" if ids.VIDEO.matches(token.object_id or "") else "files"
            return f"/v1/{kind}/{token.object_id}/content"
        case HandleKind.UPLOAD:
            return "/v1/files"
    return None

"""What the handlers of S3's operations work with."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from runstream.events.moments import moment_of
from runstream_protocols.kit.entities import Entities
from runstream_protocols.kit.side import GatewaySide
from runstream_protocols.sagemaker.paths import ADDRESS
from runstream_protocols.sagemaker.s3.errors import no_bucket
from runstream_protocols.sagemaker.s3.framing import ChunkSigner
from runstream_protocols.sagemaker.s3.names import check_key, is_bucket, text_of
from runstream_protocols.sagemaker.s3.requests import SESSION_SECRET, received_of
from runstream_protocols.sagemaker.s3.signatures import (
    HASH_HEADER,
    Signature,
    check_signature,
    signature_in,
)
from runstream_protocols.sagemaker.signing import signing_key
from runstream_query.http.context import Context
from runstream_service.access import LOCAL, principal_of


@dataclass(frozen=True, slots=True)
class S3Side(GatewaySide):
    """signature: how the request is signed, once that is checked; None where there is nothing to check: a server
    without keys knows no secret, and who shows a key in another way has shown it. secret: by which it is signed: the
    key, or that of credentials for a time."""

    signature: Signature | None = None
    secret: str = ""

    def for_request(self, request: web.Request, context: Context) -> Self:
        """Return what the handler of one request works with. Raises S3Error where its signature is wrong."""
        signature, secret = None, ""
        if principal_of(request) is not LOCAL:
            received = received_of(request)
            signature = signature_in(received)
            if signature is not None:
                secret = request.get(SESSION_SECRET, signature.credential.key)
                check_signature(signature, received, secret, moment_of(self.recorder.now_us()))
        return dataclasses.replace(self, context=context, signature=signature, secret=secret)

    @property
    def entities(self) -> Entities:
        """The entities of the request."""
        return Entities(self.recorder, self.context)

    def payload_hash(self, request: web.Request) -> str:
        """Return what stands for the body in the signature, or what the client says of it."""
        return request.headers.get(HASH_HEADER, "") if self.signature is None else self.signature.payload

    def chunk_signer(self) -> ChunkSigner | None:
        """Return what signs the chunks of the body; None where nothing is to be checked."""
        if self.signature is None:
            return None
        credential = self.signature.credential
        key = signing_key(credential, self.secret)
        return ChunkSigner(key, self.signature.at, credential.scope, credential.signature)


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. `key`: empty of a bucket; `bucket`: empty of all."""

    bucket: str
    key: str


def target_of(request: web.Request) -> Target:
    """Return what stands in the path of a request. Raises S3Error."""
    path = request.raw_path.partition("?")[0].removeprefix(ADDRESS).removeprefix("/")
    bucket, _, key = (text_of(part) for part in path.partition("/"))
    if bucket and not is_bucket(bucket) and request.method != "PUT":
        raise no_bucket(bucket)
    return Target(bucket, check_key(bucket, key) if key else "")

"""Steps of uploads in parts, copies and bodies in chunks, beside those of artifacts."""

import base64
import hashlib
import http.client
import os
import random
import sys
import tempfile
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kit.sagemaker.artifact_steps import ArtifactSteps
from kit.sagemaker.file_steps import code_of
from kit.sagemaker.steps import REGION

PART = 5 * 1024**2
SIZE = int(os.environ.get("UPLOAD_BYTES", "20000000"))


def content_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


class UploadSteps(ArtifactSteps):
    """The steps; each is a method without arguments."""

    def large_files(self) -> Any:
        """`upload_file` and `download_file` as they are, which send and read parts at once; then a copy."""
        s3 = self.s3()
        bucket, content = self.bucket(s3), content_of(SIZE, 1)
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/sent", "wb") as file:
                file.write(content)
            extra = {"Metadata": {"who": "me"}, "ContentType": "application/x-large"}
            s3.upload_file(f"{folder}/sent", bucket, "large/a.bin", ExtraArgs=extra)
            s3.download_file(bucket, "large/a.bin", f"{folder}/got")
            with open(f"{folder}/got", "rb") as file:
                is_same = file.read() == content
        parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        s3.copy({"Bucket": bucket, "Key": "large/a.bin"}, bucket, "large/copied.bin", Config=parts)
        copied = s3.get_object(Bucket=bucket, Key="large/copied.bin")["Body"].read()
        head = s3.head_object(Bucket=bucket, Key="large/a.bin", ChecksumMode="ENABLED")
        chunk = TransferConfig().multipart_chunksize
        hashes = [hashlib.md5(content[begin : begin + chunk]).digest() for begin in range(0, len(content), chunk)]
        return {
            "is_same": is_same,
            "is_copied": copied == content,
            "etag": head["ETag"] == f'"{hashlib.md5(b"".join(hashes)).hexdigest()}-{len(hashes)}"',
            "head": [head["ContentLength"] == SIZE, head["ContentType"], head["Metadata"]],
            "checksum": head["ChecksumCRC32"].rpartition("-")[2] == str(len(hashes)),
            "open": s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []),
        }

    def parted(self) -> Any:
        """An upload by hand: parts in any order, one sent twice, listed, completed, completed again."""
        s3 = self.s3()
        place = {"Bucket": self.bucket(s3), "Key": "parted ü/&.bin"}
        contents = {number: content_of(PART + number, number) for number in (1, 3)} | {7: b"the last"}
        upload = s3.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")["UploadId"]
        of_upload = place | {"UploadId": upload}
        s3.upload_part(**of_upload, PartNumber=3, Body=b"not this")
        sent = {
            number: s3.upload_part(**of_upload, PartNumber=number, Body=content, ChecksumAlgorithm="SHA256")
            for number, content in reversed(contents.items())
        }
        listed = s3.get_paginator("list_parts").paginate(**of_upload, PaginationConfig={"PageSize": 2})
        seen = [[one["PartNumber"], one["Size"]] for page in listed for one in page["Parts"]]
        is_open = [one["Key"] for one in s3.list_multipart_uploads(Bucket=place["Bucket"])["Uploads"]]
        before = code_of(s3.head_object, **place)
        parts = [{"PartNumber": number, "ETag": sent[number]["ETag"]} for number in sorted(sent)]
        done = s3.complete_multipart_upload(**of_upload, MultipartUpload={"Parts": parts})
        again = s3.complete_multipart_upload(**of_upload, MultipartUpload={"Parts": parts})
        return {
            "seen": seen,
            "sizes": [[number, len(content)] for number, content in sorted(contents.items())],
            "open": is_open,
            "before": before,
            "is_same": s3.get_object(**place)["Body"].read() == b"".join(contents[one] for one in sorted(contents)),
            "again": done["ETag"] == again["ETag"],
            "late": code_of(s3.upload_part, **of_upload, PartNumber=1, Body=b"x"),
        }

    def refused_parts(self) -> Any:
        """What cannot be completed, and what is left of it."""
        s3 = self.s3()
        place = {"Bucket": self.bucket(s3), "Key": "never"}
        of_upload = place | {"UploadId": s3.create_multipart_upload(**place)["UploadId"]}
        small = s3.upload_part(**of_upload, PartNumber=1, Body=b"small")["ETag"]
        second = s3.upload_part(**of_upload, PartNumber=2, Body=b"small too")["ETag"]

        def completed(*parts: tuple[int, str], **changed: Any) -> Any:
            listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
            return code_of(s3.complete_multipart_upload, **of_upload | changed, MultipartUpload={"Parts": listed})

        found = {
            "small": completed((1, small), (2, second)),
            "order": completed((2, second), (1, small)),
            "twice": completed((1, small), (1, small)),
            "etag": completed((1, second)),
            "missing": completed((1, small), (5, second)),
            "none": completed(),
            "number": completed((10_001, small)),
            "upload": completed((1, small), UploadId="0" * 32),
            "no_upload": completed((1, small), UploadId="../x"),
            "other_key": completed((1, small), Key="another"),
            "part_number": code_of(s3.upload_part, **of_upload, PartNumber=10_001, Body=b""),
            "part_md5": code_of(
                s3.upload_part, **of_upload, PartNumber=3, Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="
            ),
            "aborted": code_of(s3.abort_multipart_upload, **of_upload),
            "behind": code_of(s3.upload_part, **of_upload, PartNumber=1, Body=b"x"),
            "twice_aborted": code_of(s3.abort_multipart_upload, **of_upload),
        }
        return found | {"key": code_of(s3.head_object, **place)}

    def copies(self) -> Any:
        """Copies with the metadata, with others, and onto themselves."""
        s3 = self.s3()
        bucket = self.bucket(s3)
        s3.put_object(Bucket=bucket, Key="from ü&/1", Body=b"copied", Metadata={"a": "1"}, ContentType="text/csv")
        source = {"Bucket": bucket, "Key": "from ü&/1"}
        etag = s3.head_object(**source)["ETag"]
        s3.copy_object(Bucket=bucket, Key="to/1", CopySource=source)
        s3.copy_object(Bucket=bucket, Key="to/2", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
        heads = [s3.head_object(Bucket=bucket, Key=key) for key in ("to/1", "to/2")]

        def copied(**changed: Any) -> Any:
            return code_of(s3.copy_object, **{"Bucket": bucket, "Key": "to/3", "CopySource": source} | changed)

        return {
            "metadata": [[one["Metadata"], one["ContentType"]] for one in heads],
            "etags": {one["ETag"] for one in heads} == {etag},
            "content": s3.get_object(Bucket=bucket, Key="to/2")["Body"].read().decode(),
            "missing": copied(CopySource={"Bucket": bucket, "Key": "nothing"}),
            "no_bucket": copied(CopySource={"Bucket": "no-such-bucket", "Key": "k"}),
            "itself": copied(Key="from ü&/1"),
            "if_match": copied(CopySourceIfMatch='"0"'),
            "if_none": copied(CopySourceIfNoneMatch=etag),
            "done": copied(CopySourceIfMatch=etag),
        }

    def chunked(self) -> Any:
        """A body with a checksum behind it, as boto3 sends over TLS, whole and with wrong ends."""
        s3 = self.s3()
        bucket = self.bucket(s3)
        content = content_of(300_000, 2)
        pieces = [content[begin : begin + 65_536] for begin in range(0, len(content), 65_536)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n"
        digest = hashlib.sha256(content).digest()
        trailer = b"x-amz-checksum-sha256:" + base64.b64encode(digest) + b"\r\n\r\n"
        wrong = b"x-amz-checksum-sha256:" + base64.b64encode(bytes(32)) + b"\r\n\r\n"
        found = {"whole": self._chunks(bucket, framed + trailer, len(content))}
        found["is_same"] = s3.get_object(Bucket=bucket, Key="chunked")["Body"].read() == content
        return found | {
            "encoding": s3.head_object(Bucket=bucket, Key="chunked").get("ContentEncoding"),
            "wrong_sum": self._chunks(bucket, framed + wrong, len(content)),
            "no_sum": self._chunks(bucket, framed + b"\r\n", len(content)),
            "cut": self._chunks(bucket, framed[:-3], len(content)),
            "short": self._chunks(bucket, framed + trailer, len(content) + 1),
            "long": self._chunks(bucket, framed + trailer, len(content) - 1),
            "no_length": self._chunks(bucket, framed + trailer, None),
        }

    def _chunks(self, bucket: str, body: bytes, size: int | None) -> int:
        """Return the status of a body that is sent as it is, with its head signed."""
        url = f"{self.url}/{bucket}/chunked"
        headers = {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "X-Amz-Trailer": "x-amz-checksum-sha256",
        } | ({} if size is None else {"X-Amz-Decoded-Content-Length": str(size)})
        request = AWSRequest("PUT", url, headers)
        request.context["payload_signing_enabled"] = False
        signer = S3SigV4Auth(Credentials(self.key, self.key), "s3", REGION)
        signer._should_sha256_sign_payload = lambda request: False
        signer.payload = lambda request: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        signer.add_auth(request)
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.netloc, timeout=60)
        request.headers.replace_header("X-Amz-Content-SHA256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        connection.request("PUT", place.path, body, dict(request.headers.items()))
        status = connection.getresponse().status
        connection.close()
        return status

    def half_uploaded(self) -> Any:
        """Store a file and a part, say so, wait for a line on standard input, and complete the upload."""
        s3 = self.s3()
        place = {"Bucket": self.bucket(s3, "half-uploaded"), "Key": "whole"}
        first, second = content_of(PART, 1), content_of(1_000, 2)
        s3.put_object(**place | {"Key": "before"}, Body=b"before the restart")
        of_upload = place | {"UploadId": s3.create_multipart_upload(**place)["UploadId"]}
        etags = [s3.upload_part(**of_upload, PartNumber=1, Body=first)["ETag"]]
        print("half", flush=True)
        sys.stdin.readline()
        etags.append(s3.upload_part(**of_upload, PartNumber=2, Body=second)["ETag"])
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        s3.complete_multipart_upload(**of_upload, MultipartUpload={"Parts": parts})
        return {
            "before": s3.get_object(**place | {"Key": "before"})["Body"].read().decode(),
            "is_whole": s3.get_object(**place)["Body"].read() == first + second,
            "buckets": [one["Name"] for one in boto3.Session().client("s3", **self._given()).list_buckets()["Buckets"]],
        }

    def _given(self) -> dict[str, Any]:
        names = {"aws_access_key_id": self.key, "aws_secret_access_key": self.key}
        return {"endpoint_url": self.url, "region_name": REGION, **names}

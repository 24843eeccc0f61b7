"""Steps of files in buckets by boto3, beside those of searches."""

import contextlib
import hashlib
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kit.sagemaker.search_steps import SearchSteps
from kit.sagemaker.steps import REGION

BUCKET = "files-of-boto3"
KEYS = ("a", "logs/1.txt", "logs/2.txt", "logs/old/1.txt", "logs-2", "logs.txt", "ä b+c%20/ü?&.txt", "z//", "z//../x")


def code_of(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the code and the status of a refusal; what came of a call that was none."""
    try:
        return ["done", call(*args, **kwargs)["ResponseMetadata"]["HTTPStatusCode"]]
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]


def fetched(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of a plain request."""
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class FileSteps(SearchSteps):
    """The steps; each is a method without arguments."""

    def s3(self, key: str | None = None, secret: str | None = None, **config: Any) -> Any:
        """Return boto3's client of S3, for the same address."""
        return boto3.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key or self.key,
            aws_secret_access_key=secret or key or self.key,
            config=Config(signature_version="s3v4", retries={"mode": "standard", "total_max_attempts": 3}, **config),
        )

    def bucket(self, s3: Any, name: str = BUCKET) -> str:
        """Create a bucket, if it is not there."""
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def files(self) -> Any:
        """Store, look at, read, and store again."""
        s3 = self.s3()
        bucket = self.bucket(s3)
        content = bytes(range(256)) * 1_000
        put = s3.put_object(
            Bucket=bucket,
            Key="dir/ü &+.bin",
            Body=content,
            Metadata={"epoch": "7", "note": "a  b"},
            ContentType="application/x-weights",
            CacheControl="max-age=5",
        )
        head = s3.head_object(Bucket=bucket, Key="dir/ü &+.bin")
        got = s3.get_object(Bucket=bucket, Key="dir/ü &+.bin")
        part = s3.get_object(Bucket=bucket, Key="dir/ü &+.bin", Range="bytes=255-257")
        empty = s3.put_object(Bucket=bucket, Key="empty")
        s3.put_object(Bucket=bucket, Key="dir/ü &+.bin", Body=b"again")
        return {
            "etag": put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"' == head["ETag"] == got["ETag"],
            "head": [head["ContentLength"], head["ContentType"], head["Metadata"], head["CacheControl"]],
            "is_same": got["Body"].read() == content,
            "checksum": got["ChecksumCRC32"] == put["ChecksumCRC32"],
            "part": [part["Body"].read().hex(), part["ContentRange"], part["ResponseMetadata"]["HTTPStatusCode"]],
            "empty": [empty["ETag"], s3.get_object(Bucket=bucket, Key="empty")["Body"].read().decode()],
            "again": s3.get_object(Bucket=bucket, Key="dir/ü &+.bin")["Body"].read().decode(),
            "location": s3.get_bucket_location(Bucket=bucket)["LocationConstraint"],
            "is_listed": bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]],
            "account": boto3.Session()
            .client(
                "sts",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=self.key,
                aws_secret_access_key=self.key,
            )
            .get_caller_identity()["Account"],
        }

    def listed_files(self) -> Any:
        """Every kind of list, in pages of every size."""
        s3 = self.s3()
        bucket = self.bucket(s3, "listed-files")
        for key in KEYS:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

        def pages(name: str, size: int, **wanted: Any) -> list[str]:
            found: list[str] = []
            keys: list[str] = []
            for page in s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": size}, **wanted):
                assert len(page.get("Contents", ())) + len(page.get("CommonPrefixes", ())) <= size
                keys += [one["Key"] for one in page.get("Contents", ())]
                found += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
            assert keys == sorted(keys)
            assert found == sorted(found)
            return sorted(keys + found)

        kinds = ("list_objects", "list_objects_v2")
        sizes = (1, 2, 3, 1_000)
        groups = {"Delimiter": "/"}
        return {
            "keys": sorted(KEYS),
            "all": [pages(kind, size) for kind in kinds for size in sizes],
            "grouped": [pages(kind, size, **groups) for kind in kinds for size in sizes],
            "within": [pages(kind, size, Prefix="logs/", **groups) for kind in kinds for size in sizes],
            "by_s": pages("list_objects_v2", 1, Prefix="l", Delimiter="s"),
            "after": pages("list_objects_v2", 2, StartAfter="logs.txt"),
            "none": s3.list_objects_v2(Bucket=bucket, Prefix="nothing")["KeyCount"],
            "deleted": [one["Key"] for one in self._delete(s3, bucket)["Deleted"]],
            "left": pages("list_objects_v2", 1_000),
            "bucket": code_of(s3.delete_bucket, Bucket=bucket),
            "gone": code_of(s3.head_bucket, Bucket=bucket),
        }

    def _delete(self, s3: Any, bucket: str) -> Any:
        held = code_of(s3.delete_bucket, Bucket=bucket)
        assert held == ["BucketNotEmpty", 409], held
        return s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in (*KEYS, "not-there")]})

    def signed_urls(self) -> Any:
        """URLs that programs use that have no key."""
        s3 = self.s3()
        names = {"Bucket": self.bucket(s3), "Key": "by/ü url.txt"}
        put = s3.generate_presigned_url("put_object", Params=names | {"ContentType": "text/plain"})
        get = s3.generate_presigned_url("get_object", Params=names | {"ResponseContentType": "text/x"})
        short = s3.generate_presigned_url("get_object", Params=names, ExpiresIn=1)
        stored = fetched(put, "PUT", b"by a url", **{"Content-Type": "text/plain"})[0]
        first, _, rest = get.partition("X-Amz-Signature=")
        deadline = time.monotonic() + 30
        while (expired := fetched(short))[0] == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        return {
            "stored": stored,
            "got": [fetched(get)[0], fetched(get)[1].decode()],
            "range": [fetched(get, Range="bytes=3-4")[0], fetched(get, Range="bytes=3-4")[1].decode()],
            "other_method": fetched(get, "PUT", b"x")[0],
            "other_type": fetched(put, "PUT", b"x", **{"Content-Type": "text/html"})[0],
            "changed": fetched(f"{first}X-Amz-Signature={'0' * len(rest)}")[0],
            "expired": [expired[0], "Request has expired" in expired[1].decode()],
            "no_key": fetched(get.partition("?")[0])[0],
        }

    def sts(self, key: str, secret: str, token: str | None = None) -> Any:
        """Return boto3's client of STS, for the same address."""
        names = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
        return boto3.Session().client("sts", endpoint_url=self.url, region_name=REGION, **names)

    def sessions(self) -> Any:
        """Credentials for a time: what they open, what they do not, and that their URLs do not show the key."""
        bucket = self.bucket(self.s3())
        given = self.sts(self.key, self.key).get_session_token(DurationSeconds=900)["Credentials"]
        identity, secret = given["AccessKeyId"], given["SecretAccessKey"]
        config = Config(signature_version="s3v4")
        names = {"aws_access_key_id": identity, "aws_secret_access_key": secret, "config": config}

        def client(**changed: Any) -> Any:
            of = names | {"aws_session_token": given["SessionToken"]} | changed
            return boto3.Session().client("s3", endpoint_url=self.url, region_name=REGION, **of)

        there = {"Bucket": bucket, "Key": "by a session"}
        put = code_of(client().put_object, **there, Body=b"content " * 10_000)
        url = client().generate_presigned_url("get_object", Params=there)
        later = f"{int(identity[9:17], 16) + 9:08x}"
        stretched = f"{identity[:9]}{later}{identity[17:]}"
        bearer = f"Bearer {identity}"
        forged = f"AWS4-HMAC-SHA256 Credential={identity}/20260101/x/s3/aws4_request, SignedHeaders=host, "
        forged += f"Signature={'0' * 64}"
        root = self.url.removesuffix("/sagemaker")
        listing = boto3.Session().client("sagemaker", endpoint_url=self.url, region_name=REGION, **names)
        return {
            "put": put,
            "got": [fetched(url)[0], len(fetched(url)[1])],
            "shows_key": self.key in unquote(url),
            "for_s": round((given["Expiration"] - datetime.now(UTC)).total_seconds(), -2),
            "secret": code_of(client(aws_secret_access_key="0" * 64).get_object, **there),
            "stretched": code_of(client(aws_access_key_id=stretched).get_object, **there),
            "as_a_key": [
                fetched(f"{root}/api/v1/runs", Authorization=bearer)[0],
                fetched(url.partition("?")[0], Authorization=bearer)[0],
            ],
            "elsewhere": [
                fetched(f"{root}{path}", Authorization=forged)[0]
                for path in ("/api/v1/runs", "/sagemaker", "/sagemaker/files-of-boto3")
            ],
            "signed_elsewhere": fetched(f"{root}/api/v1/runs?{url.partition('?')[2]}")[0],
            "components": code_of(listing.list_trial_components),
            "duration": code_of(self.sts(self.key, self.key).get_session_token, DurationSeconds=1_000_000),
        }

    def refused_files(self) -> Any:
        """What the server refuses, and with which code."""
        s3 = self.s3()
        bucket = self.bucket(s3)
        s3.put_object(Bucket=bucket, Key="there", Body=b"x")
        there = {"Bucket": bucket, "Key": "there"}
        wrong = "AAAAAAAAAAAAAAAAAAAAAA=="
        return {
            "no_key": code_of(s3.get_object, Bucket=bucket, Key="nothing"),
            "no_head": code_of(s3.head_object, Bucket=bucket, Key="nothing"),
            "no_bucket": code_of(s3.put_object, Bucket="no-such-bucket", Key="k", Body=b""),
            "bucket_name": code_of(self.s3().create_bucket, Bucket="under_score"),
            "bucket_twice": code_of(
                s3.create_bucket, Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            ),
            "md5": code_of(s3.put_object, **there, Body=b"y", ContentMD5=wrong),
            "crc32": code_of(s3.put_object, **there, Body=b"y", ChecksumCRC32="AAAAAA=="),
            "sha256": code_of(s3.put_object, **there, Body=b"y", ChecksumSHA256="A" * 43 + "="),
            "crc32c": code_of(s3.put_object, **there, Body=b"y", ChecksumCRC32C="AAAAAA=="),
            "crc64nvme": code_of(s3.put_object, **there, Body=b"y", ChecksumCRC64NVME="AAAAAAAAAAA="),
            "right_crcs": [
                s3.put_object(Bucket=bucket, Key="crc", Body=b"123456789", ChecksumCRC32C="4waSgw==")["ChecksumCRC32C"],
                s3.put_object(Bucket=bucket, Key="crc", Body=b"123456789", ChecksumCRC64NVME="rosUhgp5mIg=")[
                    "ChecksumCRC64NVME"
                ],
            ],
            "if_none": code_of(s3.put_object, **there, Body=b"y", IfNoneMatch="*"),
            "if_match": code_of(s3.put_object, **there, Body=b"y", IfMatch='"0"'),
            "get_if_match": code_of(s3.get_object, **there, IfMatch='"0"'),
            "not_modified": code_of(s3.get_object, **there, IfNoneMatch=s3.head_object(**there)["ETag"]),
            "range": code_of(s3.get_object, **there, Range="bytes=5-"),
            "long_key": code_of(s3.put_object, Bucket=bucket, Key="x" * 900, Body=b""),
            "metadata": code_of(s3.put_object, **there, Metadata={"a": "x" * 1_000, "b": "x" * 1_020, "c": "x" * 100}),
            "acl": code_of(s3.get_object_acl, **there),
            "secret": code_of(self.s3(secret="another-key-of-some-length").get_object, **there),
            "key": code_of(self.s3("a-wrong-key-of-some-length").get_object, **there),
            "key_of_tokens": code_of(self.sts("a-wrong-key-of-some-length", "x" * 20).get_caller_identity),
            "untouched": s3.get_object(**there)["Body"].read().decode(),
        }

    def files_of_a_reader(self) -> Any:
        """What a key may do that only reads."""
        s3 = self.s3()
        there = {"Bucket": BUCKET, "Key": "there"}
        return {
            "get": s3.get_object(**there)["Body"].read().decode(),
            "listed": s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] > 0,
            "put": code_of(s3.put_object, **there, Body=b"y"),
            "delete": code_of(s3.delete_object, **there),
            "delete_many": code_of(s3.delete_objects, Bucket=BUCKET, Delete={"Objects": [{"Key": "there"}]}),
            "bucket": code_of(s3.create_bucket, Bucket="readers-bucket"),
            "url": fetched(s3.generate_presigned_url("put_object", Params=there), "PUT", b"y")[0],
            "session": self._put_by_session(there),
        }

    def _put_by_session(self, there: dict[str, str]) -> Any:
        """What becomes of a write by credentials that a key which only reads has got."""
        given = self.sts(self.key, self.key).get_session_token()["Credentials"]
        return code_of(self.s3(given["AccessKeyId"], given["SecretAccessKey"]).put_object, **there, Body=b"y")

    def files_at_once(self) -> Any:
        """Threads that store under one key: each is kept whole, and of those that want it absent one succeeds."""
        s3 = self.s3()
        bucket, found = self.bucket(s3), []
        barrier = threading.Barrier(6)

        def put(number: int) -> None:
            barrier.wait()
            found.append(code_of(s3.put_object, Bucket=bucket, Key="new", Body=b"n", IfNoneMatch="*")[0])
            s3.put_object(Bucket=bucket, Key="crowded", Body=str(number).encode() * 100_000)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        content = s3.get_object(Bucket=bucket, Key="crowded")["Body"].read()
        return {"new": sorted(found), "whole": [len(content), len(set(content))]}

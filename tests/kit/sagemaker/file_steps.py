"""Steps of files in buckets by boto3, beside those of searches."""

import contextlib
import hashlib
import threading
import time
import urllib.error
import urllib.request
from typing import Any

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
        }

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

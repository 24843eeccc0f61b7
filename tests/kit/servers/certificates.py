"""A CA of a test's own, and certificates that it signs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM form: the CA that clients are told of, and what a server at 127.0.0.1 and localhost shows."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Self:
        """Make all of them in the directory."""
        directory.mkdir(parents=True)
        ca, ca_key = directory / "ca.pem", directory / "ca.key"
        certificate, key, request = (directory / f"server.{end}" for end in ("pem", "key", "csr"))
        names = directory / "names.ext"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new = ("req", "-newkey", "rsa:2048", "-nodes")
        _openssl(*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", ca_key, "-out", ca)
        _openssl(*new, "-subj", "/CN=localhost", "-keyout", key, "-out", request)
        signed_by = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial")
        _openssl("x509", "-req", "-in", request, *signed_by, "-days", "2", "-extfile", names, "-out", certificate)
        return cls(ca, certificate, key)


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

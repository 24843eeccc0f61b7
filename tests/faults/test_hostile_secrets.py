"""Secrets around a run (command line, config, environment, remote, changed files, errors) never reach the spool."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: One for each place. Each is looked for in the bytes of everything that was kept.
PLACES = {
    name: f"{name}-h4ck3r5-{number}Zq"
    for number, name in enumerate(
        [
            *("option", "header", "dsn", "json", "query", "nested", "config", "deep", "listed", "other", "meta"),
            *("remote", "diff", "yaml", "error", "source", "known", "printed", "message"),
        ]
    )
}
PROGRAM = """
import json, os, sys
import runstream as rs

places = json.loads(os.environ["PLACES"])
client_settings = dict(api_url="http://x", lr=0.1, max_tokens=5, password=places["config"],
    db={"dsn": "postgres://u:" + places["deep"] + "@h/d", "tokens": [1, 2]}, api_keys=[places["listed"]])
run = rs.init(mode="offline", dir=sys.argv[1], config=client_settings, system_metrics_s=0)
run.log_others({"auth_token": places["other"], "score": 0.5})
run.log_asset(b"x", name="x", metadata={"secret": places["meta"], "size": 3})
print("using https://u:" + places["printed"] + "@host/x and " + os.environ["MY_TOKEN"])
run.log({"loss": 1.0})
def connect(**options):
    raise ValueError(f"cannot connect to https://x/?access_token={places['message']}&a=1 with {os.environ['MY_TOKEN']}")
try:
    connect(url="https://u:" + places["error"] + "@h", password="SOURCE")
except ValueError as error:
    run.finish("failed", error=error)
"""


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments], cwd=folder, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM.replace("SOURCE", PLACES["source"]))
    (folder / "settings.py").write_text("lr = 1\n")
    (folder / "conf.yaml").write_text("lr: 1\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "remote", "add", "origin", f"https://u:{PLACES['remote']}@host/x.git?access_token={PLACES['query']}")
    (folder / "settings.py").write_text(f'lr = 2\npassword = "{PLACES["diff"]}"\n')
    (folder / "conf.yaml").write_text(f"lr: 2\ndb:\n  password: {PLACES['yaml']}\n")
    return folder


def trained(repository: Path, spool: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    import json

    argv = ["--lr", "0.1", "--pass", PLACES["option"], "--header", f"Authorization: Bearer {PLACES['header']}"]
    argv += [f"--db=postgres://me:{PLACES['dsn']}@host/db", "--cfg", json.dumps({"a": {"api_key": PLACES["json"]}})]
    argv += [f"https://host/x?access_token={PLACES['query']}", "-c", f"mysql -p{PLACES['nested']} -e 'select 1'"]
    known = {"MY_TOKEN": PLACES["known"], "PLACES": json.dumps(PLACES), **variables}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
    done = subprocess.run(
        [sys.executable, "train.py", str(spool), *argv],
        cwd=repository,
        env=clean | known,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def kept(spool: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(spool.rglob("*")) if path.is_file())


def test_no_secret_reaches_the_spool(repository: Path, tmp_path: Path) -> None:
    done = trained(repository, tmp_path / "spool")
    everything = kept(tmp_path / "spool")
    assert {name for name, secret in PLACES.items() if secret.encode() in everything} == set()
    for part in (
        b'"lr":0.1',
        b'"max_tokens":5',
        b'"score":0.5',
        b"cannot connect to",
        b"--pass",
        b"host/x.git",
        b"lr = 2",
    ):
        assert part in everything, part
    told = [line for line in done.stderr.splitlines() if "looks like a secret" in line]
    assert len(told) == 2, "one notice for what is hidden at the start, one at the end for what came later"
    assert "console, traceback" in told[1]
    assert "parameter password" in told[0]
    assert "git.remote" in told[0]
    assert "allow_secrets" in told[0]
    assert not any(secret in done.stderr for secret in PLACES.values())


def test_what_is_allowed_stays(repository: Path, tmp_path: Path) -> None:
    allowed = "password, db.dsn,auth-token,argv,git.*"
    trained(repository, tmp_path / "spool", RUNSTREAM_ALLOW_SECRETS=allowed)
    everything = kept(tmp_path / "spool")
    found = {name for name, secret in PLACES.items() if secret.encode() in everything}
    shown = {"option", "header", "dsn", "json", "query", "nested", "config", "deep", "other", "remote", "diff", "yaml"}
    assert found == shown | {"source"}, "a password is allowed in tracebacks too"

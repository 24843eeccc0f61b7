"""Secrets in places that few think of, and ordinary parameters that sound like secrets."""

import json
from typing import Any

import pytest

from runstream.capture.masking import Masking

SECRET = "Zq7h4ck3r5x"
BASIC = "dXNlcjpacTdoNGNrM3I1eA=="

COMMANDS = [
    ["git", "-c", f"url.https://u:{SECRET}@host/.insteadOf=https://host/", "pull"],
    ["git", "-c", f"http.extraHeader=Authorization: Bearer {SECRET}", "clone", "x"],
    ["git", "-c", f"credential.helper=!f() {{ echo username=u; echo password={SECRET}; }}; f", "pull"],
    ["x", "--yaml", f"users:\n- name: a\n  user:\n    client-key-data: {SECRET * 4}\n"],
    ["x", "--yaml", f"users:\n- name: a\n  user:\n    token: {SECRET}\n"],
    ["x", "/password:" + SECRET],
    [f"-Djavax.net.ssl.keyStorePassword={SECRET}"],
    ["bash", "-c", f"export A=1 API_TOKEN={SECRET} && bash -c 'DB_PASS={SECRET} x'"],
    ["cmd", "/c", f"set PASSWORD={SECRET}&& x"],
    ["powershell", "-Command", f"$env:TOKEN='{SECRET}'; x"],
    ["x", "--", "--password", SECRET],
    ["x", "--set-string", f"auth.rootPassword={SECRET}"],
    ["x", "--extra-vars", f"{{ansible_password: {SECRET}}}"],
    ["x", f"mongodb+srv://u:{SECRET}@h/?authSource=admin"],
    ["x", "-H", f"Authorization: Basic {BASIC}"],
    ["x", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}abcdefgh==;"],
]
CONFIGS: list[dict[str, Any]] = [
    {"netrc": f"machine host login u password {SECRET}"},
    {"netrc": f"machine host\n  login u\n  password {SECRET}\nmachine other login v password {SECRET}"},
    {"env": {"vars": [{"name": "TOKEN", "value": SECRET}]}},
    {"nested": json.dumps({"a": json.dumps({"password": SECRET})})},
    {"headers": {"Cookie": f"a={SECRET}", "authorization": f"Bearer {SECRET}"}},
    {"set_cookie": f"Set-Cookie: sid={SECRET}; Path=/"},
    {"pass1": SECRET, "token_a": SECRET, "attn_pass": SECRET, "pin": SECRET, "otp": SECRET, "sas": SECRET},
]
ORDINARY: dict[str, Any] = {
    "attn_pass": "text",
    "lr_pass": "cosine",
    "pass1": "text",
    "pass_2": "fine grained",
    "token_a": "hello",
    "token_1": "world",
    "token_b": "left side",
    "pin": "memory",
    "clip_pass": "text encoder",
    "depth_pass": "z only",
    "hmc_pass": "leapfrog 10",
    "render_pass": "depth",
    "attn_token": "register tokens x4",
    "otp": "one",
    "cred": "low",
    "cookies": "many",
    "csrf": "x",
    "hmac": "x",
    "totp": "off",
    "key_data": "train split",
    "pass1_epochs": 10,
    "pass_at_k": "1",
    "token_mixer": "pooling",
    "machine": "machine learning password study",
}


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_a_command_line_keeps_no_secret(argv: list[str]) -> None:
    masking = Masking(environ={})
    shown = " ".join(masking.arguments(argv))
    assert SECRET not in shown
    assert BASIC not in shown
    assert masking.news()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_config_keeps_no_secret(config: dict[str, Any]) -> None:
    masking = Masking(environ={})
    assert SECRET not in json.dumps(masking.values("parameter", config))
    assert masking.news()


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_parameter_comes_through(name: str) -> None:
    masking = Masking(environ={})
    assert masking.values("parameter", {name: ORDINARY[name]}) == {name: ORDINARY[name]}
    assert masking.news() is None

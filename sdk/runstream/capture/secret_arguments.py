"""Secrets in the values of parameters, options and variables, and in command lines. Pure."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from runstream.capture.patterns import lazy
from runstream.capture.secret_forms import HIDDEN
from runstream.capture.secret_names import Level, hides, level_of, looks_random
from runstream.capture.secret_text import Judge, bounded, masked_connection, masked_text
from runstream.capture.secret_words import EMPTY_VALUES

#: A command in an argument of a command in an argument: `bash -c "ssh host 'mysql -p...'"`.
_MAX_DEPTH: Final = 4
_MAX_JSON_DEPTH: Final = 20
_OPTION: Final = lazy(r"--?[^\W\d][\w.-]*")
_ASSIGNMENT: Final = lazy(
    r"(?P<name>(?:--?|\+{1,2}|~|/)?[^\W\d][\w./@\[\]:-]{0,200}?)(?P<equals>:=|\+=|=)(?P<value>.*)", re.DOTALL
)
_HEADER: Final = lazy(r"(?P<name>[A-Za-z][\w-]{0,80})(?P<colon>\s{0,3}[:;=]\s{0,3})(?P<value>\S.*)", re.DOTALL)
_LOGIN: Final = lazy(r"[^\s:/\\]{1,100}:[^\s/]\S*")
#: `user:password@host:port`, `user:password@tcp(host)/db`, `//user:password@host`; not `image:tag@sha256:...`.
_ADDRESS: Final = lazy(
    r"[^\s:/@=]{1,64}:[^\s@/]{1,200}@(?=(?!sha\d)[\w.-]{1,255}(?::\d|[/(]))|(?<=//)[^\s:/@=]{1,64}:[^\s@/]{1,200}@"
)
_WORD: Final = lazy(r"(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|\\.|[^\s\"'\\])++|[\"'\\]", re.DOTALL)

#: Options whose value is a secret with these programs only.
_PROGRAM_OPTIONS: Final = {
    **dict.fromkeys(("curl", "wget", "http", "https", "xh"), ("-u", "-U", "-a", "--user", "--proxy-user", "-b")),
    **dict.fromkeys(("docker", "podman", "helm", "oras", "skopeo", "az", "mongo", "mongosh", "oc", "crane"), ("-p",)),
    **dict.fromkeys(("redis-cli", "valkey-cli"), ("-a", "--pass")),
    **dict.fromkeys(("ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami", "ldappasswd"), ("-w",)),
    **dict.fromkeys(("mosquitto_pub", "mosquitto_sub", "zip", "unzip", "sqlcmd", "cqlsh"), ("-P", "-p")),
    **dict.fromkeys(("sshpass", "lftp", "ncftp"), ("-p", "-u")),
    **dict.fromkeys(("smbclient", "mount.cifs", "rpcclient"), ("-U",)),
    **dict.fromkeys(("openssl",), ("-k", "-K", "-passin", "-passout", "-pass")),
    **dict.fromkeys(("7z", "7za", "rar", "unrar"), ()),
}
#: ... and where it is attached: `mysql -psecret`.
_ATTACHED: Final = {
    **dict.fromkeys(
        ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "7z", "7za"), ("-p",)
    ),
    **dict.fromkeys(("rar", "unrar"), ("-p", "-hp")),
    **dict.fromkeys(("sshpass",), ("-p",)),
    **dict.fromkeys(("redis-cli", "valkey-cli"), ("-a",)),
    **dict.fromkeys(("curl",), ("-u", "-U")),
    **dict.fromkeys(("docker", "podman"), ("-p",)),
}
_HEADER_OPTIONS: Final = frozenset({"H", "header", "headers", "proxy_header", "extra_header", "extra_headers"})
_USER_OPTIONS: Final = frozenset({"u", "user", "login", "username", "proxy_user", "usr", "basic", "basic_auth"})
#: Options that take several values: all up to the next option.
_SEVERAL: Final = frozenset({"auth", "credentials", "creds", "cred", "login", "tokens", "secrets", "passwords", "keys"})

#: `--name db_password --value ...`: the one says what the other is.
_NAME_OPTIONS: Final = frozenset({"name", "key", "var", "variable", "setting", "secret_name", "secret_id"})
_VALUE_OPTIONS: Final = frozenset({"value", "val", "string_value", "secret_value", "secret_string"})
#: `/u:name /p:password`: only beside a user is the letter a password.
_LOGIN_SWITCH: Final = lazy(r"(?i)/(?:u|user|username):.")
_PASSWORD_SWITCH: Final = lazy(r"(?i)(?P<option>/(?:p|pw|pwd):)(?P<value>.+)")


def masked_string(name: str, value: str, judge: Judge = hides) -> str:
    """The value of a parameter, an option or a variable, without what is secret in it."""
    value = bounded(value)
    level = level_of(name)
    if level is Level.CONNECTION:
        return masked_connection(name, value, judge)
    if level is not Level.NONE and judge(name, value):
        return HIDDEN
    if value[:1] in ("{", "[") and (whole := _masked_json(value, judge)) is not None:
        return whole
    if (
        ":" in value
        and level_of(name) is Level.NONE
        and _names_user(name)
        and _is_login(value)
        and judge("password", value)
    ):
        return HIDDEN
    return _masked_plain(value, judge)


def masked_value(name: str, value: Any, judge: Judge = hides, depth: int = 0) -> Any:
    """As `masked_string`, for any value that JSON can hold."""
    if isinstance(value, str):
        return masked_string(name, value, judge)
    if depth > _MAX_JSON_DEPTH:
        return value
    if isinstance(value, dict):
        return dict(_masked_items(name, value, judge, depth))
    if isinstance(value, list):
        if any(isinstance(item, str) and item.startswith("-") for item in value):
            return _masked_command(name, value, judge, depth)
        if len(value) == 2 and all(isinstance(item, str) for item in value) and level_of(value[0]) > Level.RANDOM:
            return [value[0], masked_string(value[0], value[1], judge)]  # headers, as many libraries have them
        return [masked_value(name, item, judge, depth + 1) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        least = Level.LOOSE if isinstance(value, int) else Level.STRONG
        return HIDDEN if level_of(name) >= least and judge(name, repr(value)) else value
    return value


def _masked_items(name: str, values: dict[str, Any], judge: Judge, depth: int) -> Iterator[tuple[str, Any]]:
    """The items of a dict; `{"name": "API_KEY", "value": "..."}` is one of them too."""
    named = next((values[key] for key in ("name", "key", "Name", "Key") if isinstance(values.get(key), str)), None)
    for key, item in values.items():
        inner = f"{name}.{key}" if name else key
        if named is not None and key.lower() == "value" and level_of(named) > Level.RANDOM:
            inner = named
        shown = masked_text(key, judge)
        yield shown, masked_value(inner, item, judge, depth + 1)


def _masked_command(name: str, values: list[Any], judge: Judge, depth: int) -> list[Any]:
    texts = masked_arguments([item if isinstance(item, str) else "" for item in values], judge)
    return [
        text if isinstance(item, str) else masked_value(name, item, judge, depth + 1)
        for item, text in zip(values, texts, strict=True)
    ]


def _masked_json(text: str, judge: Judge) -> str | None:
    """JSON as it was if nothing in it is secret, else written anew; None if it is no JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    try:
        shown = masked_value("", found, judge)
        return text if shown == found else json.dumps(shown, ensure_ascii=False)
    except (ValueError, RecursionError):
        return HIDDEN


def masked_arguments(argv: Sequence[str], judge: Judge = hides, depth: int = 0) -> list[str]:
    """`argv` without its secrets: values of options that sound like one, in `KEY=VALUE`, JSON, headers, addresses
    and commands inside of arguments."""
    shown: list[str] = []
    program = before = ""
    option, several = "", False
    arguments = [bounded(argument) for argument in argv]
    names = _names_of_values(arguments)
    logs_in = any(map(_LOGIN_SWITCH.match, arguments))
    for position, argument in enumerate(arguments):
        if position in names:
            shown.append(masked_string(names[position], argument, judge))
            option, several = "", False
        elif option and not _is_option(argument, option):
            shown.append(_option_value(option, argument, judge, program, depth))
            named = _is_header_option(option) and level_of(argument) > Level.RANDOM  # `--header NAME VALUE`
            option = argument if named else option if several else ""
        elif _is_option(argument, ""):
            attached = _attached(argument, program, judge)
            shown.append(argument if attached is None else attached)
            option, several = (argument, _plain(argument) in _SEVERAL) if attached is None else ("", False)
        elif logs_in and (switch := _PASSWORD_SWITCH.fullmatch(argument)) and judge("password", switch["value"]):
            shown.append(f"{switch['option']}{HIDDEN}")
        elif before == "login" and looks_random(argument) and judge("api_key", argument):
            shown.append(HIDDEN)
        else:
            program = _program(argument) or program
            shown.append(_argument(argument, judge, program, depth))
            # `aws configure set aws_secret_access_key ...`
            option, several = (argument if before == "set" and level_of(argument) is Level.STRONG else "", False)
        before = argument
    return shown


def _names_of_values(arguments: Sequence[str]) -> dict[int, str]:
    """Position of the argument behind a `--value` -> what `--name` says it is, of those that sound like a secret: the
    nearest name before the value, or the first one after it."""
    found: dict[int, str] = {}
    name, waiting = "", list[int]()
    for at, (option, argument) in enumerate(itertools.pairwise(arguments), 1):
        plain = _plain(option) if option.startswith("-") else ""
        if plain in _NAME_OPTIONS:
            name = argument.rpartition("/")[2]
            found.update(dict.fromkeys(waiting, name))
            waiting = []
        elif plain in _VALUE_OPTIONS and name:
            found[at] = name
        elif plain in _VALUE_OPTIONS:
            waiting.append(at)
    return {at: name for at, name in found.items() if level_of(name) is not Level.NONE}


def _is_header_option(option: str) -> bool:
    plain = _plain(option)
    return plain in _HEADER_OPTIONS or plain.lower().endswith(("_header", "_headers"))


def _masked_plain(value: str, judge: Judge) -> str:
    """A text, or an address without a scheme."""
    found = _ADDRESS.match(value, 2 if value.startswith("//") else 0) if "@" in value else None
    if found is not None and judge("password", found[0].partition(":")[2]):
        value = f"{value[: found.start()]}{HIDDEN}@{value[found.end() :]}"
    return masked_text(value, judge)


def _is_option(argument: str, before: str) -> bool:
    """Whether it is an option, and not the value of the one before it: a password may begin with a dash."""
    if not _OPTION.fullmatch(argument):
        return False
    mixed = any(map(str.isdigit, argument)) and any(map(str.isalpha, argument)) and len(argument) > 5
    if argument.startswith("--"):
        mixed = mixed and any(map(str.isupper, argument)) and any(map(str.islower, argument))
    return not (mixed and before and level_of(_plain(before)) >= Level.LOOSE)


def _plain(option: str) -> str:
    return option.lstrip("-+/").replace("-", "_").replace(".", "_")


def _program(argument: str) -> str:
    name = argument.replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
    return name if name in _PROGRAM_OPTIONS or name in _ATTACHED else ""


def _attached(argument: str, program: str, judge: Judge) -> str | None:
    """`-psecret` of a program that takes its password so."""
    if argument.startswith("--") or len(argument) < 3:
        return None
    for option in _ATTACHED.get(program, ()):
        rest = argument.removeprefix(option)
        if rest != argument and rest and judge("password", rest):
            return f"{option}{HIDDEN}"
    return None


def _option_value(option: str, value: str, judge: Judge, program: str, depth: int) -> str:
    """The argument after an option, without what is secret in it."""
    plain = _plain(option)
    if option in _PROGRAM_OPTIONS.get(program, ()) and not (
        option == "-p" and re.fullmatch(r"[\d.:]+(?:/\w+)?", value)
    ):
        return HIDDEN if judge("password", value) else value
    if _is_header_option(option):
        return _header(value, judge)
    if _names_user(plain) and _is_login(value):
        return HIDDEN if judge("password", value) else value
    if level_of(plain) is Level.NONE:
        return _argument(value, judge, program, depth, name=plain)
    if value.lower() in EMPTY_VALUES:
        return value
    return masked_string(plain, value, judge)


def _names_user(name: str) -> bool:
    return name.replace("-", "_").rpartition(".")[2].rpartition("_")[2].lower() in _USER_OPTIONS


def _is_login(value: str) -> bool:
    user, _, password = value.partition(":")
    return (
        bool(_LOGIN.fullmatch(value)) and not (user.isdigit() and password.isdigit()) and not password.startswith("//")
    )


def _header(value: str, judge: Judge) -> str:
    """`Name: value`, or JSON of them. An `Authorization` is hidden whatever its scheme."""
    found = _HEADER.fullmatch(value)
    if found is None:
        return masked_string("", value, judge)
    name = found["name"]
    if level_of(name) is not Level.NONE and (
        judge(name, found["value"]) or judge(name, found["value"].rpartition(" ")[2])
    ):
        return f"{name}{found['colon']}{HIDDEN}"
    return masked_text(value, judge)


def _argument(value: str, judge: Judge, program: str, depth: int, name: str = "") -> str:
    """An argument that is no option's secret: `KEY=VALUE`, JSON, a command, or just a text."""
    if value.startswith("-") and (attached := _attached(value, program, judge)) is not None:
        return attached
    if value.startswith("-H") and _HEADER.fullmatch(value[2:]):
        return f"-H{_header(value[2:], judge)}"
    found = _ASSIGNMENT.fullmatch(value)
    if found is not None:
        if "://" in found["name"]:  # git -c url.https://user:password@host/.insteadOf=...
            return f"{masked_text(found['name'], judge)}{found['equals']}{masked_text(found['value'], judge)}"
        key = found["name"].lstrip("-+~/")
        plain = _plain(found["name"])
        if _is_header_option(found["name"]):
            return f"{found['name']}{found['equals']}{_quoted_as(found['value'], lambda text: _header(text, judge))}"
        if _names_user(plain) and _is_login(found["value"]):
            return f"{found['name']}{found['equals']}{HIDDEN if judge('password', found['value']) else found['value']}"
        if level_of(key) is not Level.NONE:
            return f"{found['name']}{found['equals']}{masked_string(key, found['value'], judge)}"
        inner = _argument(found["value"], judge, program, depth + 1, name=key) if depth < _MAX_DEPTH else found["value"]
        return f"{found['name']}{found['equals']}{inner}"
    if value[:1] in ("{", "["):
        return masked_string(name, value, judge)
    if any(map(str.isspace, value)):
        if depth < _MAX_DEPTH:
            value = _command(value, judge, depth + 1)
        header = _HEADER.fullmatch(value)
        if header is not None and level_of(header["name"]) > Level.RANDOM and "://" not in header["colon"]:
            return _header(value, judge)
    return _masked_plain(value, judge)


def _quoted_as(value: str, change: Callable[[str], str]) -> str:
    quote = value[:1]
    if len(value) > 1 and quote in ("'", '"') and value.endswith(quote):
        return f"{quote}{change(value[1:-1])}{quote}"
    return change(value)


def _command(text: str, judge: Judge, depth: int) -> str:
    """A command line in one argument: its words are arguments, and only those that change are written anew."""
    spans = [found.span() for found in _WORD.finditer(text)]
    words = [text[begin:end] for begin, end in spans]
    plain = [_unquoted(word) for word in words]
    shown = masked_arguments(plain, judge, depth)
    parts: list[str] = []
    at = 0
    for (begin, end), word, before, after in zip(spans, words, plain, shown, strict=True):
        if before == after:
            continue
        quote = word[0] if word[0] in "\"'" and word[-1] == word[0] else ""
        parts += [text[at:begin], f"{quote}{after}{quote}"]
        at = end
    return "".join(parts) + text[at:]


def _unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'":
        inner = word[1:-1]
        return re.sub(r"\\([\"\\$`])", r"\1", inner) if word[0] == '"' else inner
    if "'" in word or '"' in word:
        return re.sub(r"\"((?:[^\"\\]|\\.)*+)\"|'([^']*+)'", lambda found: found[1] or found[2] or "", word)
    return word

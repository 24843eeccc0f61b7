"""Secrets that are known by their form: keys with a provider's prefix, tokens, private keys, users in URLs.

A rule is tried only on texts that hold one of its marks, and compiled when that happens first: `init` of a run
whose texts hold none compiles nothing. Every pattern looks at a bounded number of characters from each place.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Final

from runstream.capture.secret_names import hides

HIDDEN: Final = "(hidden)"

#: (marks, what follows each): the marks are the beginning of the secret.
_PREFIXED: Final[Sequence[tuple[str, str]]] = (
    ("ghp_ gho_ ghu_ ghs_ ghr_ npm_ hf_ api_org_ gsk_ r8_ pnu_ tgp_v1_ sgp_ sk_live_ sk_test_ sk_prod_", r"\w{16,}"),
    ("rk_live_ rk_test_ rk_prod_ whsec_ pk_live_ sm_aat_ sm_pat_ sm_sat_ lin_api_ ntn_ rdme_ figd_", r"\w{10,}"),
    ("github_pat_ dckr_pat_ wandb_v1_ pcsk_ lsv2_pt_ lsv2_sk_ rubygems_ sntryu_ duffel_live_", r"[\w-]{16,}"),
    ("glpat- gldt- glrt- glptt- glcbt- glft- gloas- glsoat- glimt- glagent- glffct- GR1348941", r"[\w.-]{16,}"),
    ("xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxe- xoxc- xoxd- xapp- xoxe.xox", r"[\w.%-]{10,}"),
    ("sk-ant- sk-proj- sk-svcacct- sk-admin- sk-or- pplx- xai- nvapi- tskey- ATATT3 ATCTT3 CFPAT-", r"[\w=+/.-]{16,}"),
    ("AIza ya29. GOCSPX- 1//0 hvs. hvb. hvr. glsa_ glc_ sntrys_ fm1a_ fm1r_ fm2_ fo1_ ops_eyJ", r"[\w=+/.-]{20,}"),
    ("shpat_ shpca_ shppa_ shpss_ dop_v1_ doo_v1_ dor_v1_ shippo_live_ sha256~ pul- key-", r"[\w-]{32,}"),
    (
        "pscale_tkn_ pscale_pw_ pscale_oauth_ PMAK- xkeysib- HRKU- pypi-Ag FLWSECK sq0atp- sq0csp- dp.pt.",
        r"[\w=.-]{16,}",
    ),
    ("dt0c01. AGE-SECRET-KEY-1 SG. dapi ATBB ABSK secret_ A3- LTAI EZAK bedrock-api-key-", r"[A-Za-z0-9+/=._-]{20,}"),
)
#: Programs and packages are called like some of these: what follows has to hold a digit.
_MIN_DIGITS: Final = 2
_MAX_PEM_CHARS: Final = 16_000
#: Of secrets without white space in them.
_MIN_WORD_CHARS: Final = 18


def without_forms(text: str) -> str:
    """`text` with every secret that is known by its form replaced by HIDDEN."""
    if len(text) < _MIN_WORD_CHARS and " " not in text and ":" not in text:
        return text
    lowered: str | None = None
    for marks, folded, apply in _RULES:
        if folded:
            lowered = text.lower() if lowered is None else lowered
            if not any(mark in lowered for mark in marks):
                continue
        elif not any(mark in text for mark in marks):
            continue
        text, lowered = apply(text), None
    words = " ".join(word for word in text.split() if len(word) >= _MIN_WORD_CHARS)
    if words:
        for marks, apply in _WORD_RULES:
            if any(mark in words for mark in marks):
                text = apply(text)
    return text


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _hide(pattern: str, replacement: str = HIDDEN) -> Callable[[str], str]:
    return lambda text: _compiled(pattern).sub(replacement, text)


def _prefixed(marks: Sequence[str], rest: str) -> Callable[[str], str]:
    pattern = rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, marks))})({rest})"

    def hide(found: re.Match[str]) -> str:
        return HIDDEN if sum(map(str.isdigit, found[1])) >= _MIN_DIGITS else found[0]

    return lambda text: _compiled(pattern).sub(hide, text)


def _pem(text: str) -> str:
    """Private keys between their lines, escaped line ends too; to the end of the text if the last line is missing."""
    begin = _compiled(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
    end = _compiled(r"-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
    parts: list[str] = []
    at = 0
    while found := begin.search(text, at):
        last = end.search(text, found.end(), found.end() + _MAX_PEM_CHARS)
        parts += [text[at : found.start()], HIDDEN]
        at = last.end() if last else min(len(text), found.end() + _MAX_PEM_CHARS)
    return "".join(parts) + text[at:]


#: `scheme://user:password@host`. The last @ before the path ends the user: passwords hold others.
_USER_IN_URL: Final = r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30})://([^\s/?#\"'<>\\`]{1,500})@"
#: The same for addresses of services, whose passwords stand in connection strings unescaped, slashes and all.
_SERVICES: Final = (
    "postgres|postgresql|pgsql|mysql|mariadb|mssql|sqlserver|oracle|cockroachdb|redshift|snowflake|clickhouse|mongodb|"
    "redis|rediss|valkey|amqp|amqps|mqtt|mqtts|nats|kafka|ldap|ldaps|ftp|ftps|sftp|smtp|smtps|imap|elasticsearch|"
    "neo4j|bolt|cassandra|influxdb|memcached|cloudinary"
)
_SERVICE_USER: Final = rf"(?i)(?<![A-Za-z0-9+.-])((?:{_SERVICES})(?:\+[a-z0-9_]{{1,30}}){{0,2}})://([^\s:/@\"'<>]{{0,100}}:[^\s\"'<>]{{1,300}})@"


def _user_in_url(found: re.Match[str]) -> str:
    scheme, user = found[1], found[2]
    if user == HIDDEN:
        return found[0]
    web = scheme.lower() in ("http", "https", "git+https", "git+http", "hg+https", "svn+https")
    if ":" not in user and (user == "git" or not web) and not _opaque(user):
        return found[0]
    return f"{scheme}://{HIDDEN}@"


def _opaque(user: str) -> bool:
    return len(user) >= 20 and any(map(str.isdigit, user)) and any(map(str.isalpha, user))


_QUERY: Final = r"(?<=[?&#])([A-Za-z][\w.%-]{0,80})=([^&\s\"'<>#\\`]{1,4000})"


#: Always a secret in a query, however short; and connection strings that are encoded into one.
_SIGNATURE: Final = r"(?i)(?:.{0,60}[_-])?(?:sig|signature|credential|security-token)"
_ENCODED: Final = r"(?i).{0,2000}(?:pwd|password|secret|key|token|sig)(?:%3D|%253D).{0,4000}"


def _query(found: re.Match[str]) -> str:
    secret = (
        hides(found[1], found[2])
        or _compiled(_SIGNATURE).fullmatch(found[1]) is not None
        or ("%3D" in found[2].upper() and _compiled(_ENCODED).fullmatch(found[2]) is not None)
    )
    return f"{found[1]}={HIDDEN}" if secret and found[2] != HIDDEN else found[0]


def _urls(text: str) -> str:
    if "?" in text or "#" in text:
        text = _compiled(_QUERY).sub(_query, text)
    if "@" not in text:
        return text
    text = _compiled(_SERVICE_USER).sub(rf"\1://{HIDDEN}@", text)
    text = _compiled(_USER_IN_URL).sub(_user_in_url, text)
    return _compiled(r"(?i)(jdbc:oracle:[a-z]{1,8}:)([^\s@/\"']{1,100}/[^\s@\"']{1,200})@").sub(rf"\1{HIDDEN}@", text)


def _authorization(text: str) -> str:
    """What follows `Authorization:`, to the end of the line or the quotation; `Bearer ...` and `Basic ...` anywhere."""
    header = (
        r"(?i)((?<![A-Za-z])(?:proxy-)?authorization(?:\\?[\"'])?\s{0,3}[:=]\s{0,3}(?:[rbfu]{0,2}\\?[\"'])?)"
        r"(?!\(hidden\))([^\s\"'`][^\r\n\"'`]{0,2000})"
    )
    text = _compiled(header).sub(_hide_header, text)

    def hide(found: re.Match[str]) -> str:
        value = found[2]
        certain = any(map(str.isdigit, value)) or value.endswith("=") or len(value) > 30
        return f"{found[1]}{HIDDEN}" if certain else found[0]

    return _compiled(r"(?i)(?<![A-Za-z])((?:bearer|basic|digest|token)[ ]{1,3})([\w.~+/=:-]{8,2000})").sub(hide, text)


def _hide_header(found: re.Match[str]) -> str:
    value = found[2].strip().rstrip(",;)]")
    references = _compiled(
        r"(?i)(?:(?:bearer|basic|token) ?)?(?:f?\{[\w.\[\]()]{0,80}\}|\$\{?\w{1,60}\}?|<\w{1,40}>|%s|none|null)?"
        r"|(?:bearer|basic|token) (?-i:[A-Z_]{2,30}|\.\.\.).*"
    )
    return found[0] if references.fullmatch(value) else f"{found[1]}{HIDDEN}"


#: `machine HOST login USER password PASSWORD`, as a .netrc has it; over several lines too.
_NETRC: Final = (
    r"((?<!\S)(?:machine\s{1,10}\S{1,200}|default)\s{1,10}(?:(?:login|account)\s{1,10}\S{1,200}\s{1,10}){1,2}"
    r"password\s{1,10})(?!\(hidden\))\S{1,500}"
)
_Rule = tuple[tuple[str, ...], bool, Callable[[str], str]]
#: (marks, whether they are compared in lower case, what hides).
_RULES: Final[Sequence[_Rule]] = (
    (("PRIVATE KEY",), False, _pem),
    ((":/", "jdbc:"), False, _urls),
    (("machine ", "machine\t"), False, _hide(_NETRC, rf"\1{HIDDEN}")),
    (("authorization", "bearer ", "basic ", "digest ", "token "), True, _authorization),
)  # fmt: skip
#: The same for secrets without white space, which are looked for in long words only.
_WORD_RULES: Final[Sequence[tuple[tuple[str, ...], Callable[[str], str]]]] = (
    *((tuple(marks.split()), _prefixed(marks.split(), rest)) for marks, rest in _PREFIXED),
    (("AKIA", "ASIA", "ABIA", "ACCA"), _hide(r"(?<![A-Za-z0-9])A(?:KI|SI|BI|CC)A[A-Z0-9]{16}(?![A-Za-z0-9])")),
    (("sk-",), _prefixed(("sk-",), r"[A-Za-z0-9]{20,}")),
    (("eyJ",), _hide(r"(?<![A-Za-z0-9_-])eyJ[\w-]{10,4000}\.[\w-]{10,8000}(?:\.[\w-]{0,4000}){0,3}")),
    (("local-",), _hide(r"(?<![\w-])local-[0-9a-f]{40}(?![\w-])")),
    ((":AA",), _hide(r"(?<![\w-])\d{8,12}:AA[\w-]{30,50}")),
    (("Q~",), _hide(r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}")),
    ((".atlasv1.",), _hide(r"(?<![\w-])[A-Za-z0-9]{10,20}\.atlasv1\.[\w=-]{30,90}")),
    (("hooks.slack.com", "/api/webhooks/", "webhook.office.com", "/webhookb2/"), _hide(
        r"(?:hooks\.slack\.com/[a-z]{3,12}|/api/webhooks|webhook\.office\.com/webhookb2)/[^\s\"'<>]{8,400}"
    )),
)  # fmt: skip

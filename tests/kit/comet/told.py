"""What the scenarios of live.py tell the client, and the tests expect to read: one description, imported by both, of
which neither the client nor Runstream is a part."""

import math

LIVE_WORKSPACE = "live wörk"
LIVE_PROJECT = "Pro ject 50%"

#: Points of the metric that is compared one by one.
POINTS = 2_000
#: Those of the second attempt.
RESUMED_POINTS = 10
OFFLINE_POINTS = 1_200
#: Points that are logged in a handful of milliseconds, without a step.
CROWD = 1_500


def loss_value(step: int) -> float:
    return math.sin(step / 50) / (1 + step)


def crowd_value(number: int) -> float:
    """No two are equal, and none ascends for long: their order can be told."""
    return float(number * 7_919 % CROWD)


#: A batch with all of these must lose nothing else.
ODD_METRIC_VALUES = [
    math.nan,
    math.inf,
    -math.inf,
    2**53 + 1,
    1e308,
    5e-324,
    True,
    False,
    10**400,
    "text ☃",
    "0.5",
    None,
    [1, 2],
    "x" * 10_000,
    7,
]
ODD_METRIC_NAMES = [
    "sl/ash",
    "with space",
    "☃ ünï \"quoted\" 'x' % _",
    "long " + "x" * 10_000,
    "long " + "x" * 9_999,
    "con\x00trol\x1b[31m\nname\t",
    " outer ",
    "1",
]
PARAMETERS = {
    "opt": {"lr": 0.1, "inner": {"deep": None, "list": [1, "a", None]}},
    "flag": True,
    "big": 2**53 + 1,
    "huge": 10**30,
    "nan": math.nan,
    "inf": -math.inf,
    "empty": "",
    "long": "ü" + "x" * 9_998 + "☃",
    "sl/a sh ☃": "va/l ue",
    "con\x00trol\n": "con\x00trol\nvalue",
}
OTHERS = {"note": "été ☃", "score": 0.5, "yes": True, "gone": None, "list": [1, "a"]}
LINES = ["first line", "ünï ☃", "  outer  "]
LONG_LINE = "long " + "y" * 40_000

IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FIGURE = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"
#: Beyond the body that web frameworks take without being told (1 MiB).
WEIGHTS = bytes(range(256)) * 12_288
ODD_ASSETS = {
    "a/b/c.txt": b"in folders",
    "with space.txt": b"spaces",
    "☃ ünï.txt": b"unicode",
    "/abs/olute.txt": b"absolute",
    "../up.txt": b"up",
    "50% & more?x=1#2.txt": b"marks",
    "empty.bin": b"",
}

# What rest.py says.
REST_WORKSPACE = "rest wörk"
REST_PROJECT = "by REST 50%"
START_MS = 1_700_000_000_123
REST_VALUES = [math.nan, math.inf, -math.inf, 2**53 + 1, 1e308, 0.1 + 0.2, True, -7]
REST_PARAMETERS = {
    "lr": 0.1,
    "big": 2**53 + 1,
    "flag": False,
    "none": None,
    "list": [1, "a", None],
    "nan": math.nan,
    "long": "ü" + "x" * 9_998 + "☃",
    "opt": {"name": "adam", "deep": {"er": 1}},
    "sl/a sh ☃": "va/l ue",
    "con\x00trol\n": "con\x00trol\nvalue",
}

"""What the trainer logs and the tests expect to read: one description, imported by both."""

import math
from typing import Any

WORKSPACE = "Wörk space"
PROJECT = "Pro ject 100%"
KEY = "a-key-of-sixteen-characters-or-more"

#: Values of metrics that formats like to lose, in the order of their steps.
ODD_VALUES = [
    math.nan,
    math.inf,
    -math.inf,
    float(2**53),
    float(2**53 - 1),
    1e308,
    5e-324,
    -0.0,
    0.1 + 0.2,
    3.0,
    -7.25,
    1 / 3,
]
ODD_RUN = 'ödd "name" / 1'
ODD_NAME = "val/acc top 1 % ünï ☃ \"quoted\" 'x'"
LONG_TEXT = "ü" + "x" * 9_998 + "☃"
#: Parameters, and the text that each is read back as.
ODD_PARAMETERS = {
    "big": (2**53 + 1, "9007199254740993"),
    "huge": (1e308, "1e+308"),
    "tenth": (0.1, "0.1"),
    "epochs": (120, "120"),
    "yes": (True, "true"),
    "no": (False, "false"),
    "none": (None, "null"),
    "nan": (math.nan, "NaN"),
    "inf": (-math.inf, "-Infinity"),
    "empty": ("", ""),
    "list": ([1, "a", None], '[1,"a",null]'),
    "long": (LONG_TEXT, LONG_TEXT),
    "sl/ash and space": ("va/l ue", "va/l ue"),
    "%_": ("100%_\\'\"", "100%_\\'\""),
    "text": ("NULL", "NULL"),
    "ünï": ("☃", "☃"),
}
#: A curve that is sampled: as many points, and two extremes where no regular sample would find them.
LONG_STEPS = 5_000
SPIKE_STEP, DIP_STEP = 1_777, 3_333


def long_value(step: int) -> float:
    if step in (SPIKE_STEP, DIP_STEP):
        return 1_000.0 if step == SPIKE_STEP else -1_000.0
    return math.sin(step / 100)


#: The runs that queries look at: name -> (metrics' last values, parameters, other values, tags).
SWEEP: dict[str, tuple[dict[str, float], dict[str, Any], dict[str, Any], list[str]]] = {
    "mlp-0": ({"acc": 0.5, "loss": 1.0}, {"lr": 0.1, "opt": "adam", "flag": True, "seed": 1}, {"note": "first"}, ["a"]),
    "mlp-1": (
        {"acc": 0.9, "loss": 0.2},
        {"lr": 0.01, "opt": "adamw", "flag": False, "seed": 2},
        {"note": ""},
        ["a", "b"],
    ),
    "mlp-2": ({"acc": 0.99, "loss": math.nan}, {"lr": 0.001, "opt": "sgd", "seed": "2"}, {"note": None}, ["b"]),
    "cnn-3": ({"acc": -1.0}, {"opt": "100%", "acc": "text"}, {}, ["x y/z ü"]),
    "cnn-4": ({"loss": math.inf}, {"lr": 5, "opt": "it's", "flag": True}, {"note": "ü%_"}, []),
}
ARCHIVED = "old-5"
CURVE = {"name": "roc", "x": [0.0, 0.5, 1.0], "y": [0.0, 0.75, 1.0]}
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
WEIGHTS = bytes(range(256)) * 8_192

"""A configuration in a file, which scripts give to `init` by its path."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runstream.plain_files import open_plain

#: Of a configuration; whatever is larger is data.
MAX_BYTES: Final = 1_000_000
_YAML: Final = (".yaml", ".yml")
_DESCRIBED: Final = {"value", "desc"}


class UnusableConfig(ValueError):
    """The file gives no configuration. The message says why, and what to do."""


def config_of_file(path: Path) -> dict[str, Any]:
    """Read a mapping of names to values from a JSON or YAML file. What W&B writes as {"value": ..., "desc": ...} is
    the value. Raises UnusableConfig."""
    try:
        with open_plain(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # Invalid is a ValueError
        raise UnusableConfig(f"{path} cannot be read ({error}): give the path of a file, or a dict") from error
    if len(data) > MAX_BYTES:
        raise UnusableConfig(f"{path} has more than {MAX_BYTES} bytes: log it with log_asset()")
    values = _parsed(path, data)
    if not isinstance(values, Mapping):
        raise UnusableConfig(
            f"{path} holds no mapping but a {type(values).__name__}: give names with values, or a dict"
        )
    return {str(name): _value_of(value) for name, value in values.items()}


def _parsed(path: Path, data: bytes) -> Any:
    try:
        if path.suffix.lower() not in _YAML:
            return json.loads(data)
        import yaml
    except ImportError as error:
        raise UnusableConfig(f"{path} needs PyYAML to be read: pip install pyyaml, or give a dict") from error
    except (ValueError, RecursionError) as error:
        raise UnusableConfig(f"{path} is no JSON ({error}): give a .json or .yaml file, or a dict") from error
    try:
        return yaml.safe_load(data)
    except Exception as error:  # of many kinds, also ValueError of an impossible date
        first = str(error).split("\n", 1)[0]
        raise UnusableConfig(f"{path} is no YAML that can be read ({first}): mend it, or give a dict") from error


def _value_of(value: Any) -> Any:
    described = isinstance(value, Mapping) and "value" in value and set(value) <= _DESCRIBED
    return value["value"] if described else value

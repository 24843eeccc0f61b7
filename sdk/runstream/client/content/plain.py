"""From Python values to what JSON can hold. Pure; nothing here raises for odd values, and the work is bounded."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from runstream.client.content.mappings import as_mapping, items_of, named_values, unwrapped
from runstream.client.content.text import clean
from runstream.events.limits import MAX_EVENT_BYTES, MAX_PARAMETER_NAME_CHARS
from runstream.spool.values import Problem, shown

_MAX_DEPTH: Final = 30
#: Names of one call. A configuration has hundreds; what has more of them is data, or an object that leads to others.
MAX_NAMES: Final = 20_000
#: Values inside one value: an event holds fewer (MAX_VALUES_BYTES at three bytes each).
_MAX_INNER: Final = 100_000
#: Values of one call, which take about a second.
_MAX_VALUES: Final = 1_000_000
#: Problems of one call that are kept: a person is told the first ones.
_MAX_PROBLEMS: Final = 1_000
#: Room for the rest of the event around its values.
MAX_VALUES_BYTES: Final = MAX_EVENT_BYTES - 6_000
#: Longer integers have more digits than Python writes.
_MAX_INT_BITS: Final = 13_000
_CUT: Final = "... (cut)"
#: Less than this of a value says nothing.
_MIN_CUT_BYTES: Final = 200


class Conversion:
    """Turns the values of one call into names and JSON values; `problems` has what could not stay as it was.

    NaN and the infinities stay, numbers of numpy and torch become Python's, members of an Enum their values, classes
    and functions their names, whatever has named values an object, anything else its `str`.
    """

    def __init__(self, what: str, show: Callable[[str, Any], str] | None = None) -> None:
        """`what` one of the values is to a person: a parameter, a value. `show` gives a value of a name as a problem
        may show it, in short and without secrets."""
        self.problems: list[Problem] = []
        self.what = what
        self._show = show or (lambda _, value: shown(value))
        self._left = _MAX_VALUES
        self._inner_left = 0
        self._full = False
        #: The containers around the value at hand.
        self._around: list[int] = []
        self._found: dict[str, Any] = {}

    def parameters(self, values: object) -> dict[str, Any] | None:
        """Return nested mappings as one, with dotted names; an empty mapping is a value. None if `values` has no
        names."""
        named = as_mapping(values)
        if named is not None:
            self._around.append(id(values))
            self._flatten(named, "")
        return self._found if named is not None else None

    def values(self, values: object) -> dict[str, Any] | None:
        """Return the values under their names, nested ones as objects. None if `values` has no names."""
        named = as_mapping(values)
        if named is None:
            return None
        self._around.append(id(values))
        for key, value in self._items(named, ""):
            name = _text(key)
            if self._is_full(name):
                break
            if len(name) > MAX_PARAMETER_NAME_CHARS:
                what = f"(value {self._show(name, value)}) was left out: its name has {len(name)} characters"
                self._problem("long", name, f"{what}, give 1 to {MAX_PARAMETER_NAME_CHARS}")
                continue
            self._keep(name, value)
        return self._found

    def _flatten(self, values: Mapping[Any, Any], prefix: str) -> None:
        for key, value in self._items(values, prefix):
            name = prefix + _text(key)
            if self._is_full(name):
                return
            inner = self._inner(name, value)
            if inner is None or len(self._around) >= _MAX_DEPTH or id(value) in self._around:
                self._keep(self._fitting(name), value)
                continue
            self._around.append(id(value))
            self._flatten(inner, f"{name}.")
            self._around.pop()

    def _is_full(self, name: str) -> bool:
        if self._full or (self._left > 0 and len(self._found) < MAX_NAMES):
            return self._full
        self._full = True
        what = f"{shown(name)} and what follows were left out: at most {MAX_NAMES} names a call, log less of it"
        self.problems.append(Problem(f"{self.what} many", f"{self.what} {what}"))
        return True

    def _items(self, values: Mapping[Any, Any], prefix: str) -> Iterator[tuple[Any, Any]]:
        def failed(key: object, error: Exception) -> None:
            name = prefix + (_text(key) if key is not None else "*")
            self._problem("unread", name, f"was left out: it cannot be read ({shown(error)})")

        yield from items_of(values, failed)

    def _inner(self, name: str, value: Any) -> Mapping[Any, Any] | None:
        """What a value says by name; None also if that is nothing."""
        try:
            return named_values(value) or None
        except Exception as error:
            self._problem("unread", name, f"is kept as text: what is in it cannot be read ({shown(error)})")
            return None

    def _fitting(self, name: str) -> str:
        if len(name) <= MAX_PARAMETER_NAME_CHARS:
            return name
        self._problem("long", name, f"is kept under the first {MAX_PARAMETER_NAME_CHARS} characters of its name")
        return name[:MAX_PARAMETER_NAME_CHARS]

    def _keep(self, name: str, value: Any) -> None:
        if not name:
            self._problem("unnamed", name, f"(value {self._show(name, value)}) was left out: give it a name")
            return
        if name in self._found:
            self._problem("twice", name, f"stands there twice, the last counts ({self._show(name, value)}): rename one")
        self._inner_left = min(_MAX_INNER, self._left)
        before = self._inner_left
        self._found[name] = self._json(name, value)
        self._left -= before - self._inner_left

    def _json(self, name: str, value: Any) -> Any:
        self._inner_left -= 1
        try:
            return self._converted(name, value)
        except Exception as error:
            self._problem("unread", name, f"is kept as text: it cannot be read ({shown(error)})")
            return _text(value)

    def _converted(self, name: str, value: Any) -> Any:
        value = unwrapped(value)
        if value is None or type(value) in (bool, float):
            return value
        if isinstance(value, str):
            return clean(str.__str__(value))
        number = _number(value)
        if number is not None:
            return number
        if isinstance(value, type) or (callable(value) and isinstance(getattr(value, "__name__", None), str)):
            return clean(value.__name__)
        named = named_values(value)
        if named is not None:
            return self._contents(name, value, named)
        if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray | memoryview):
            return self._contents(name, value, value)
        kind = type(value).__name__
        self._problem(f"odd {kind}", name, f"holds a {kind}, which JSON cannot: its str() was kept")
        return _text(value)

    def _contents(self, name: str, value: Any, container: Any) -> Any:
        """The JSON object or array of a container, unless it is around itself or too deep."""
        if id(value) in self._around:
            self._problem("cycle", name, "contains itself: a text stands in the place of that")
            return f"(the {type(value).__name__} that this stands in)"
        if len(self._around) >= _MAX_DEPTH:
            self._problem("deep", name, f"nests deeper than {_MAX_DEPTH}: a text stands in the place of what is deeper")
            return f"({type(value).__name__}, nested deeper than {_MAX_DEPTH})"
        self._around.append(id(value))
        try:
            if isinstance(container, Mapping):
                return self._object(name, container)
            made = [self._json(name, item) for item in self._bounded(name, container)]
            return sorted(made, key=repr) if isinstance(container, Set) else made
        finally:
            self._around.pop()

    def _object(self, name: str, values: Mapping[Any, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in self._bounded(name, self._items(values, f"{name}.")):
            inner = _text(key)
            if inner in made:
                self._problem("twice", f"{name}.{inner}", "stands there twice, the last counts: rename one")
            made[inner] = self._json(name, item)
        return made

    def _bounded(self, name: str, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if self._inner_left <= 0:
                self._problem("large", name, f"has more than {_MAX_INNER} values: log it as an asset to keep all of it")
                return
            yield item

    def _problem(self, cause: str, name: str, what: str) -> None:
        if len(self.problems) >= _MAX_PROBLEMS:
            return
        # Kinds of odd values are told once each, not once a name: a configuration holds many paths.
        key = f"{self.what} {cause}" if cause.startswith("odd ") else f"{self.what} {cause} {name}"
        self.problems.append(Problem(key, f"{self.what} {shown(name)} {what}"))


def pieces(values: Mapping[str, Any], max_bytes: int = MAX_VALUES_BYTES) -> Iterator[dict[str, Any]]:
    """JSON values in pieces that fit into one event each. A value that does not fit alone becomes text that is cut."""
    piece: dict[str, Any] = {}
    size = 0
    for name, value in values.items():
        item_bytes = _size(name, value)
        if item_bytes > max_bytes:
            value = _cut(name, value, max_bytes)
            item_bytes = _size(name, value)
        if piece and size + item_bytes > max_bytes:
            yield piece
            piece, size = {}, 0
        piece[name] = value
        size += item_bytes
    if piece:
        yield piece


def fitted(values: Mapping[str, Any], max_bytes: int) -> tuple[dict[str, Any], list[str]]:
    """Return the values in `max_bytes` of JSON, and the names of those that were cut or left out for that: the largest
    ones."""
    sizes = {name: _size(name, value) for name, value in values.items()}
    left, kept, changed = max_bytes, dict(values), []
    for name in sorted(sizes, key=sizes.__getitem__):
        if sizes[name] > left:
            changed.append(name)
            if left - _size(name, "") < _MIN_CUT_BYTES:
                del kept[name]
                continue
            kept[name] = _cut(name, values[name], left)
        left -= _size(name, kept[name])
    return kept, changed


def _cut(name: str, value: Any, max_bytes: int) -> str:
    # A character has at most six bytes in JSON (a control character as an escape).
    return json.dumps(value, ensure_ascii=False)[: (max_bytes - _size(name, "")) // 6 - len(_CUT)] + _CUT


def _size(name: str, value: Any) -> int:
    return len(json.dumps({name: value}, ensure_ascii=False).encode())


def _number(value: Any) -> Any:
    """The Python number (or bool, or text) of a number or of a scalar of numpy, torch and the like; else None."""
    if isinstance(value, int):
        whole = int(value) if type(value) is not bool else value
        return whole if whole.bit_length() <= _MAX_INT_BITS else hex(whole)
    if isinstance(value, float):
        return float(value)
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        item = value.item()
        return item if type(item) in (bool, int, float, str) else None
    return None


def _text(value: Any) -> str:
    try:
        inner = unwrapped(value)
        return clean(str.__str__(inner) if isinstance(inner, str) else str(inner))
    except Exception:
        return shown(value)

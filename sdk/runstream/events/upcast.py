"""Where a retired version of an event becomes the present one.

When `run_started.v2` takes the place of `run_started.v1`, the model of v1 goes away and a function that turns its
fields into those of v2 is added to `UPCASTS` under "run_started.v1". Its golden file stays, and keeps it honest.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

#: A pure function from the fields of one version, tag included, to those of the next.
Upcast = Callable[[Mapping[str, Any]], Mapping[str, Any]]

#: By retired tag.
UPCASTS: Final[Mapping[str, Upcast]] = {}


def upcast(fields: Mapping[str, Any], upcasts: Mapping[str, Upcast] = UPCASTS) -> Mapping[str, Any]:
    """The fields in the present version: step by step while their tag is a retired one, `fields` itself if it is not.

    Raises whatever a function of the registry raises when the fields are not what its version had (KeyError,
    TypeError, ValueError), and ValueError if the registry leads in a circle.
    """
    for _ in range(len(upcasts) + 1):
        tag = fields.get("type")
        step = upcasts.get(tag) if isinstance(tag, str) else None
        if step is None:
            return fields
        fields = step(fields)
    raise ValueError(f"upcasting never ends: {fields.get('type')!r} leads back to itself")

"""A lease that others change all the time."""

from typing import Any, cast

import pytest

from runstream_protocols.kit.entities import Entity, EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.ubiops.agents import holding
from runstream_protocols.ubiops.agents.holding import HeldLease, changed
from runstream_protocols.ubiops.agents.leases import granted, released
from runstream_protocols.ubiops.agents.models import Held


async def test_a_change_that_never_gets_through_may_be_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldLease(cast("Entity", Named()), granted(None, "a", "host", 60, 0))
    tries = []

    async def found(*_: Any) -> HeldLease:
        return held

    async def refused(*_: Any) -> HeldLease:
        tries.append(1)
        raise EntityRefused("lease", "r", None)

    monkeypatch.setattr(holding, "require_lease", found)
    monkeypatch.setattr(holding, "replaced", refused)
    shown = Held(lease="0" * 32, token=1)
    with pytest.raises(Refused, match="send the request again") as raised:
        await changed(cast("Any", None), cast("Any", None), shown, lambda lease: released(lease, 1))
    assert (raised.value.status, len(tries)) == (503, 5), "of 409 an agent learns that the lease is another one's"


class Named:
    name = "r"

"""How partitions are shared when workers join and leave: each gets some, and most stay where they are."""

from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.metadata import MetadataResponse_v1

from runstream_processors.hosting.faust_app import BalancedAssignor, GroupSettings, make_app
from runstream_processors.hosting.partitions import PartitionWorkers

TOPIC = "runstream-frames"


def topic_of(partitions: int) -> ClusterMetadata:
    found = ClusterMetadata()
    rows = [(0, part, 1, [1], [1]) for part in range(partitions)]
    found.update_metadata(MetadataResponse_v1([(1, "127.0.0.1", 9092, None)], 1, [(0, TOPIC, False, rows)]))
    return found


class Group:
    """Workers, each with an assignor of its own, that are assigned anew by the first of them."""

    def __init__(self, partitions: int) -> None:
        self._topic = topic_of(partitions)
        self._assignors: dict[str, BalancedAssignor] = {}

    def join(self, *names: str) -> Mapping[str, set[int]]:
        for name in names:
            settings = GroupSettings(bootstrap=("127.0.0.1:9092",), topic=TOPIC)
            app = make_app(settings, PartitionWorkers(lambda part: None, lambda error: None))  # type: ignore[arg-type,return-value]
            assert isinstance(app.assignor, BalancedAssignor)
            self._assignors[name] = app.assignor
        return self._assign()

    def leave(self, name: str) -> Mapping[str, set[int]]:
        del self._assignors[name]
        return self._assign()

    def _assign(self) -> Mapping[str, set[int]]:
        offers = {}
        for name, assignor in self._assignors.items():
            metadata = assignor.metadata({TOPIC})
            assert isinstance(metadata, ConsumerProtocolMemberMetadata)
            offers[name] = metadata
        leader = next(iter(self._assignors.values()))
        found: dict[str, set[int]] = {}
        for name, assignment in leader.assign(self._topic, offers).items():
            assert isinstance(assignment, ConsumerProtocolMemberAssignment)
            self._assignors[name].on_assignment(assignment)
            found[name] = {part for _, parts in assignment.assignment for part in parts}
        return found


def check(found: Mapping[str, set[int]], partitions: int) -> None:
    assert sorted(part for parts in found.values() for part in parts) == list(range(partitions))
    most = -(-partitions // len(found))
    assert all(1 <= len(parts) <= most for parts in found.values()), found


async def test_every_worker_gets_its_share_when_others_come_and_go() -> None:
    for partitions in (4, 8, 12):
        group = Group(partitions)
        for number in range(partitions):
            check(group.join(f"worker-{number}"), partitions)
        for number in range(partitions - 1):
            check(group.leave(f"worker-{number}"), partitions)


async def test_a_third_worker_takes_no_more_than_it_needs() -> None:
    group = Group(4)
    before = group.join("one", "two")
    after = group.join("three")
    check(after, 4)
    assert after["three"]
    assert sum(len(before[name] & after[name]) for name in before) >= 2

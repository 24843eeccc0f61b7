"""A development server that is a cluster of one shard, without Keeper and without a network."""

import re
from typing import Final

#: The shard has the engine's own address, so the engine goes to it without a network.
CONFIGURATION: Final = """
<clickhouse>
  <tcp_port>9123</tcp_port>
  <macros><cluster>runs</cluster></macros>
  <remote_servers><runs><shard>
    <internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>9123</port></replica>
  </shard></runs></remote_servers>
</clickhouse>
"""


def runnable(statement: str) -> str:
    """Without Keeper: no replicas, and no statements that go to all servers."""
    statement = re.sub(r" ON CLUSTER '[^']*'", "", statement)
    statement = re.sub(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, )?([^)]*)\)", r"ENGINE = \1(\2)", statement)
    return re.sub(
        r"replicated_deduplication_window = (\d+), .*", r"non_replicated_deduplication_window = \1", statement
    )

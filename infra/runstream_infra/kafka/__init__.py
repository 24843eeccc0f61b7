"""A real Kafka on this machine, from its jars: for trying, for tests and for `runstream cluster up`.

`libs`     the jars, brought once by Maven, and the Java that runs them
`node`     one broker's configuration and process
`cluster`  one or three of them: start, kill, start again, stop

Not for production: every node is broker and controller at once, on 127.0.0.1, without encryption.
"""

from runstream_infra.kafka.cluster import KafkaCluster, KafkaStartFailed
from runstream_infra.kafka.libs import KafkaMissing

__all__ = ["KafkaCluster", "KafkaMissing", "KafkaStartFailed"]

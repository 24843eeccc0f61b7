"""The log over Kafka. `log.KafkaLog` is both sides, `writer.KafkaWriter` and `reader.KafkaReader` are one each.

`settings`  how Kafka is reached and how the topic shall be: one model, from the environment
`topic`     the topic's declaration; it is created or checked at every start
`stamps`    the log's clock over records of several writers: pure functions
`writer`    one queue a partition: what gathers while a batch is under way becomes the next batch
`cursor`    one consumer on one partition, read from front to back
`reader`    the thread that holds the cursors, and the interface of `runstream_service.log`
`failures`  from what the client library raises to `LogUnavailable` and `LogCorrupt`

Needs the extra `kafka`. docs/design/kafka.md gives the reasons.
"""

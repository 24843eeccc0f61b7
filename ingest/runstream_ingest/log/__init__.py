"""The log on one machine. `embedded.EmbeddedLog` is the real one, `memory.MemoryLog` forgets (for tests).

`format`     bytes of records, segments and marks: pure functions
`segment`    one segment file: scan it, index it, read from it
`recovery`   what a partition's folder holds after a start: cut a torn tail, refuse damage
`partition`  the writing side of one partition: commit a group, roll, seal, retain
`embedded`   the thread that commits groups, the lock, and the interface of `runstream_service.log`
"""

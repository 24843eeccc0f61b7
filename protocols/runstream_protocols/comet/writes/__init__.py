"""What Comet's own client writes, as events of the log (docs/design/comet.md, docs/comet.md).

`values`      odd values into usable ones
`frames`      what was said, into frames whose identity is made of what was said
`recording`   appending them, and waiting until they can be read
`bodies`      reading requests
`live`        the handshake and the batches of a live experiment
`writes`      the REST methods that write one experiment
`projects`    those that write projects, and move experiments
`uploads`     files
`registry`    registered models
`routes`      the table of routes
"""

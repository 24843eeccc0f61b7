"""What Comet's own client writes, as events of the log (docs/design/comet.md, docs/comet.md).

`experiments` which experiment, workspace and project a request is about
`frames`      batches of values and printed lines, as frames
`live`        the handshake and the batches of a live experiment
`writes`      the REST methods that write one experiment
`projects`    those that write projects, and move experiments
`forms`       multipart bodies; `metadata` of files; `uploads`, their handlers
`models`      which files of an experiment are of which model
`registry`    registered models; `renaming` of one; `outcomes` of events about them
`routes`      the table of routes
"""

"""The sender: one process a spool directory that carries every writer's records to its gateway.

`start`      start one if none lives (what `init` calls)
`sync`       send everything that is left and wait for it (what `runstream sync` calls)
`process`    the process: finds writers, gives each to a channel, says how it is, exits when nobody needs it
`channel`       one connection to one gateway, and the writers that are pinned to it
`writers`    one writer's folder: how far it is, whether it lives, what was refused
`frames`     a window of the spool as a frame
`responses`  what a gateway's response means
`assets`     files that must be there before their event is
`transport`  HTTP, and the seam that tests replace
`status`     sender.json

It runs on training nodes: the standard library, lz4 and pydantic, nothing else.
"""

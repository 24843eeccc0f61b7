"""Sweeps: searches for the best parameters that Runstream's own client asks for.

It stands among the protocols because it is served as they are: by gateways, over entities, in a folder of its own.

`configs`     what a sweep searches, and how
`state`       sweeps and their trials, which are entities, with what their runs tell
`asking`      the next trial, which no other request gets
`stopping`    whether a trial is to end early
`handlers`    the routes' handlers, and `routes`
"""

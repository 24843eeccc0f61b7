"""The contract that every part of Runstream shares: what a fact is, and how it travels.

`control`    the facts about runs, projects and experiments (pydantic models, one per fact, versioned)
`artifacts`  those about artifacts and their versions
`frame`      the message that carries one writer's facts and points: its form, decode, check
`encoding`   how a frame is made
`upcast`     where a retired version of a fact becomes the present one
`columns`    the points of a frame as numpy columns (server side only: it needs numpy)
`names`      what a run id, a metric name, a project name may be
`limits`     every size that is checked, with its arithmetic
`positions`  how far in the log something is

Fields are only ever added. Bytes written by every released version stand in tests/golden and decode for ever.
"""

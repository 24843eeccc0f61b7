"""Live panels of a server on one machine: their processes, the addresses at which pages show them, and the routes that
open these.

`host`      panels that run, frames that show them, and what ends both
`proxy`     what a frame loads, from the panel's process
`kept`      panels that are kept with projects
`routes`    all of it as routes of the server
"""

"""Comet's Optimizer: a search that the client creates, whose next values it asks for, and to which it tells results.

`configs`     what the client gives, and the search that it means
`spaces`      its parameters as a search space
`state`       optimizers and their assignments, which are entities
`assigning`   the next values, which no other request gets
`handlers`    the routes' handlers, and `routes`
"""

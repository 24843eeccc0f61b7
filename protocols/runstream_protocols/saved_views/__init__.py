"""Saved views: what a page of a project shows, under a name, for everybody who may read the project.

They stand among the protocols because they are served so: by gateways, over entities, in a folder of their own.

`handlers`    the routes' handlers, and `routes`
`models`      requests and responses
"""

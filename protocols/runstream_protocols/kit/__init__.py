"""What the protocols of foreign clients share. Nothing here knows one of them.

`errors`      a refusal that each protocol gives its own form
`places`      the project that one text names
`payloads`    requests: JSON as clients really write it, and query strings
`values`      odd values into usable ones
`multipart`   the parts of a multipart body, within bounds
`uploads`     files of requests into the asset storage
`statements`  what one request says, as frames whose identity is made of its content
`points`      values of metrics, as frames
`attempts`    the start and the end of a run, written by a client that numbers nothing
`recorder`    appending statements once, and waiting until they can be read
`outcomes`    events about artifacts, and what the fold made of them
`side`        the routes of a client that reads at the paths that it writes to
`streaming`   responses that are too long to be made before they begin
`archives`    several stored files as one archive
"""

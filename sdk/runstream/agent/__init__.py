"""Executing runs that others requested (docs/agent.md, docs/design/agent.md).

`agent`        leases runs and starts a supervisor for each
`supervisor`   the process of one run, from its preparation to its end; it outlives its agent
`ending`       what is left of a run when its code has ended: files, the SDK's run, the report
`execution`    the process that runs the code: its output, its time, its memory
`harness`      that process; it needs nothing but Python's own library
`processes`    finding and killing what came of it
`preparing`    code and training data on this machine; `archives` unpacks; `environments` builds
`keeping`      keeps the lease, and hears of a cancellation
`leases`       requests about leases; `transfers` files by URLs
`folder`       the folder of one run: what is known of it when its supervisor was killed
`limits`       what a run may take
"""

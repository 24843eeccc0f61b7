"""What the client raises, split by what the caller does about it.

`Unavailable` try again later; `Invalid` change what was given; `Unusable` change the machine or the installation.
Only `init`, the reading `API` and the tools raise. `Run.log` and everything else that a training loop calls never
do: they say once what is wrong and go on.
"""


class RunstreamError(Exception):
    """Everything that Runstream's client raises on purpose."""


class Unavailable(RunstreamError):
    """A server or a file is not there now. The message says which, and what to do if it stays away."""


class Invalid(RunstreamError, ValueError):
    """Something that was given cannot be used. The message names it, its value, and what would be right."""


class InvalidSetting(Invalid):
    """A setting cannot be used. The message names the setting, its value, where it came from, and the fix."""


class RunExists(Invalid):
    """`resume="never"` was asked for a run that is already there."""


class RunMissing(Invalid):
    """`resume="must"` was asked for a run that is not there."""


class RunDeleted(RunMissing):
    """`resume` was asked for a run that somebody deleted: what it logs would not be seen. The message says how to bring
    it back."""


class Unusable(RunstreamError):
    """This machine cannot do it: no writable spool directory, a spool from a newer version, no such platform."""

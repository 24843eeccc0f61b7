"""What the metric folds raise. Both are fatal to the worker's memory: it is thrown away and loaded again."""


class FoldError(Exception):
    """A fold cannot go on."""


class InvalidState(FoldError):
    """A stored state that no fold has written; the message names it. `runstream rebuild` makes it anew from the log."""


class StateNotLoaded(FoldError):
    """A fold was asked to go on without the state that it goes on from: a mistake of the caller."""

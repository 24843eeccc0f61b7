"""What a process loads before its event loop serves anybody."""


def load_early() -> None:
    """Load what pyarrow loads with its first array: pandas, where that is installed. It takes half a second to two, in
    which the event loop of the first request that needs an array would stand still."""
    import pyarrow as pa

    pa.array([0])

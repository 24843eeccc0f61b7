"""What a run may take."""

from dataclasses import dataclass

from runstream.errors import Invalid


@dataclass(frozen=True, slots=True)
class RunLimits:
    """memory_mb: MiB of all processes of a run together, and of the data of each, where its instance type does not say
    it. processes: at once. open_files: of each process. file_mb: the largest file that it may write, MiB. output_chars:
    of stdout and stderr together; what is beyond is left out. unpacked_mb: of an archive with code, MiB.
    build_s: seconds in which an environment has to be built."""

    memory_mb: int = 2_048
    processes: int = 256
    open_files: int = 1_024
    file_mb: int = 20_480
    output_chars: int = 20_000_000
    unpacked_mb: int = 2_048
    build_s: float = 1_800.0

    def __post_init__(self) -> None:
        for name, least in (("memory_mb", 64), ("processes", 1), ("open_files", 16), ("file_mb", 1)):
            if (value := getattr(self, name)) < least:
                raise Invalid(f"{name} of an agent is {value}: give at least {least}")

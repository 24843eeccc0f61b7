"""Capture by file descriptors: what it hears, that its output reaches its place, and that nobody waits for it."""

import contextlib
import fcntl
import json
import os
import pty
import resource
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import runstream as rs
from kit.waiting import wait_until
from runstream.capture.forwarder import _Copies, _Stream
from runstream.capture.redirect import MARK_BEGINS

#: A program that captures; `ended` takes the rest and writes all that was kept to the file of the first argument.
PROGRAM = """
import ctypes, json, os, subprocess, sys, threading
from runstream.capture.console import ConsoleCapture

def begun():
    kept = []
    capture = ConsoleCapture(lambda name, text: kept.append((name, text)))
    capture.install("redirect")
    return capture, kept

def ended(capture, kept, path=sys.argv[1]):
    capture.remove()
    capture.flush(last=True)
    texts = {name: "".join(text for one, text in kept if one == name) for name in ("stdout", "stderr")}
    with open(path, "w") as file:
        json.dump(texts, file)

capture, kept = begun()
"""


class Ran:
    """A program that ran to its end: what came out of it, and what it kept."""

    def __init__(self, folder: Path, code: str) -> None:
        self.kept_path = folder / "kept.json"
        command = [sys.executable, "-c", PROGRAM + textwrap.dedent(code), str(self.kept_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        self.out, self.err, self.code = done.stdout, done.stderr, done.returncode

    @property
    def kept(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.kept_path.read_text())
        return found


def test_everything_that_is_printed_is_kept_and_reaches_its_place(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        print("python")
        print("an error", file=sys.stderr)
        os.write(1, b"descriptor\\n")
        subprocess.run(["echo", "child"])
        subprocess.run(["sh", "-c", "echo trouble >&2"])
        ctypes.CDLL(None).puts(b"library")
        if os.fork() == 0:
            os.write(1, b"fork\\n")
            os._exit(0)
        os.wait()
        print("half", end="")
        ended(capture, kept)
        print(" and after")
        """,
    )
    assert ran.kept == {"stdout": ran.out.removesuffix(" and after\n"), "stderr": "an error\ntrouble\n"}
    assert sorted(ran.out.split("\n")) == ["", "child", "descriptor", "fork", "half and after", "library", "python"]
    assert (ran.err, ran.code) == ("an error\ntrouble\n", 0)


def test_many_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        def work(number):
            for line in range(500):
                os.write(1, b"%d-%d\\n" % (number, line))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        ended(capture, kept)
        """,
    )
    assert ran.kept["stdout"] == ran.out
    assert sorted(ran.out.split()) == sorted(f"{number}-{line}" for number in range(8) for line in range(500))


def test_a_full_pipe_blocks_no_code_that_holds_the_interpreter(tmp_path: Path) -> None:
    """More than any pipe holds, written while no other Python thread of the program can run."""
    ran = Ran(
        tmp_path,
        """
        data = b"y" * 999_999 + b"\\n"
        assert ctypes.PyDLL(None).write(1, data, len(data)) == len(data)
        ended(capture, kept)
        """,
    )
    assert ran.out == "y" * 999_999 + "\n"
    assert ran.kept["stdout"] == ran.out


class Started(Ran):
    """The same, while it runs and nobody reads what comes out of it."""

    def __init__(self, folder: Path, code: str, *arguments: str) -> None:
        self.kept_path = folder / "kept.json"
        command = [sys.executable, "-c", PROGRAM + textwrap.dedent(code), str(self.kept_path), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> None:
        self.out, self.err = self.process.communicate(timeout=240)
        self.code = self.process.returncode


def test_a_stdout_that_nobody_reads_holds_up_no_stderr(tmp_path: Path) -> None:
    ran = Started(
        tmp_path,
        """
        enough = threading.Event()
        def fill():
            for number in range(10):
                os.write(1, b"y" * 65_535 + b"\\n")
                if number == 2:  # one in the reader's pipe, one at the forwarder, one in the pipe to it
                    enough.set()
        thread = threading.Thread(target=fill)
        thread.start()
        enough.wait()
        os.write(2, b"through\\n")
        thread.join()
        ended(capture, kept)
        """,
    )
    assert ran.process.stderr is not None
    assert ran.process.stderr.readline() == "through\n"
    ran.end()
    assert (len(ran.out), ran.kept["stdout"] == ran.out, ran.kept["stderr"]) == (655_360, True, "through\n")


def test_who_leaves_while_nobody_reads_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Another thread may begin and leave; the end waits for both streams together."""
    ran = Started(
        tmp_path,
        """
        from runstream.capture import redirect
        redirect._SETTLE_S = 3_600.0
        full = threading.Event()
        def fill():
            for number in range(10):
                os.write(1, b"y" * 65_535 + b"\\n")
                if number == 2:
                    full.set()
        filling = threading.Thread(target=fill)
        filling.start()
        full.wait()
        flush, is_leaving = redirect._flush, threading.Event()
        redirect._flush = lambda: (is_leaving.set(), flush())
        leaving = threading.Thread(target=ended, args=(capture, kept))
        leaving.start()
        is_leaving.wait()
        other = lambda name, text: None
        streams = redirect.redirect(other)
        os.write(2, f"{sorted(streams)} {leaving.is_alive()}\\n".encode())
        filling.join()
        leaving.join()
        redirect.leave(other)
        """,
    )
    assert ran.process.stderr is not None
    assert ran.process.stderr.readline() == "['stderr', 'stdout'] True\n"
    ran.end()
    assert (len(ran.out), ran.kept["stdout"] == ran.out, ran.code) == (655_360, True, 0)


def test_a_child_outlives_the_run_and_the_program(tmp_path: Path) -> None:
    """It goes on printing to where the program's output goes, which ends with it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = f"""
        subprocess.Popen(["sh", "-c", "echo early; read line < {gate}; echo late $line; echo last"])
        capture.flush()
        while "early" not in str(kept): capture.flush()
        ended(capture, kept)
        os._exit(7)
    """
    kept_path = tmp_path / "kept.json"
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(code), str(kept_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.wait(240) == 7
        gate.write_text("word\n")
        assert program.stdout is not None
        assert program.stdout.read() == "early\nlate word\nlast\n"
    assert json.loads(kept_path.read_text())["stdout"] == "early\n"


def test_descriptors_are_given_back_with_the_last_run(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        other, kept_by_other = begun()
        print("for both")
        ended(other, kept_by_other, sys.argv[1] + ".other")
        print("for one")
        ended(capture, kept)
        print("for none", os.listdir("/proc/self/fd").__len__())
        again, kept_again = begun()
        print("again")
        ended(again, kept_again, sys.argv[1] + ".again")
        print("for none", os.listdir("/proc/self/fd").__len__())
        """,
    )
    other, again = (json.loads(Path(f"{ran.kept_path}.{name}").read_text()) for name in ("other", "again"))
    assert (other["stdout"], ran.kept["stdout"], again["stdout"]) == ("for both\n", "for both\nfor one\n", "again\n")
    lines = ran.out.splitlines()
    assert lines[:2] + lines[3:4] == ["for both", "for one", "again"]


def test_a_terminal_stays_one(tmp_path: Path) -> None:
    """For the program and its children; what they print arrives as it was."""
    code = """
        print(sys.stdout.isatty(), os.get_terminal_size(1).columns)
        subprocess.run([sys.executable, "-c", "import sys; print(sys.stdout.isatty())"])
        ended(capture, kept)
    """
    master, slave = pty.openpty()
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(code), str(tmp_path / "kept.json")]
    subprocess.run(["stty", "cols", "123"], stdin=slave, check=True)
    subprocess.run(command, stdout=slave, stderr=slave, timeout=240, check=True)
    os.close(slave)
    assert os.read(master, 10_000) == b"True 123\r\nTrue\r\n"
    os.close(master)
    assert json.loads((tmp_path / "kept.json").read_text())["stdout"] == "True 123\nTrue\n"


def test_a_reader_that_leaves_is_noticed_as_ever(tmp_path: Path) -> None:
    """As in `python train.py | head -1`."""
    code = """
        try:
            while True: print("line", flush=True)
        except BrokenPipeError:
            os._exit(9)
    """
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(code), str(tmp_path / "kept.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"line\n"
        program.stdout.close()
        assert program.wait(240) == 9


def test_a_forwarder_that_is_killed_ends_the_capture_alone(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        import signal, time
        from runstream.capture import redirect
        print("before")
        while "before" not in str(kept):
            capture.flush()
            sys.stdout.flush()
        os.kill(redirect._current._process.pid, signal.SIGKILL)
        while redirect._current is not None: time.sleep(0.01)
        print("behind")
        ended(capture, kept)
        """,
    )
    assert (ran.out, ran.code) == ("before\nbehind\n", 0)
    assert ran.kept["stdout"] == "before\n"


def test_a_forwarder_outlives_what_a_batch_system_sends_to_every_process(tmp_path: Path) -> None:
    """As `scancel`, which ends a job: what the program prints in its last seconds comes to its place."""
    ran = Ran(
        tmp_path,
        """
        import signal
        from runstream.capture import redirect
        print("before")
        while "before" not in str(kept):
            capture.flush()
            sys.stdout.flush()
        for sent in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT):
            os.kill(redirect._current._process.pid, sent)
        print("a checkpoint is written")
        ended(capture, kept)
        """,
    )
    assert (ran.out, ran.code) == ("before\na checkpoint is written\n", 0)
    assert ran.kept["stdout"] == ran.out


def test_who_waits_for_input_keeps_nobody_from_the_end(tmp_path: Path) -> None:
    """A thread that reads with C's functions holds the lock of its stream meanwhile."""
    ran = Ran(
        tmp_path,
        """
        library = ctypes.CDLL(None)
        stdin = ctypes.c_void_p.in_dll(library, "stdin")
        os.dup2(os.pipe()[0], 0)
        threading.Thread(target=library.getchar, daemon=True).start()
        while library.ftrylockfile(stdin) == 0:
            library.funlockfile(stdin)
        library.printf(b"held by C\\n")
        ended(capture, kept)
        os._exit(0)
        """,
    )
    assert (ran.out, ran.code) == ("held by C\n", 0)
    assert ran.kept["stdout"] == ran.out


def test_without_a_thread_for_the_copies_nothing_is_redirected(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        capture.remove()
        def refuse(thread): raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        try:
            capture.install("redirect")
        except OSError as error:
            print(error)
        print("behind", flush=True)
        ended(capture, kept)
        """,
    )
    assert (ran.out, ran.err, ran.code) == ("can't start new thread\nbehind\n", "", 0)


def test_the_end_of_a_record_is_not_held_back() -> None:
    """A consumer that reads records up to a NUL waits for nothing behind it."""
    descriptors = [*os.pipe(), *os.pipe(), *os.pipe()]
    copies_write, source, write, target_read, target = descriptors[1], *descriptors[2:6]
    try:
        stream = _Stream(0, source, target, MARK_BEGINS + b"0123")
        os.write(write, b"record\0")
        stream.go_on(_Copies(copies_write))
        assert not stream.is_over
        os.set_blocking(target_read, False)
        assert os.read(target_read, 100) == b"record\0"
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def read_until(descriptor: int, end: bytes) -> None:
    while not os.read(descriptor, 65_536).endswith(end):
        pass


def test_a_program_with_many_open_files_may_have_an_output_that_does_not_wait() -> None:
    """Such as one that Node.js reads: its pipes are set so, and the descriptor's number is what is free."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[1], 4_096), limits[1]))
    descriptors = [*os.pipe(), *os.pipe(), *os.pipe()]
    copies_write, source, write, target_read = descriptors[1:5]
    try:
        descriptors.append(fcntl.fcntl(descriptors[5], fcntl.F_DUPFD, 1_100))
        os.set_blocking(descriptors[-1], False)
        with contextlib.suppress(BlockingIOError):
            while os.write(descriptors[-1], bytes(65_536)):
                pass
        os.write(write, b"more")
        copies, stream = _Copies(copies_write), _Stream(0, source, descriptors[-1], MARK_BEGINS)
        stream.go_on(copies)
        assert stream.is_waiting, "nobody reads yet"
        reader = threading.Thread(target=lambda: read_until(target_read, b"more"))
        reader.start()
        while stream.is_waiting:
            stream.go_on(copies)
        reader.join()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_what_a_full_disk_refused_is_left_out_and_no_more() -> None:
    """A target that has no room for a while: `/dev/full` stands for it, and then a pipe."""
    copies_read, copies_write = os.pipe()
    source_read, source_write = os.pipe()
    target_read, target_write = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    copies, stream = _Copies(copies_write), _Stream(0, source_read, full, b"mark")
    try:
        os.write(source_write, b"lost")
        stream.go_on(copies)
        assert not stream.is_over
        os.dup2(target_write, full)
        os.write(source_write, b"kept")
        stream.go_on(copies)
        assert not stream.is_over
        os.set_blocking(target_read, False)
        assert os.read(target_read, 100) == b"kept"
    finally:
        for descriptor in (copies_read, copies_write, source_read, source_write, target_read, target_write, full):
            os.close(descriptor)


def test_a_program_without_a_console_runs_as_before(tmp_path: Path) -> None:
    code = "os.close(1); os.close(2); capture, kept = begun(); ended(capture, kept)"
    program = PROGRAM.replace("capture, kept = begun()\n", "") + code
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "kept.json")], timeout=240, check=False)
    assert done.returncode == 0
    assert json.loads((tmp_path / "kept.json").read_text()) == {"stdout": "", "stderr": ""}


TRAINER = """
import subprocess, sys
import runstream as rs
run = rs.init(mode="offline", dir=sys.argv[1], console="redirect", capture_code=False, system_metrics_s=0)
subprocess.run(["echo", "from a child"])
print("from python")
run.finish()
print("after")
"""


def test_a_run_keeps_what_its_children_print(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout == "from a child\nfrom python\nafter\n"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.rows"))
    assert b"from a child" in written
    assert b"after" not in written


def test_a_frozen_program_is_wrapped_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    run = rs.init(mode="offline", dir=tmp_path, console="redirect", capture_code=False, system_metrics_s=0)
    print("heard by wrap")
    run.finish()
    assert "redirecting the console failed" in caplog.text
    wait_until(lambda: any(b"heard by wrap" in path.read_bytes() for path in tmp_path.rglob("*.rows")))

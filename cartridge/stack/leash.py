"""Ties a child process to its parent, then becomes the program.

In: the parent's pid and a command line. Out: the command, in this same process.
Invariant: on Linux the command never outlives the parent, however the parent died. Run as a script with `-I -S`,
so it imports the standard library only and costs about 10 ms; a `preexec_fn` would not be safe beside threads.

    python -I -S leash.py 4242 java -cp … kafka.Kafka server.properties
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent: int, command: list[str]) -> None:
    """Becomes `command`; exits 127 with one line when it cannot be started, 1 when the parent is gone already."""
    os.setsid()  # a Ctrl-C in the terminal is for the parent, which stops its children in order
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"error: {command[0]} cannot be started: {error.strerror}\n".encode())
        sys.exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

"""`python -IS health.py PORT`: whether the process behind a port is ready; 0 it is, 1 it is not, with the reason.

    docker, every few seconds -> this -> GET /readyz on 127.0.0.1

Started again and again in every container, so it imports as little as can be: a socket, and nothing of ours.
Deliberately absent: TLS, redirects, chunked bodies; the other side is node.runtime.health.
"""

import socket
import sys

DEADLINE_S = 3.0
"""A process that takes longer to answer counts as not answering."""

ANSWER_BYTES_MAX = 8_192
"""An answer is never longer."""


def main(arguments: list[str]) -> int:
    """Ask once; gives the exit code."""
    try:
        answer = ask(int(arguments[0]))
    except OSError as error:
        print(f"no answer: {error}")  # noqa: T201  # docker keeps what a probe prints
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode(errors="replace"))  # noqa: T201  # the same
    return 0 if b" 200 " in head.partition(b"\r\n")[0] else 1


def ask(port: int) -> bytes:
    """The whole answer. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        answer = b""
        while len(answer) < ANSWER_BYTES_MAX and (part := connection.recv(4_096)):
            answer += part
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

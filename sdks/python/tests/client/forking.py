"""What test_forks.py runs as a process of its own: a parent that forks like gunicorn.

Usage: forking.py ADDRESS CHILDREN
"""

from __future__ import annotations

import os
import sys
import threading

from featmesh import Client, ClientSideClient, Context, Options, Status

LIMIT = 10.0


def say(*words: object) -> None:
    """Writes a line at once, so that those of several processes do not mix."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def until_ready(client: Client) -> Status:
    """The status, once it is READY or the time is over."""
    ready = threading.Event()
    unsubscribe = client.on_status_change(lambda s: ready.set() if s is Status.READY else None)
    if client.status is not Status.READY:
        ready.wait(LIMIT if os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "1" else 0)
    unsubscribe()
    return client.status


def child(client: Client, one: ClientSideClient, number: int) -> None:
    me = Context(f"child-{number}")
    served = client.boolean_value("dark", me, default=False)
    status = until_ready(client)
    client.track("born", me)
    flushed = client.flush(LIMIT if status is Status.READY else 0)
    say("child", served, status, flushed, one.boolean_value("dark", default=False))
    client.close()
    one.close()


def main(address: str, children: int) -> None:
    options = Options(flush_interval=600, backoff_first=0.01, backoff_maximum=0.02)
    client = Client(address, "key", options=options)
    one = ClientSideClient(address, "key", Context("one"), options=options)
    assert client.wait_until_ready(LIMIT)
    assert one.wait_until_ready(LIMIT)
    stopped = threading.Event()

    def evaluate() -> None:
        while not stopped.is_set():
            client.boolean_value("dark", Context("parent"), default=False)

    busy = threading.Thread(target=evaluate)
    busy.start()
    pids = []
    for number in range(children):
        pid = os.fork()
        if pid == 0:
            child(client, one, number)
            os._exit(0)
        pids.append(pid)
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    stopped.set()
    busy.join()
    say("parent", codes, until_ready(client), client.flush(LIMIT))
    one.close()
    client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""The workloads of green tasks, on gevent: one run for each line of standard input.

Prints "ready", or why it is not, and then the wall and CPU time of each run in nanoseconds.
The numbers are those of `src/groups`.
"""

import signal
import sys
import time

VERSION = "25.9.1"

try:
    import gevent
    from gevent import queue, socket
except ImportError:
    sys.exit(print(f"gevent is not there: pip install gevent=={VERSION}"))
if gevent.__version__ != VERSION:
    sys.exit(print(f"gevent is {gevent.__version__}, not {VERSION}"))


def timed(code):
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    code()
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


def yields(tasks, total=200_000):
    def task():
        for _ in range(total // tasks):
            gevent.sleep(0)

    return timed(lambda: gevent.joinall([gevent.spawn(task) for _ in range(tasks)]))


def spawn(count=10_000):
    def code():
        for n in range(count):
            assert gevent.spawn(lambda: n).get() == n

    return timed(code)


def channel(trips=50_000):
    there, back = queue.SimpleQueue(), queue.SimpleQueue()

    def answer():
        for _ in range(trips):
            back.put(there.get())

    def ask():
        for n in range(trips):
            there.put(n)
            assert back.get() == n

    return timed(lambda: gevent.joinall([gevent.spawn(answer), gevent.spawn(ask)]))


def timers(count=10_000):
    return timed(lambda: gevent.joinall([gevent.spawn(gevent.sleep, 0.01) for _ in range(count)]))


def echo(connections=100, messages=100, size=64):
    def receive(stream):
        data = b""
        while len(data) < size:
            part = stream.recv(size - len(data))
            if not part:
                return None
            data += part
        return data

    def serve(stream):
        while data := receive(stream):
            stream.sendall(data)
        stream.close()

    def accept(listener):
        for _ in range(connections):
            stream, _ = listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            gevent.spawn(serve, stream)

    def client(stream):
        for _ in range(messages):
            stream.sendall(b"x" * size)
            assert receive(stream)

    # Not `create_server`: that one makes std's sockets, which block the thread.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(connections)
        accepting = gevent.spawn(accept, listener)
        streams = []
        for _ in range(connections):
            stream = socket.create_connection(listener.getsockname())
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            streams.append(stream)
        accepting.get()
        times = timed(lambda: gevent.joinall([gevent.spawn(client, each) for each in streams]))
        for stream in streams:
            stream.close()
    return times


def memory(count):
    """Prints by how many bytes the process grew with this many waiting tasks."""

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    before = resident()
    event = gevent.event.Event()
    tasks = [gevent.spawn(event.wait) for _ in range(count)]
    gevent.sleep(0)
    print(resident() - before, flush=True)
    return tasks


GROUPS = {
    "yield/2": lambda: yields(2),
    "yield/1000": lambda: yields(1_000),
    "green_spawn": spawn,
    "green_channel": channel,
    "timers": timers,
    "echo": echo,
}

if __name__ == "__main__":
    print("ready", flush=True)
    if sys.argv[1] == "memory":
        import gevent.event

        memory(int(sys.argv[2]))
        sys.exit()
    run = GROUPS[sys.argv[1]]
    for _ in sys.stdin:
        # A run that takes longer is stuck, and would block the caller too.
        signal.alarm(30)
        print(*run(), flush=True)

"""The workloads of `src/groups` on Python's process pools and thread pool.

    python3 pools.py                        all rows, as CSV
    python3 pools.py --versions             the versions of Python and its packages
    python3 pools.py --child GROUP ROW PIN
                                            one row, as `compare` reads it: the wall time of a task,
                                            the CPU time (empty: not measured), and the time of each
                                            task that was timed, in nanoseconds

`requirements.txt` has the versions. Without loky its row fails, and no other.
"""

import os
import signal
import sys
import time

# The exit code that tells the caller that a pool is missing.
IS_ABSENT = 3

WORKERS = 2
LARGE = 8 << 20
TINY = 20_000
CHUNK = 100
WARM_UP_RUNS = 2


def tiny(n):
    return n


def touch(data):
    return sum(data[::4096])


def large(byte):
    return bytes([byte]) * LARGE


class Executor:
    """Any pool with the interface of concurrent.futures."""

    def __init__(self, pool):
        self.pool = pool

    def submit(self, function, argument):
        return self.pool.submit(function, argument)

    def take(self, handle):
        return handle.result()

    def map_sum(self, items):
        return sum(self.pool.map(tiny, range(items), chunksize=CHUNK))

    def close(self):
        self.pool.shutdown()


class Multiprocessing:
    def __init__(self):
        from multiprocessing import Pool

        self.pool = Pool(WORKERS)

    def submit(self, function, argument):
        return self.pool.apply_async(function, (argument,))

    def take(self, handle):
        return handle.get()

    def map_sum(self, items):
        return sum(self.pool.map(tiny, range(items), chunksize=CHUNK))

    def close(self):
        self.pool.terminate()
        self.pool.join()


def concurrent_futures():
    from concurrent.futures import ProcessPoolExecutor

    return Executor(ProcessPoolExecutor(WORKERS))


def threads():
    from concurrent.futures import ThreadPoolExecutor

    return Executor(ThreadPoolExecutor(WORKERS))


def loky():
    from loky import ProcessPoolExecutor

    return Executor(ProcessPoolExecutor(WORKERS))


POOLS = {
    "ProcessPoolExecutor": concurrent_futures,
    "multiprocessing.Pool": Multiprocessing,
    "loky": loky,
    "ThreadPoolExecutor": threads,
}

clock = time.perf_counter_ns


def trips(count, rest):
    def run(pool):
        each = []
        for n in range(count):
            if rest:
                time.sleep(rest)
            start = clock()
            assert pool.take(pool.submit(tiny, n)) == n
            each.append(clock() - start)
        return sum(each), each if rest else []

    return run


def timed(code):
    def run(pool):
        start = clock()
        code(pool)
        return clock() - start, []

    return run


def submit_all(pool):
    handles = [pool.submit(tiny, n) for n in range(TINY)]
    assert sum(map(pool.take, handles)) == sum(range(TINY))


def submissions(count, rest):
    """Measures only the submission."""

    def run(pool):
        each = []
        for n in range(count):
            time.sleep(rest)
            start = clock()
            handle = pool.submit(tiny, n)
            each.append(clock() - start)
            assert pool.take(handle) == n
        return sum(each), each

    return run


def send(size, count):
    def run(pool):
        each = []
        for _ in range(count):
            argument = bytes([1]) * size
            start = clock()
            assert pool.take(pool.submit(touch, argument)) == -(-size // 4096)
            each.append(clock() - start)
        return sum(each), each

    return run


def sending(size, count):
    return (count, 1, send(size, count))


def receive(pool):
    each = []
    for n in range(10):
        start = clock()
        assert len(pool.take(pool.submit(large, n))) == LARGE
        each.append(clock() - start)
    return sum(each), each


def send_many(pool):
    arguments = [large(1) for _ in range(8)]
    start = clock()
    handles = [pool.submit(touch, argument) for argument in arguments]
    for handle in handles:
        assert pool.take(handle) == LARGE // 4096
    return clock() - start, []


# Tasks a run, runs a round, the code. The same numbers as in `src/groups`, but fewer runs, and a fifth of
# the tasks of `submit`.
GROUPS = {
    "submit": (TINY, 1, timed(submit_all)),
    "round_trip/hot": (2_000, 1, trips(2_000, 0)),
    "round_trip/rested": (200, 3, trips(200, 200e-6)),
    "idle_wake": (200, 3, submissions(200, 200e-6)),
    "process_round_trip/hot": (2_000, 1, trips(2_000, 0)),
    "process_round_trip/rested": (200, 3, trips(200, 200e-6)),
    "process_throughput/submit": (TINY, 1, timed(submit_all)),
    "process_throughput/map": (TINY, 5, timed(lambda pool: pool.map_sum(TINY))),
    "process_payload/in": sending(LARGE, 10),
    "process_payload/out": (10, 1, receive),
    "process_payload/in_8_outstanding": (8, 1, send_many),
    "process_start": (1, 5, None),
    "scaling_payload/64 B": sending(64, 1_000),
    "scaling_payload/1 KiB": sending(1 << 10, 1_000),
    "scaling_payload/16 KiB": sending(16 << 10, 500),
    "scaling_payload/64 KiB": sending(64 << 10, 200),
    "scaling_payload/1 MiB": sending(1 << 20, 50),
    "scaling_payload/8 MiB": sending(LARGE, 10),
}


def start_to_first_result(make):
    start = clock()
    pool = make()
    assert pool.take(pool.submit(tiny, 7)) == 7
    total = clock() - start
    pool.close()
    return total, [total]


def pin(where):
    """Pins this process's threads and its children's; later ones inherit the pin."""
    if where == "free":
        return
    main, others = {"one": (0, 0), "spread": (0, 1)}[where]
    own = os.getpid()
    processes = [own]
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as children:
            processes += map(int, children.read().split())
    for process in processes:
        for thread in map(int, os.listdir(f"/proc/{process}/task")):
            os.sched_setaffinity(thread, {main if thread == own else others})


def measure(group, row, where):
    # A row that takes longer is stuck, and would block the caller too.
    signal.alarm(60)
    tasks, runs, code = GROUPS[group]
    if code is None:
        pin(where)
        measured = [start_to_first_result(POOLS[row]) for _ in range(runs + 1)][1:]
    else:
        pool = POOLS[row]()
        for _ in range(WARM_UP_RUNS):
            code(pool)
        pin(where)
        code(pool)
        measured = [code(pool) for _ in range(runs)]
        pool.close()
    wall = sum(total for total, _ in measured) / (tasks * runs)
    return wall, [time for _, each in measured for time in each]


def versions():
    from importlib.metadata import PackageNotFoundError, version

    said = [f"Python {sys.version.split()[0]}"]
    for package in ["loky", "gevent"]:
        try:
            said.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            pass
    return ", ".join(said)


def main(arguments):
    if sys.version_info < (3, 9):
        print("Python 3.9 or later is needed")
        sys.exit(IS_ABSENT)
    if len(arguments) == 4 and arguments[0] == "--child":
        try:
            wall, each = measure(*arguments[1:])
        except ImportError as error:
            print(f"{error}; see requirements.txt")
            sys.exit(IS_ABSENT)
        print(wall, "", " ".join(map(str, each)), sep="\n")
    elif arguments == ["--versions"]:
        print(versions())
    elif not arguments:
        print("group,row,ns per task")
        for group in GROUPS:
            of_processes = group.startswith(("process_", "scaling_payload"))
            for row in POOLS:
                if of_processes == (row == "ThreadPoolExecutor"):
                    continue
                try:
                    wall, _ = measure(group, row, "free")
                except ImportError as error:
                    print(error, file=sys.stderr)
                    continue
                print(f"{group},{row},{wall:.0f}", flush=True)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

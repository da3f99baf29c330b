"""The measurements: each takes a running proxy and returns figures by name."""

import os
import pathlib
import subprocess
import time

import procs
from peers import Proxy

STREAMS = 2
LOGINS_AT_A_TIME = 4


class Failed(Exception):
    """A measurement that did not come about, in words."""


def words(line):
    """`key=value ...`, numbers as numbers; the last value may have spaces in it."""
    head, _, failure = line.strip().partition(" failure=")
    found = {key: float(value) for key, value in (word.split("=") for word in head.split())}
    return dict(found, failure=failure) if failure else found


def load_start(bench, proxy, command, *options, **how):
    starttls = ["--starttls"] if proxy.starttls else []
    return procs.start([bench.load, command, "--ca", proxy.ca, "--port", proxy.port, "--control",
                        bench.ports["control"], *starttls, *options],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def load_finish(child, limit_s):
    try:
        out, err = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"the load did not end within {limit_s} s") from None
    finally:
        procs.stop(child, 1)
    if not out:
        raise Failed(err.strip() or f"the load ended with {child.returncode}")
    return words(out.splitlines()[-1])


def load(bench, proxy, command, *options, limit_s=180):
    return load_finish(load_start(bench, proxy, command, *options), limit_s)


def warm(bench, proxy):
    """What a proxy makes once (a leaf, a TLS session with the server) is made before. Some fail
    some logins: that is counted elsewhere."""
    for _ in range(3):
        done = load(bench, proxy, "logins", "--count", 4, "--limit", 4)
        if done["ok"]:
            return procs.settled(proxy.sessions)[0]
    raise Failed(f"no login: {done['failure']}")


# ---- with every proxy, in every round ----

def logins(bench, proxy):
    began = warm(bench, proxy)
    done = load(bench, proxy, "logins", "--sessions", LOGINS_AT_A_TIME,
                "--seconds", bench.seconds["logins"])
    cpu_s = procs.settled(proxy.sessions)[0] - began
    return {"logins_s": done["rate"], "logins_failed": done["failed"],
            "logins_unclean": done["unclean"],
            "login_max_ms": done["max_ms"], "login_p50_ms": done["p50_ms"],
            "login_cpu_ms": proxy.per(1000 * cpu_s, done["ok"] + done["failed"])}


def counted(bench, proxy, messages):
    """How many of these messages are not in the archive, or not at their place there."""
    files = sorted(pathlib.Path(proxy.folder, "archive").glob("*.jsonl.gz"))
    done = subprocess.run([bench.count, *files], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failed(done.stderr.strip())
    found = words(done.stdout)
    return abs(messages - found["messages"]) + found["holes"]


def pour(bench, proxy, sessions, *options):
    """Streams; returns what the load tells, with the CPU time that it cost and what is missing.
    The rate is of what has arrived, over the time until the proxy has nothing more to do with it:
    what it has put aside meanwhile is not done yet."""
    warm(bench, proxy)
    child = load_start(bench, proxy, "stream", "--sessions", sessions, "--wait", *options,
                       stdin=subprocess.PIPE)
    child.stdout.readline()  # all are logged in, or it has ended
    cpu_before, _ = procs.settled(proxy.sessions)
    child.stdin.write("\n")
    done = load_finish(child, 500)
    cpu_after, idle_since = procs.settled(proxy.sessions)
    done["cpu_s"] = cpu_after - cpu_before
    took_s = max(done["arrived"], idle_since) - done["began"]
    done["rate"], done["mb_s"] = done["messages"] / took_s, done["bytes"] / took_s / 1e6
    done["peak_kib"] = procs.peak_kib(proxy.sessions)
    if done["failed"] or done["holes"]:
        failure = (f"{done['failed']:.0f} sessions failed ({done['failure']}), "
                   f"{done['holes']:.0f} holes at the far end")
        if proxy.row.archives or done["holes"]:
            raise Failed(failure)
        bench.note(f"{proxy.row.name}: {failure}")
    if proxy.row.archives:
        if not proxy.stop():
            raise Failed("does not end on SIGTERM")
        done["missing"] = counted(bench, proxy, done["messages"])
    return done


def stream(bench, proxy):
    done = pour(bench, proxy, STREAMS, "--size", 300, "--seconds", bench.seconds["stream"])
    return {"stanzas_s": done["rate"], "stanza_us": proxy.per(1e6 * done["cpu_s"], done["messages"]),
            "missing": done.get("missing"), "peak_kib": done["peak_kib"] or None,
            "archived": done["messages"] if "missing" in done else None}


def bulk(bench, proxy):
    done = pour(bench, proxy, STREAMS, "--size", 16384, "--seconds", bench.seconds["stream"])
    return {"bulk_mb_s": done["mb_s"], "bulk_missing": done.get("missing"),
            "bulk_us": proxy.per(1e6 * done["cpu_s"], done["messages"]),
            "bulk_peak_kib": done["peak_kib"]}


def ping(bench, proxy):
    warm(bench, proxy)
    seconds = bench.seconds["ping"]
    rest = load(bench, proxy, "ping", "--seconds", seconds)
    beside = load_start(bench, proxy, "stream", "--sessions", 1, "--seconds", seconds + 1)
    time.sleep(0.4)  # it is at full speed by then, which `busy_mb_s` shows
    try:
        busy = load(bench, proxy, "ping", "--seconds", seconds)
    finally:
        streamed = load_finish(beside, 180)
    return {"ping_p50": rest["p50_us"], "ping_p99": rest["p99_us"], "busy_p50": busy["p50_us"],
            "busy_p99": busy["p99_us"],
            "busy_mb_s": streamed["bytes"] / 1e6 / (streamed["arrived"] - streamed["began"])}


def hold(bench, proxy, count, measure):
    """Holds so many idle sessions while `measure()` runs."""
    child = load_start(bench, proxy, "idle", "--sessions", count, "--seconds", 280,
                       stdin=subprocess.PIPE)
    try:
        said = words(child.stdout.readline() or "held=0 failed=0")
        procs.settled(proxy.sessions)
        figures = measure()
        ended = load_finish(child, 120)
    finally:
        procs.stop(child, 1)
    return dict(figures, held=said["held"], held_failed=count - ended["closed"])


def idle(bench, proxy):
    """Of a process that nobody has connected to yet, but to see whether it listens."""
    count = bench.counts["idle"]
    before = procs.memory_kib(proxy.sessions)
    held = hold(bench, proxy, count, lambda: {"kib": procs.memory_kib(proxy.sessions)})
    if held["held"] < count:
        bench.note(f"{proxy.row.name}: only {held['held']:.0f} of {count} idle sessions")
    return {"idle_kib": proxy.per(held["kib"] - before, held["held"])}


# ---- with ours alone, once ----

def many(bench, proxy):
    """So many logins in a row that what fails seldom fails once."""
    done = load(bench, proxy, "logins", "--sessions", LOGINS_AT_A_TIME,
                "--count", bench.counts["many"], "--seconds", 400, limit_s=420)
    return {"many": done["ok"], "many_failed": bench.counts["many"] - done["ok"] + done["unclean"],
            "many_max_ms": done["max_ms"]}


def login_cost(bench, proxy, prefix):
    figures = logins(bench, proxy)
    return {prefix + "_rate": figures["logins_s"], prefix + "_cpu_ms": figures["login_cpu_ms"],
            prefix + "_failed": figures["logins_failed"] + figures["logins_unclean"],
            prefix + "_p50_ms": figures["login_p50_ms"]}


def held(bench, proxy):
    """A process may open so many descriptors, and a session costs a proxy two of them."""
    count = min(bench.counts["held"], bench.most_sessions)
    figures = login_cost(bench, proxy, "first")
    before = procs.memory_kib(proxy.sessions)
    during = hold(bench, proxy, count, lambda: dict(
        login_cost(bench, proxy, "held"), kib=procs.memory_kib(proxy.sessions)))
    return dict(figures, **during, held_kib=(during["kib"] - before) / count)


def growth(bench, row):
    """Cost by number of sessions, by size, by number of workers: the same bytes in all of them."""
    cases = [(count, 300) for count in bench.counts["growth_sessions"]]
    cases += [(STREAMS, size) for size in bench.counts["growth_sizes"]]
    rows = []
    for workers in bench.workers():
        for sessions, size in cases:
            try:
                rows.append(grown(bench, row, workers, min(sessions, bench.most_sessions), size))
            except (Failed, TimeoutError, RuntimeError) as failure:
                bench.note(f"{row.name}, {sessions} sessions of {size} B: {failure}")
    return {"growth": rows}


def grown(bench, row, workers, sessions, size):
    options = ["--workers", str(workers)] if workers > 1 else []
    count = max(bench.counts["growth_mib"] * (1 << 20) // size // sessions, 1)
    with Proxy(row, bench, options) as proxy:
        done = pour(bench, proxy, sessions, "--size", size, "--count", count, "--seconds", 300)
    return {"workers": workers, "sessions": sessions, "size": size, "rate": done["rate"],
            "mb_s": done["mb_s"], "missing": done["missing"], "peak_mib": done["peak_kib"] / 1024,
            "us": proxy.per(1e6 * done["cpu_s"], done["messages"])}


def timed(command, limit_s, **how):
    """Seconds until a command has ended, and the most memory it had (KiB)."""
    began = time.monotonic()
    child = procs.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)
    deadline = began + limit_s
    while True:
        pid, status, usage = os.wait4(child.pid, 0 if limit_s > 600 else os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            procs.stop(child, 0)
            raise Failed(f"{command[0]} did not end within {limit_s} s")
        time.sleep(0.0005)
    took = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    message = child.stderr.read().decode(errors="replace").strip()
    procs.stop(child, 1)
    if child.returncode:
        raise Failed(f"{command[0]} ended with {child.returncode}: {message}")
    return took, usage.ru_maxrss, usage.ru_utime + usage.ru_stime


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def spawn_ms(command):
    """By vfork, so that our size is not counted in."""
    began = time.perf_counter()
    null = os.open(os.devnull, os.O_RDWR)
    pid = os.posix_spawn(command[0], command, os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    os.waitpid(pid, 0)
    took = time.perf_counter() - began
    os.close(null)
    return 1000 * took


def listening_ms(bench, row):
    """From the start of the process until a connection is taken."""
    began = None

    def mark(proxy, *_):
        nonlocal began
        began = time.perf_counter()
        start(proxy)
        procs.until(lambda: procs.listens(proxy.port), 10, "it to listen", 0.0002)
        took.append(1000 * (time.perf_counter() - began))

    start, took = row.start, []
    row.start = mark
    try:
        for _ in range(11):
            with Proxy(row, bench):
                pass
    finally:
        row.start = start
    return median(took[1:])  # the first one made the CA


def start(bench, row):
    version = [str(bench.program), "--version"]
    return {"version_ms": median([spawn_ms(version) for _ in range(21)]),
            "listening_ms": listening_ms(bench, row)}


def show(bench, row):
    """An archive of its own making, read back as a transcript."""
    line_bytes, size = 436, 300
    with Proxy(row, bench, ["-q"]) as proxy:
        count = bench.counts["show_mib"] * (1 << 20) // line_bytes // STREAMS
        load(bench, proxy, "stream", "--sessions", STREAMS, "--size", size, "--count", count,
             "--seconds", 300, limit_s=320)
        procs.settled(proxy.sessions)
        proxy.stop()
        files = sorted(pathlib.Path(proxy.folder, "archive").glob("*.jsonl.gz"))
        if not files:
            raise Failed("no archive")
        quoted = " ".join(f"'{file}'" for file in files)
        plain = subprocess.run(["sh", "-c", f"zcat {quoted} | wc -c"], capture_output=True,
                               text=True, timeout=300).stdout
        took, peak, cpu_s = timed([bench.program, "show", *files], 500)
        figures = {"show_s": took, "show_cpu_s": cpu_s, "show_peak_mib": peak / 1024,
                   "show_mib": int(plain) / (1 << 20)}
        if bench.installed("jq"):
            figures["jq_s"] = timed(["sh", "-c", f"zcat {quoted} | jq -c ."], 500)[0]
    return figures


COMPARED = {"logins": logins, "stream": stream, "bulk": bulk, "ping": ping, "idle": idle}
ALONE = {"many": many, "held": held}            # with a running proxy of ours
OF_PROGRAM = {"growth": growth, "start": start, "show": show}  # these start it themselves
NAMES = [*COMPARED, *ALONE, *OF_PROGRAM]

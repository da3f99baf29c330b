"""Processes of a measurement: started in sessions of their own, watched in /proc, always ended."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_running = []


def raise_fd_limit():
    """The children inherit it; returns what one process may open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


_prctl = ctypes.CDLL(None).prctl


def _die_with_us():
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start(command, **how):
    """A child that ends when we do, however that comes about."""
    how.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen([str(word) for word in command], start_new_session=True,
                             preexec_fn=_die_with_us, **how)
    _running.append(child)
    return child


def stop(child, wait_s=60):
    """SIGTERM, then SIGKILL to its whole session; True if it ended by itself."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(wait_s)
        in_time = True
    except subprocess.TimeoutExpired:
        in_time = False
    for pid in members([child.pid]):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()
    if child in _running:
        _running.remove(child)
    return in_time


def stop_all():
    for child in list(_running):
        stop(child, 2)


def _stat(pid):
    """The fields behind the name (proc(5): the state is the first of them), or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None


def members(sessions):
    """The processes of these sessions."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = _stat(pid)
        if stat and int(stat[3]) in sessions:
            found.append(int(pid))
    return found


def cpu_s(sessions):
    """CPU time of every process of these sessions, and of those that they have reaped."""
    stats = filter(None, map(_stat, members(sessions)))
    return sum(sum(map(int, stat[11:15])) for stat in stats) * TICK_S


def settled_cpu_s(sessions, limit_s=60):
    """The same, once they have nothing more to do."""
    deadline = time.monotonic() + limit_s
    before = cpu_s(sessions)
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = cpu_s(sessions)
        if now - before < 2 * TICK_S:
            return now
        before = now
    return before


def _kib(pid, file, name):
    try:
        with open(f"/proc/{pid}/{file}") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return 0


def memory_kib(sessions):
    """Their proportional share of memory; where that may not be read, what is resident."""
    return sum(_kib(pid, "smaps_rollup", "Pss:") or _kib(pid, "status", "VmRSS:")
               for pid in members(sessions))


def peak_kib(sessions):
    return sum(_kib(pid, "status", "VmHWM:") for pid in members(sessions))


def free_port(first=[20000 + os.getpid() % 8000]):
    """A port of loopback below those that the kernel gives to connections."""
    while True:
        first[0] = first[0] + 1 if first[0] < 31000 else 20000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", first[0]))
                return first[0]
            except OSError:
                continue


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition, limit_s, what, pause_s=0.02):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s} s for {what}")
        time.sleep(pause_s)

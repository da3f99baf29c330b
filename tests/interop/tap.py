"""The xmpptap under test as a child, as proxy or as server, and what it left in its archive."""

import asyncio
import base64
import gzip
import json
import os
import pathlib
import re
import signal
import subprocess

PROGRAM = os.environ.get("XMPPTAP", "./xmpptap")
WIRE = ("stream", "stanza", "space", "violation")


class Tap:
    """`xmpptap proxy` in front of a port, or `xmpptap serve`; its folders lie in `folder`."""

    def __init__(self, folder, wait_s):
        folder.mkdir()
        self.folder = folder
        self.archive = folder / "archive"
        self.wait_s = wait_s
        self.port = None
        self.process = None
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._readers = []
        self._env = dict(os.environ, HOME=str(folder), XDG_STATE_HOME=str(folder / "state"),
                         XDG_DATA_HOME=str(folder / "share"))

    async def start(self, upstream, *options):
        """`upstream`: as the program takes it; a number is a port of loopback."""
        if isinstance(upstream, int):
            upstream = f"tcp://127.0.0.1:{upstream}"
        await self._start("proxy", *options, upstream)

    async def serve(self, *options):
        """Without an upstream: it is the server."""
        await self._start("serve", *options)

    async def _start(self, command, *options):
        self.process = await asyncio.create_subprocess_exec(
            PROGRAM, command, "-l", "127.0.0.1:0", "--ca-dir", self.folder / "ca",
            "-d", self.archive, *map(str, options),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._env)
        self._readers = [asyncio.ensure_future(self._collect(self.process.stdout, self.stdout)),
                         asyncio.ensure_future(self._collect(self.process.stderr, self.stderr))]
        listening = r'addr=127\.0\.0\.1:(\d+)[^\n]*msg="?listening'
        await self.until(lambda: self.process.returncode is not None or self.says_now(listening),
                         "the message that it listens")
        if not self.says_now(listening):
            raise AssertionError(f"exit status {self.process.returncode}: {self.messages()}")
        self.port = int(self.says_now(listening)[1])

    @staticmethod
    async def _collect(pipe, into):
        while data := await pipe.read(65536):
            into += data

    async def says(self, pattern):
        """Waits until standard error holds `pattern`; returns the match."""
        return await self.until(lambda: self.says_now(pattern), f"{pattern!r} on standard error")

    def says_now(self, pattern):
        return re.search(pattern, self.messages())

    async def until(self, condition, what):
        deadline = asyncio.get_running_loop().time() + self.wait_s
        while not (result := condition()):
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"waited {self.wait_s} s for {what}")
            await asyncio.sleep(0.05)
        return result

    def messages(self):
        return self.stderr.decode(errors="replace")

    def transcript(self):
        return self.stdout.decode()

    def run(self, *args):
        """Another command of the program; returns its standard output."""
        done = subprocess.run([PROGRAM, *map(str, args)], env=self._env, timeout=self.wait_s,
                              capture_output=True)
        if done.returncode:
            raise AssertionError(f"{args}: exit status {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def ca(self):
        """The CA's certificate as a user gets it."""
        path = self.folder / "ca.crt"
        path.write_text(self.run("ca", "export", "--ca-dir", self.folder / "ca"))
        return path

    def records(self):
        """Every record of the archive as written so far, by session, in order."""
        sessions = {}
        for path in sorted(pathlib.Path(self.archive).glob("*.jsonl.gz")):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                record = json.loads(line)
                sessions.setdefault(record["session"], []).append(record)
        return sessions

    async def ended(self, count):
        """Waits until `count` sessions have their end in the archive; returns all records."""
        def all_ended():
            sessions = self.records()
            ends = [s for s in sessions.values() if s[-1]["event"] == "end"]
            return sessions if len(ends) == count == len(sessions) else None
        return await self.until(all_ended, f"{count} whole sessions in the archive")

    async def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), self.wait_s)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
        await asyncio.gather(*self._readers)
        return self.process.returncode


def plaintext(records, direction):
    """What was received in a direction: all its wire items joined."""
    items = [r for r in records if r["event"] in WIRE and r["dir"] == direction]
    return b"".join(base64.b64decode(r["b64"]) if "b64" in r else r["xml"].encode()
                    for r in items)


def sections(transcript, first_session):
    """The label lines of a transcript by session; `#==` lines tell where the session changes."""
    labels = {}
    session = first_session
    for line in transcript.splitlines():
        if header := re.match(r"#== session (\S+)", line):
            session = header[1]
        elif line.startswith("####"):
            labels.setdefault(session, []).append(line[4:])
    return labels

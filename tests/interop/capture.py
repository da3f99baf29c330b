"""Makes the golden cases that are captures: real servers, real clients, xmpptap between them.

    /usr/bin/python3 -B tests/interop/capture.py [NAME...]

Writes tests/golden/cases/NAME.case for each scene (or those named; a prefix will do). $XMPPTAP names
the program (default ./xmpptap). What is not installed is skipped and named. @xmpp/client is looked
for in tests/interop/node_modules and in $NODE_PATH.
"""

import asyncio
import os
import pathlib
import re
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import from_archive  # noqa: E402
import peers  # noqa: E402
import scenes  # noqa: E402
from ejabberd import Ejabberd  # noqa: E402
from prosody import Prosody  # noqa: E402
from tap import PROGRAM, Tap  # noqa: E402
from wire import Wire  # noqa: E402

WAIT_S = 30
AT_ONCE = 4
PATIENCE_S = 3  # of a client without a library, with a server that says nothing
SIZE_MAX = 25 << 10
ALICE, PASSWORD = "alice@xmpp.example", "correct-horse-battery"


class Missing(Exception):
    """Something that a scene needs is not installed."""


class Failed(Exception):
    """A scene did not go as it should."""


# ---- one scene ----

class Run:
    """What a scene may use; `stop()` ends all of it."""

    def __init__(self, name, folder, programs):
        self.name = name
        self.folder = folder
        self.programs = programs
        self.server = self.tap = self.stub = None
        self.wait_s = WAIT_S
        self.user, self.password = ALICE.split("@")[0], PASSWORD
        self.children = []
        self.wires = []

    async def serve(self, prepare=None, accounts=(ALICE,), **options):
        """Starts the server that the scene's name begins with; `prepare` gets it before."""
        make = {"prosody": Prosody, "ejabberd": Ejabberd}[self.name.split("-")[0]]
        self.server = make(self.folder / "server", **options)
        if prepare:
            prepare(self.server)
        await self.server.start()
        for jid in accounts:
            self.server.register(jid, PASSWORD)

    async def pretend(self, handler):
        """A listener instead of a server."""
        self.stub = await asyncio.start_server(handler, "127.0.0.1", 0)
        return self.stub.sockets[0].getsockname()[1]

    async def listen(self, *options, port=None, trusted=True):
        """xmpptap in front of the server (or `port`)."""
        self.tap = Tap(self.folder / "tap", WAIT_S)
        ca = ["--upstream-ca", self.server.ca] if self.server and trusted else []
        await self.tap.start(port or self.server.port, "--secrets", "keep", *ca, *options)
        self.ca = self.tap.ca()

    async def client(self, *options, jid=ALICE, password=PASSWORD, ca=None, kind=None):
        """Starts the client that the scene's name has."""
        child = await peers.start(kind or self.name.split("-")[1], self.programs, self.folder, jid,
                                  password, self.tap.port, ca or self.ca, options)
        self.children.append(child)
        return child

    async def talked(self, child):
        """Waits until the client has talked."""
        while line := await asyncio.wait_for(child.stdout.readline(), WAIT_S):
            if line == b"talked\n":
                return
        raise Failed("the client did not get so far")

    async def over(self, child, status):
        """Waits for the client's end, which must have this exit status; None: any."""
        text, _ = await asyncio.wait_for(child.communicate(), 2 * WAIT_S)
        if status is not None and child.returncode != status:
            raise Failed(f"exit status {child.returncode}: {text.decode(errors='replace')}")
        return text.decode(errors="replace")

    async def wire(self, port=None):
        wire = await Wire(PATIENCE_S).open(port or self.tap.port)
        self.wires.append(wire)
        return wire

    async def sessions(self, count):
        """The records of the sessions, in the order in which they began."""
        return list((await self.tap.ended(count)).values())

    async def stop(self):
        for child in self.children:
            if child.returncode is None:
                child.kill()
                await child.wait()
        for wire in self.wires:
            wire.close()
        if self.tap:
            await self.tap.stop()
        if self.stub:
            self.stub.close()
        if self.server:
            await self.server.stop()


# ---- cases ----

def check_private(name, text):
    """Nothing of this machine may stand in a case."""
    for word in tempfile.gettempdir() + "/", str(pathlib.Path.home()) + "/":
        if word in text:
            raise Failed(f"{name} names {word}")
    if re.search(rf"[ @='\"/]{re.escape(os.uname().nodename)}[ /'\".]", text):
        raise Failed(f"{name} names this host")
    if len(text.encode()) > SIZE_MAX:
        raise Failed(f"{name} has {len(text.encode())} bytes")


def write(name, what, versions, records):
    comments = [what, "Captured with " + ", ".join(versions) + "."]
    text = from_archive.case(records, comments)
    check_private(name, text)
    (GOLDEN / "cases" / f"{name}.case").write_text(text)
    end = records[-1]
    print(f"ok {name}: {len(text.encode())} bytes, {end['by']} {end['reason']}", flush=True)


async def capture(scene, folder, programs):
    names = scene.name.split("-")[:2]
    versions = [peers.VERSIONS[name]() for name in names]
    if None in versions:
        raise Missing(names[versions.index(None)] + " is not installed")
    path = folder / scene.name
    path.mkdir()
    run = Run(scene.name, path, programs)
    try:
        await asyncio.wait_for(scene.play(run), 4 * WAIT_S)
        recorded = await run.sessions(scene.sessions)
    except Exception as error:
        hint = run.server.log.read_text()[-1500:] if run.server and os.environ.get("VERBOSE") else ""
        raise Failed(f"{type(error).__name__}: {error}\n{hint}") from error
    finally:
        await run.stop()
    for index, (name, what) in scene.cases.items():
        write(name, what, versions, recorded[index])


async def main(wanted):
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM} is not there; build it, or name it with $XMPPTAP")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="xmpptap-capture."))
    (GOLDEN / "cases").mkdir(exist_ok=True)
    failed = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(scene):
        async with slots:
            try:
                await capture(scene, folder, folder)
            except Missing as missing:
                print(f"skipped {scene.name}: {missing}", flush=True)
            except Failed as error:
                print(f"not ok {scene.name}: {error}", flush=True)
                failed.append(scene.name)

    try:
        peers.build(folder)
        await asyncio.gather(*(one(s) for s in scenes.SCENES
                               if not wanted or s.name.startswith(tuple(wanted))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if failed:
        print("failed: " + " ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

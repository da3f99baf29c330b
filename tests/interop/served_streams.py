"""What the embedded server does with streams, between real clients: resumption (XEP-0198) and
compression (XEP-0138).

$XMPPTAP names the program (default ./xmpptap).
"""

import asyncio
import importlib.util
import pathlib
import re
import sys

import peers
from client import Client
from suite import SKIPPED, run
from tap import Tap

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
WAIT_S = 20
DOMAIN = "xmpp.example"
ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"
PASSWORD = "correct-horse-battery"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.tap = Tap(folder / "tap", WAIT_S)
        self.clients = []
        self.sessions = 0

    async def start(self):
        accounts = self.folder / "accounts"
        accounts.write_text("".join(f"[{jid}]\npassword = {PASSWORD}\n" for jid in (ANN, BOB)))
        await self.tap.start("builtin:", "--profile", "modern", "--accounts", accounts, "-v")

    def client(self, jid, *plugins):
        client = Client(jid, PASSWORD, self.tap.ca(), None, WAIT_S)
        for plugin in plugins:
            client.register_plugin(plugin)
        self.clients.append(client)
        return client

    async def log_in(self, jid, *plugins):
        client = self.client(jid, *plugins)
        await client.log_in(self.tap.port)
        return client

    def close(self):
        for client in self.clients:
            client.close()
        self.clients = []

    async def labels(self, *wanted):
        """Waits until all of these stand in the transcript; returns it."""
        return await self.tap.until(
            lambda: all(f"\n####{w}\n" in self.tap.transcript() for w in wanted)
            and self.tap.transcript(), wanted)

    def logs(self):
        return [("xmpptap", self.tap.messages()), ("transcript", self.tap.transcript()[-20000:])]

    async def stop(self):
        self.close()
        return [s for s in [await self.tap.stop()] if s]


# ---- stream management ----

async def slixmpp_resumes_and_gets_what_came_meanwhile(world):
    ann = await world.log_in(f"{ANN}/one")
    bob = await world.log_in(f"{BOB}/one", "xep_0198")
    jid = bob.boundjid.full
    bob.send_presence()
    await bob.next_of(bob.presences)
    ann.send_message(jid, "before", mtype="chat")
    assert (await bob.next_of(bob.messages))["body"] == "before"
    resumed = asyncio.get_running_loop().create_future()
    bob.add_event_handler("session_resumed", lambda _: resumed.set_result(True))
    bob.transport.abort()
    await asyncio.wait_for(bob.ended.wait(), WAIT_S)
    ann.send_message(jid, "meanwhile", mtype="chat")
    await ann.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=DOMAIN)
    bob.connect(("127.0.0.1", world.tap.port))
    assert await asyncio.wait_for(resumed, WAIT_S)
    assert (await bob.next_of(bob.messages))["body"] == "meanwhile"
    ann.send_message(jid, "behind", mtype="chat")
    assert (await bob.next_of(bob.messages))["body"] == "behind"
    assert bob.messages.empty() and bob.boundjid.full == jid
    await bob.log_out()
    await ann.log_out()
    await world.labels("client启用流管理", "server恢复会话", "server请求确认", "client确认收到")


async def aioxmpp_resumes(world):
    if not importlib.util.find_spec("aioxmpp"):
        return SKIPPED
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-B", CLIENTS / "aioxmpp_client.py", f"{BOB}/one", PASSWORD, "127.0.0.1",
        str(world.tap.port), world.tap.ca(), "resume", stdout=asyncio.subprocess.PIPE)
    out = (await asyncio.wait_for(process.communicate(), WAIT_S))[0].decode()
    assert process.returncode == 0 and "resumed" in out, out
    await world.tap.says(f"account={BOB} verdict=resumed")


# ---- compression ----

async def gloox_compresses(world):
    """Its record reads as if there were no compression, and shows that there is."""
    if "gloox" not in peers.build(world.folder, ("gloox",)):
        return SKIPPED
    process = await peers.start("gloox", world.folder, world.folder, ANN, PASSWORD, world.tap.port,
                                world.tap.ca(), ("zlib",))
    out = (await asyncio.wait_for(process.communicate(), WAIT_S))[0].decode()
    assert "talked" in out, out
    records = await world.tap.until(
        lambda: next((r for r in world.tap.records().values() if r[-1]["event"] == "end" and
                      any(i.get("label") == "compression.start" for i in r)), None),
        "the end of a session that is compressed")
    labels = [r.get("label") for r in records]
    at = labels.index("compression.start")
    assert labels.index("compression.request") < at
    behind = [r.get("label") for r in records[at:] if "label" in r]
    assert "bind.request" in behind and "ping.client.request" in behind, behind
    assert not any(r["event"] == "violation" for r in records)
    said = [r["dir"] for r in records if "Grüße" in r.get("xml", "")]
    assert said == ["c2s", "s2c"], said


def tests_of(world):
    return [slixmpp_resumes_and_gets_what_came_meanwhile, aioxmpp_resumes, gloox_compresses]


if __name__ == "__main__":
    sys.exit(run("served_streams", World, tests_of, 3 * WAIT_S))

"""`xmpptap serve --replay`: slixmpp's session with Prosody is captured, Prosody is stopped, and the same
client logs in to the captured server; the labels of both sessions are the same, one by one. The same
for libstrophe with ejabberd, where both are installed.

Prints `ok NAME`, `not ok NAME` and `skipped NAME` lines; exit status 1 if anything failed. $XMPPTAP
names the program (default ./xmpptap).
"""

import asyncio
import os
import sys

from slixmpp.exceptions import IqError

import ejabberd
import peers
import suite
from client import Client
from prosody import Prosody
from tap import Tap

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ALICE, BOB = "alice@xmpp.example", "bob@xmpp.example"
CAROL, DAVE = "carol@other.example", "dave@other.example"
PASSWORD = "correct-horse-battery"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.prosody = Prosody(folder / "prosody")
        self.ejabberd = None
        self.taps = []
        self.clients = []
        self.kept = self.captured = None
        self.accounts = folder / "accounts"
        self.accounts.write_text("".join(f"[{jid}]\npassword = {PASSWORD}\n" for jid in (ALICE, CAROL, DAVE)))

    async def start(self):
        await self.prosody.start()
        for jid in (ALICE, BOB):
            self.prosody.register(jid, PASSWORD)

    async def tap(self, upstream, *options):
        tap = Tap(self.folder / f"tap{len(self.taps)}", WAIT_S)
        self.taps.append(tap)
        await tap.start(upstream, *options)
        return tap

    async def serve(self, session, *options):
        return await self.tap("builtin:", "--replay", session, "--accounts", self.accounts, *options)

    def client(self, jid, ca):
        client = Client(jid, PASSWORD, ca, None, WAIT_S)
        self.clients.append(client)
        return client

    async def talk(self, tap, jid=ALICE):
        alice = self.client(jid, tap.ca())
        await alice.log_in(tap.port)
        heard = await talk(alice)
        await self.log_out(alice)
        return heard

    @staticmethod
    async def log_out(alice):
        """Its own end of presence is awaited: whether that or the end of the stream comes first is a
        matter of chance, with Prosody, too."""
        gone = asyncio.Event()
        alice.add_event_handler("presence_unavailable", lambda _: gone.set())
        alice.send_presence(ptype="unavailable")
        await asyncio.wait_for(gone.wait(), WAIT_S)
        alice.disconnect(wait=WAIT_S)
        await asyncio.wait_for(alice.ended.wait(), WAIT_S)

    async def stop(self):
        for client in self.clients:
            client.close()
        statuses = [await tap.stop() for tap in self.taps]
        await self.prosody.stop()
        if self.ejabberd:
            await self.ejabberd.stop()
        return statuses

    def logs(self):
        yield "prosody", self.prosody.log.read_text()
        for tap in self.taps:
            yield tap.folder.name, tap.messages()


async def talk(alice):
    """Returns what was answered, as far as the client's user sees it."""
    await alice.update_roster(BOB, name="Bob", timeout=WAIT_S)
    roster = await alice.get_roster(timeout=WAIT_S)
    alice.send_presence(pstatus="here")
    presence = await alice.next_of(alice.presences)
    assert presence["from"] == alice.boundjid, presence
    disco = await alice.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                            to=alice.boundjid.host)
    await alice.ask("set", "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>")
    vcard = await alice.ask("get", "<vCard xmlns='vcard-temp'/>")
    await alice.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=alice.boundjid.host)
    alice.send_message(str(alice.boundjid), "to myself", mtype="chat")
    message = await alice.next_of(alice.messages)
    assert (message["body"], message["from"]) == ("to myself", alice.boundjid), message
    return {"contacts": sorted(roster["roster"]["items"]), "name": str(vcard["vcard_temp"]["FN"]
            if "vcard_temp" in vcard.plugins else "Alice" in str(vcard)),
            "features": str(disco).count("<feature ")}


def labels(records):
    """The session's labels with their directions, in their order."""
    return [(r["dir"], r["label"]) for r in records if "label" in r]


def mechanism(records):
    return next(r["facts"]["mechanism"] for r in records if r.get("label") == "sasl.auth")


async def whole(tap, count=1):
    """The one session of a tap, or the last of `count`."""
    return list((await tap.ended(count)).values())[-1]


def archive(tap):
    file, = tap.archive.glob("*.jsonl.gz")
    return file


async def prosody_is_served_again(world):
    tap = await world.tap(world.prosody.port, "--upstream-ca", world.prosody.ca)
    captured = await world.talk(tap)
    before = await whole(tap)
    assert await tap.stop() == 0, tap.messages()
    await world.prosody.stop()
    world.kept, world.captured = archive(tap), world.taps.index(tap)
    again = await world.serve(world.kept)
    served = await world.talk(again)
    assert served == captured and BOB in served["contacts"], (captured, served)
    await same_as(again, before, 30)


def archive_text(tap, direction):
    return "".join(r.get("xml", "") for records in tap.records().values() for r in records
                   if r.get("dir") == direction)


async def same_as(tap, before, least):
    """The session served is labelled as the captured one, item by item, in both directions together."""
    after = await whole(tap)
    assert labels(after) == labels(before) and len(labels(after)) >= least, (labels(before), labels(after))
    assert mechanism(after) == mechanism(before), (mechanism(before), mechanism(after))
    assert "the capture has no answer" not in tap.messages(), tap.messages()


async def strophe(world, tap, *options):
    client = await peers.start("strophe", world.folder, world.folder, ALICE, PASSWORD, tap.port, tap.ca(),
                               options)
    out, _ = await asyncio.wait_for(client.communicate(), WAIT_S)
    assert client.returncode == 0, out.decode()


async def capture(world, *options):
    """A session of libstrophe with ejabberd: (the records, the file)."""
    tap = await world.tap(world.ejabberd.port, "--upstream-ca", world.ejabberd.ca)
    await strophe(world, tap, *options)
    records = await whole(tap)
    assert await tap.stop() == 0, tap.messages()
    return records, archive(tap)


async def ejabberd_is_served_again(world):
    """Without stream management all labels are the same in one sequence. With it libstrophe and ejabberd
    ask each other for acknowledgements while the other is speaking, and which of the two is recorded
    first is chance: there each direction's labels are the same, and the login's in one sequence."""
    if not ejabberd.is_installed() or "strophe" not in peers.build(world.folder, ("strophe",)):
        return suite.SKIPPED
    world.ejabberd = ejabberd.Ejabberd(world.folder / "ejabberd")
    await world.ejabberd.start()
    world.ejabberd.register(ALICE, PASSWORD)
    plain, managed = await capture(world, "no-sm"), await capture(world)
    await world.ejabberd.stop()

    again = await world.serve(plain[1])
    await strophe(world, again, "no-sm")
    await same_as(again, plain[0], 25)

    again = await world.serve(managed[1])
    await strophe(world, again)
    before, after = labels(managed[0]), labels(await whole(again))
    login = before.index(("s2c", "sm.enabled")) + 1
    assert after[:login] == before[:login], (before, after)
    for direction in "c2s", "s2c":
        assert [x for x in after if x[0] == direction] == [x for x in before if x[0] == direction], (before, after)
    assert "the capture has no answer" not in again.messages(), again.messages()


async def others_are_served_under_their_own_names(world):
    """Another account of another domain; and what the captured client never asked."""
    name = (await whole(world.taps[world.captured]))[0]["session"]
    again = await world.serve(f"{world.kept}#{name[:-1]}")
    await world.talk(again, CAROL)
    await same_as(again, await whole(world.taps[world.captured]), 30)
    text = archive_text(again, "s2c")
    assert "xmpp.example" not in text.replace(BOB, ""), text
    dave = world.client(DAVE, again.ca())
    await dave.log_in(again.port)
    try:
        await dave.ask("get", "<query xmlns='jabber:iq:version'/>", to="other.example")
        raise AssertionError("answered")
    except IqError as error:
        assert error.condition == "service-unavailable", error
    await again.says(r"level=warn session=\S+ side=client phase=open msg=\"the capture has no answer to iq get of "
                     r"{jabber:iq:version}query, to other\.example: the client got service-unavailable\"")
    dave.disconnect(wait=WAIT_S)
    await asyncio.wait_for(dave.ended.wait(), WAIT_S)


TESTS = (ejabberd_is_served_again, prosody_is_served_again, others_are_served_under_their_own_names)

if __name__ == "__main__":
    sys.exit(suite.run("served", World, lambda _: TESTS, 8 * WAIT_S))

"""`--fault`: every action at every documented phase, against slixmpp, and with Prosody behind.

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap). With arguments PHASE=ACTION, those alone are tried.
"""

import asyncio
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib

from slixmpp.exceptions import IqError

import suite
from client import Client, LoginFailed
from prosody import Prosody
from tap import PROGRAM, Tap

SANITIZED = bool(os.environ.get("XMPPTAP_SANITIZED"))
WAIT_S = 60 if SANITIZED else 15
AT_ONCE = 32
JID, PASSWORD = "alice@faults.example", "correct-horse-battery"
ALICE = "alice@xmpp.example"
LABELS = pathlib.Path(__file__).parents[1] / "data/trace/labels.tsv"
ACTIONS = ("delay:20", "drop", "close", "reset", "error", "malformed", "silent")

# Conditions of errors, by how a phase's id begins; the rest are stanzas.
CONDITIONS = {"stream.": "policy-violation", "features.": "internal-server-error",
              "tls.": "undefined-condition", "sasl.": "temporary-auth-failure"}
STANZA_CONDITION = "service-unavailable"
# What a client that has logged in asks, all at once.
QUERIES = (("<query xmlns='jabber:iq:roster'/>", None),
           ("<query xmlns='jabber:iq:privacy'/>", None),
           ("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>", None),
           ("<vCard xmlns='vcard-temp'/>", None),
           ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "domain"),
           ("<query xmlns='jabber:iq:privacy'><list name='blocked'/></query>", None))
LOGIN_ENDS = "session.result"  # the last phase before slixmpp says that it has logged in


def phases():
    rows = [line.split("\t") for line in LABELS.read_text().splitlines()]
    return [row[0] for row in rows if not row[0].startswith("#")]


def with_condition(phase, action):
    if action != "error":
        return action
    known = [c for begins, c in CONDITIONS.items() if phase.startswith(begins)]
    return f"error:{known[0] if known else STANZA_CONDITION}"


def ends_the_stream(phase, action):
    """Does the client learn of it at once, and is it its end?"""
    return (action in ("close", "reset", "malformed") or
            action.startswith("error") and phase.startswith(("stream.", "features.", "tls.")))


class Login(Client):
    """Keeps how its connection ended."""

    lost = None

    def connection_lost(self, exception):
        self.lost = exception
        super().connection_lost(exception)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.ca_dir = folder / "shared"
        self.prosody = Prosody(folder / "prosody")
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.clients = []
        self.taps = []
        self.statuses = []

    async def start(self):
        await self.prosody.start()
        self.prosody.register(ALICE, PASSWORD)
        first = await self.tap("ca", "builtin:")  # makes the CA for all
        first.folder.joinpath("ca.crt").write_text(
            first.run("ca", "export", "--ca-dir", self.ca_dir))
        self.ca = first.folder / "ca.crt"

    async def tap(self, name, upstream, *options):
        tap = Tap(self.folder / re.sub(r"\W", "-", name), WAIT_S)
        self.taps.append(tap)
        await tap.start(upstream, "--ca-dir", self.ca_dir, *options)
        return tap

    def client(self, jid=JID, mechanism="PLAIN"):
        client = Login(jid, PASSWORD, self.ca, mechanism, WAIT_S)
        self.clients.append(client)
        return client

    async def done(self, tap):
        """It is over with this one: it must end in order."""
        assert tap.process.returncode is None, f"it ended: {tap.messages()}"
        self.taps.remove(tap)
        status = await tap.stop()
        assert status == 0, f"exit status {status}: {tap.messages()}"

    async def stop(self):
        for client in self.clients:
            client.close()
        statuses = [await tap.stop() for tap in self.taps]
        await self.prosody.stop()
        return statuses

    def logs(self):
        for tap in self.taps:
            yield tap.folder.name, tap.messages()


async def ask(client, xml, to=None):
    """As Client.ask(), several at once."""
    iq = client.make_iq(id=client.new_id(), ito=to, itype="get")
    iq.append(ElementTree.fromstring(xml))
    return await iq.send(timeout=WAIT_S)


async def talk(client, port):
    """A login and what the documented client does behind it, to its logout."""
    await client.log_in(port)
    client.send_presence(ppriority=50)
    domain = client.boundjid.domain
    asks = [ask(client, xml, domain if to else None) for xml, to in QUERIES]
    await asyncio.gather(*asks)
    for _ in range(2):  # one's own presence, and the contact's
        await client.next_of(client.presences)
    await client.log_out()


async def attempt(client, port):
    """As far as it gets."""
    with contextlib.suppress(Exception):
        await talk(client, port)


async def meet(world, tap, fault, times, whole):
    """A client meets the fault for the `times`th time; `whole`: and talks to its end all the same."""
    phase, action = fault.split("=")
    client = world.client()
    run = asyncio.ensure_future(talk(client, tap.port) if whole else attempt(client, tap.port))
    told = rf"(phase={re.escape(phase)} [^\n]*a fault asked for[^\n]*\n[^$]*?){{{times}}}"
    try:
        await tap.says(told)
        if whole:
            await asyncio.wait_for(run, WAIT_S)
        elif ends_the_stream(phase, action):
            await asyncio.wait_for(client.ended.wait(), WAIT_S)
        if action == "reset":
            assert isinstance(client.lost, ConnectionResetError), repr(client.lost)
    finally:
        while not run.done():  # slixmpp may catch the first one
            run.cancel()
            await asyncio.wait([run], timeout=0.1)
        client.close()
        world.clients.remove(client)


def check_edits(records, edits, fault):
    """Did what was asked for become of it?"""
    phase, action = fault.split("@")[0].split("=")
    first, direction = edits[0], edits[0]["dir"]
    items = {r["n"]: r for r in records if r["event"] in ("stream", "stanza")}
    sent = [e["sent"] for e in edits]
    assert items[first["of"]]["label"] == phase, first
    ended = action in ("close", "reset") or ends_the_stream(phase, action) and action != "malformed"
    assert (records[-1]["reason"] == "fault") == ended, records[-1]
    if action.startswith("delay"):
        assert ";" in first["reason"] or first["sent"] == items[first["of"]]["xml"], first
    elif action.startswith("error"):
        condition = action.partition(":")[2]
        assert any(f"<{condition} " in s or f"<{condition}/>" in s for s in sent) or \
            phase.startswith("tls.") and any(s.startswith("<failure ") for s in sent), sent
    elif action == "malformed":
        broken = next(s for s in sent if s)  # beside a bridge nothing of the item itself is sent
        assert broken.endswith(("</malformed>", " malformed>")) and len(broken) > 20, edits
    else:
        assert first["sent"] == "", first
    if action == "close":
        assert any(e["sent"].endswith("</stream:stream>") and e["dir"] == "s2c" for e in edits), edits
    if action == "silent":  # and so is what follows
        follow = [n for n, r in items.items() if n >= first["of"] and r["dir"] == direction]
        assert follow == [e["of"] for e in edits] and not any(sent), (follow, edits)


async def check_records(tap, records, fault):
    edits = [r for r in records if r["event"] == "edit" and r["reason"].startswith(f"fault: {fault}")]
    assert edits, [r["reason"] for r in records if r["event"] == "edit"]
    check_edits(records, edits, fault)
    await tap.until(lambda: f"#-- edit {edits[0]['dir']}" in tap.transcript() and
                    f"fault: {fault}" in tap.transcript(), "the edit in the transcript")
    session = records[0]["session"]
    text = tap.run("explain", "-d", tap.archive, session)
    verdict = text[text.rindex("Verdict ("):]
    assert re.match(rf"Verdict \(fault\.[a-z.-]+\): a fault asked for: --fault {re.escape(fault)}",
                    verdict), text
    assert f"xmpptap edits: fault: {fault}" in text, text
    return verdict


async def cell(world, fault):
    """One fault: the client meets it twice, in one process, which names it each time."""
    phase, action = fault.split("=")
    order = phases()
    late = order.index(phase) > order.index(LOGIN_ENDS)
    whole = action.startswith("delay")
    async with world.slots:
        tap = await world.tap(fault, "builtin:", "--fault", fault, "--close-timeout", 1,
                              "--secrets", "keep")
        await meet(world, tap, fault, 1, whole)
        if late:  # then a login afterwards works
            client = world.client()
            await client.log_in(tap.port)
            client.close()
            world.clients.remove(client)
        else:
            await meet(world, tap, fault, 2, whole)
        sessions = list((await tap.ended(2)).values())
        verdict = await check_records(tap, sessions[0], fault)
        assert ("all-the-same" in verdict) >= whole, verdict
        await world.done(tap)


def cells_of(action):
    async def test(world):
        chosen = phases()
        if SANITIZED:  # each phase with one action: all actions come
            chosen = chosen[ACTIONS.index(action)::len(ACTIONS)]
        faults = [f"{phase}={with_condition(phase, action)}" for phase in chosen]
        results = await asyncio.gather(*(cell(world, f) for f in faults), return_exceptions=True)
        failed = [f"{f}: {type(r).__name__}: {r}" for f, r in zip(faults, results) if r]
        assert not failed, "\n".join(failed)

    test.__name__ = f"{action.split(':')[0]}_at_every_documented_phase"
    return test


# ---- beside a real server ----

async def prosody_session(world, name, *options, mechanism=None, direct=False, then=None):
    """A login of slixmpp at Prosody, and what it does `then`; returns the tap, the records, and what
    the client says."""
    tap = await world.tap(name, world.prosody.port, "--upstream-ca", world.prosody.ca, *options)
    client = world.client(ALICE, mechanism)
    client.direct_tls = direct
    error = None
    try:
        await client.log_in(tap.port)
        if then:
            await then(client)
        await client.log_out()
    except LoginFailed as failed:
        error = str(failed)
    finally:
        client.close()
        world.clients.remove(client)
    records = list((await tap.ended(1)).values())[0]
    return tap, records, error


async def one_edit_names_both_reasons(world):
    """Features that are edited anyway (here STARTTLS is taken out) go on broken as they were edited."""
    fault = "features.tls=malformed"
    tap = await world.tap("both", "builtin:", "--client-tls", "off", "--fault", fault, "--secrets",
                          "keep")
    client = world.client()
    client.without_tls = True
    run = asyncio.ensure_future(attempt(client, tap.port))
    [session] = (await tap.ended(1)).values()
    run.cancel()
    client.close()
    world.clients.remove(client)
    await check_records(tap, session, fault)
    [edit] = [r for r in session if r["event"] == "edit" and r["sent"].endswith("</malformed>")]
    assert edit["reason"] == (f"fault: {fault}; no TLS with the client is asked for, taken out: "
                              "starttls"), edit
    assert "starttls" not in edit["sent"], edit
    await world.done(tap)


async def an_error_in_scram(world):
    """The server's challenge becomes a failure; the client goes on to no other mechanism."""
    fault = "sasl.challenge=error:account-disabled"
    tap, records, error = await prosody_session(world, "scram", "--fault", fault,
                                                mechanism="SCRAM-SHA-1")
    assert error and "account-disabled" in error, error
    await check_records(tap, records, fault)
    await world.done(tap)


async def bridged(world, fault, error_says):
    phase, action = fault.split("=")
    tap, records, error = await prosody_session(world, f"bridge-{fault}", "--channel-binding", "bridge",
                                                "--secrets", "keep", "--fault", fault,
                                                mechanism="PLAIN")
    assert (error is None) == (error_says is None) and (error_says or "") in (error or ""), error
    await check_records(tap, records, fault)
    if action == "malformed":  # and nothing but the bridge's own words reached the server
        edits = [r for r in records if r["event"] == "edit" and f"fault: {fault}" in r["reason"]]
        assert all(r["reason"].startswith(f"fault: {fault}; bridge: ") for r in edits), edits
        assert edits[-1]["sent"].endswith("</malformed>"), edits
        assert "PLAIN" not in edits[-1]["sent"] or phase.startswith("features."), edits
    await world.done(tap)


async def a_bridged_login(world):
    """What the server says is met before the bridge has it, what the bridge sends on is broken."""
    await asyncio.gather(*(bridged(world, fault, error_says) for fault, error_says in (
        ("sasl.challenge=delay:20", None), ("features.sasl=delay:20", None),
        ("features.sasl=malformed", ""), ("sasl.auth=malformed", ""), ("sasl.success=malformed", ""),
        ("sasl.challenge=malformed", ""), ("sasl.success=error:account-disabled", "account-disabled"),
        ("sasl.auth=error:aborted", "aborted"))))


async def direct_tls(world):
    fault = "roster.result=error:item-not-found"

    async def refused(client):
        try:
            await ask(client, "<query xmlns='jabber:iq:roster'/>")
        except IqError as error:
            assert error.iq["error"]["condition"] == "item-not-found", error.iq
        else:
            raise AssertionError("there was no error")

    tap, records, error = await prosody_session(world, "direct", "--fault", fault, direct=True, then=refused)
    assert not error, error
    assert "all-the-same" in await check_records(tap, records, fault)
    await world.done(tap)


async def the_second_time(world):
    """@N counts in each session; what comes before passes as it came."""
    tap = await world.tap("second", "builtin:", "--fault", "roster.result=drop@2", "--fault",
                          "sasl.challenge=drop")
    client = world.client()
    await client.log_in(tap.port)
    roster = "<query xmlns='jabber:iq:roster'/>"
    await ask(client, roster)
    lost = asyncio.ensure_future(ask(client, roster))
    await tap.says("--fault roster.result=drop@2")
    await ask(client, roster)
    assert not lost.done()
    lost.cancel()
    await client.log_out()
    client.close()
    world.clients.remove(client)
    records = list((await tap.ended(1)).values())[0]
    assert "all-the-same" in await check_records(tap, records, "roster.result=drop@2")
    await tap.says("found nothing to act on: --fault sasl.challenge=drop")
    assert "nothing to act on: --fault roster" not in tap.messages()
    await world.done(tap)


async def who_gives_up_is_told_why(world):
    """The session ends in the middle of a delay: that it was asked for comes before what came of it."""
    async def one(phase):
        fault = f"{phase}=delay:3600000"
        tap = await world.tap(fault, "builtin:", "--fault", fault)
        client = world.client()
        run = asyncio.ensure_future(attempt(client, tap.port))
        await tap.says(f"phase={phase} [^\n]*a fault asked for")
        client.close()
        run.cancel()
        world.clients.remove(client)
        [records] = (await tap.ended(1)).values()
        edits = [r for r in records if r["event"] == "edit"]
        assert {(e["reason"], e["sent"]) for e in edits} == \
            {(f"fault: {fault}; not sent on: the session ended first", "")}, edits
        assert records[-1]["verdict"] == "fault.login", records[-1]
        await tap.says(f"a fault asked for: --fault {fault}; the login did not get over it")
        await world.done(tap)

    await asyncio.gather(*map(one, ("features.tls", "tls.proceed", "sasl.success", "bind.result")))


async def what_waits_keeps_its_direction_alone(world):
    """A delayed answer and what follows it come in order; what the client asks meanwhile goes on."""
    tap = await world.tap("order", "builtin:", "--fault", "roster.result=delay:300@1")
    client = world.client()
    await client.log_in(tap.port)
    came = []
    asks = [ask(client, xml, to) for xml, to in QUERIES[:1] + QUERIES[3:4]]
    asks.append(ask(client, "<ping xmlns='urn:xmpp:ping'/>"))

    async def one(number, ask):
        await ask
        came.append(number)

    await asyncio.gather(*(one(i, a) for i, a in enumerate(asks)))
    assert came == [0, 1, 2], came
    await client.log_out()
    client.close()
    world.clients.remove(client)
    records = list((await tap.ended(1)).values())[0]
    await check_records(tap, records, "roster.result=delay:300@1")
    items = [r for r in records if r["event"] == "stanza"]
    answer = next(r for r in items if r["label"] == "roster.result")
    ping = next(r for r in items if r["label"].startswith("ping") and r["dir"] == "c2s")
    assert ping["n"] < answer["n"], (ping, answer)
    await world.done(tap)


# ---- scripted peers, in clear ----

HEADER = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
          "version='1.0'{}>")
BOUND = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"


async def scripted(world, name, fault, server_says):
    """A client and a server that say what they are told; the server's features leave nothing to
    negotiate. Returns the tap, the client's and the server's reader and writer."""
    accepted = asyncio.get_running_loop().create_future()
    stub = await asyncio.start_server(lambda r, w: accepted.set_result((r, w)), "127.0.0.1", 0)
    tap = await world.tap(name, stub.sockets[0].getsockname()[1], "--fault", fault)
    client = await asyncio.open_connection("127.0.0.1", tap.port)
    client[1].write(HEADER.format(" to='faults.example'").encode())
    server = await asyncio.wait_for(accepted, WAIT_S)
    await server[0].readuntil(b">")
    stub.close()
    server[1].write((HEADER.format(" id='1' from='faults.example'") + BOUND).encode() + server_says)
    await asyncio.wait_for(client[0].readuntil(b"</stream:features>"), WAIT_S)
    return tap, client, server


async def everything(reader):
    return await asyncio.wait_for(reader.read(-1), WAIT_S)


async def an_end_comes_behind_what_waits(world):
    tap, client, server = await scripted(world, "eof", "message.normal.sent=delay:200", b"")
    said = b"<message id='1'/><message id='2'/></stream:stream>"
    client[1].write(said)
    client[1].write_eof()
    assert await everything(server[0]) == said
    server[1].write(b"</stream:stream>")
    server[1].close()
    assert await everything(client[0]) == b"</stream:stream>"
    client[1].close()
    [session] = (await tap.ended(1)).values()
    assert [r["reason"] for r in session if r["event"] == "edit"] == \
        2 * ["fault: message.normal.sent=delay:200"], session
    await world.done(tap)


async def an_end_comes_behind_silence(world):
    tap, client, server = await scripted(world, "silence", "message.normal.sent=silent", b"")
    client[1].write(b"<iq type='get' id='1'/><message id='2'/> <iq type='get' id='3'/></stream:stream>")
    client[1].write(b"<and more")
    await tap.says("no more faults happen")
    client[1].write_eof()
    assert await everything(server[0]) == b"<iq type='get' id='1'/>"
    server[1].close()
    client[1].close()
    await tap.ended(1)
    await world.done(tap)


async def compression_ends_faults(world):
    packed = zlib.compress(b"<message id='2'/>")
    tap, client, server = await scripted(
        world, "compressed", "message.normal.received=drop",
        b"<message id='1'/><compressed xmlns='http://jabber.org/protocol/compress'/>" + packed)
    server[1].close()
    assert await everything(client[0]) == \
        b"<compressed xmlns='http://jabber.org/protocol/compress'/>" + packed
    client[1].close()
    await tap.says("what follows is compressed")
    [session] = (await tap.ended(1)).values()
    dropped = [r["of"] for r in session if r["event"] == "edit"]
    assert [r["label"] for r in session if r["n"] in dropped] == ["message.normal.received"], session
    await world.done(tap)


async def wrong_usage_is_told(world):
    for fault, says in (("rooster.result=drop", "did you mean roster.result?"),
                        ("roster.result=explode", "malformed or silent"),
                        ("roster.result=error:host-unknown", "no condition")):
        for command in "proxy", "serve":
            done = subprocess.run([PROGRAM, command, "--fault", fault], capture_output=True,
                                  timeout=WAIT_S)
            assert done.returncode == 2 and says in done.stderr.decode(), done


def tests_of(_):
    if sys.argv[1:]:
        async def those_named(world):
            await asyncio.gather(*(cell(world, fault) for fault in sys.argv[1:]))
        return [those_named]
    return [wrong_usage_is_told, the_second_time, who_gives_up_is_told_why,
            what_waits_keeps_its_direction_alone,
            an_end_comes_behind_what_waits, an_end_comes_behind_silence, compression_ends_faults,
            one_edit_names_both_reasons, an_error_in_scram, direct_tls, a_bridged_login,
            *(cells_of(action) for action in ACTIONS)]


if __name__ == "__main__":
    sys.exit(suite.run("faults", World, tests_of, 2 * WAIT_S + 30))

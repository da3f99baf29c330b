"""Debian's Prosody and slixmpp clients on both sides of the proxy, and without it.

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap). With the argument `direct` only the peers are tried, without it.
"""

import asyncio
import base64
import os
import pathlib
import re
import subprocess
import sys

import suite
from client import Client, LoginFailed, tls_alert
from prosody import Prosody, make_ca
from tap import Tap, plaintext, sections

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ALICE, BOB = "alice@xmpp.example", "bob@xmpp.example"
PASSWORD = "correct-horse-battery"
TO_BOB, TO_ALICE = "Grüße & <b>你好</b>\n#### no label", "thanks 👋 ]]>"
LABELS = pathlib.Path(__file__).parents[1] / "data/trace/labels.tsv"

LOGIN = """stream.open features.tls tls.request tls.proceed stream.restart.tls features.sasl
    sasl.auth sasl.success stream.restart.sasl features.bind bind.request bind.result
    roster.request roster.result presence.broadcast presence.self disco.request disco.result
    bookmarks.request bookmarks.result vcard.request vcard.result presence.offline""".split()


class World:
    """What the tests share: the server, and everything that must be stopped at the end."""

    def __init__(self, folder):
        self.folder = folder
        self.prosody = Prosody(folder / "prosody")
        self.clients = []
        self.taps = []
        self.kept = None

    async def start(self):
        await self.prosody.start()
        for jid in (ALICE, BOB, "alice@other.example"):
            self.prosody.register(jid, PASSWORD)

    def client(self, jid, ca, mechanism=None):
        client = Client(jid, PASSWORD, ca, mechanism, WAIT_S)
        self.clients.append(client)
        return client

    async def tap(self, *options, port=None):
        tap = Tap(self.folder / f"tap{len(self.taps)}", WAIT_S)
        self.taps.append(tap)
        await tap.start(port or self.prosody.port, *options)
        return tap

    @property
    def relayed(self):
        """(tap, alice, bob, records) of the run that several tests look at."""
        assert self.kept, "relayed_login failed, there is nothing to look at"
        return self.kept

    async def stop(self):
        for client in self.clients:
            client.close()
        statuses = [await tap.stop() for tap in self.taps]
        await self.prosody.stop()
        return statuses

    def logs(self):
        yield "prosody", self.prosody.log.read_text()
        for tap in self.taps:
            yield tap.folder.name, tap.messages()


async def meet(world, port, ca, mechanisms):
    """Two whole sessions: login, roster, what clients ask at their start, talk, logout."""
    alice = world.client(ALICE, ca, mechanisms[0])
    bob = world.client(BOB, ca, mechanisms[1])
    await alice.log_in(port)
    await alice.update_roster(BOB, name="Bob", timeout=WAIT_S)
    roster = await alice.get_roster(timeout=WAIT_S)
    assert BOB in roster["roster"]["items"], roster
    alice.send_presence(pstatus="here")
    presence = await alice.next_of(alice.presences)
    assert presence["from"] == alice.boundjid, presence
    disco = await alice.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                            to="xmpp.example")
    assert "jabber:iq:roster" in str(disco), disco
    await alice.ask("get", "<query xmlns='jabber:iq:private'><storage "
                           "xmlns='storage:bookmarks'/></query>")
    await alice.ask("set", "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>")
    vcard = await alice.ask("get", "<vCard xmlns='vcard-temp'/>")
    assert "Alice" in str(vcard), vcard

    await bob.log_in(port)
    bob.send_presence()
    await bob.next_of(bob.presences)
    alice.send_message(BOB, TO_BOB, mtype="chat")
    message = await bob.next_of(bob.messages)
    assert (message["body"], message["from"]) == (TO_BOB, alice.boundjid), message
    bob.send_message(ALICE, TO_ALICE, mtype="chat")
    message = await alice.next_of(alice.messages)
    assert (message["body"], message["from"]) == (TO_ALICE, bob.boundjid), message
    await alice.log_out()
    await bob.log_out()
    return alice, bob


async def refused(client, port):
    """A login that must fail; returns why, as the client sees it."""
    try:
        await client.log_in(port)
    except LoginFailed as error:
        return str(error)
    raise AssertionError(f"{client.boundjid} logged in")


def of_client(records, client):
    """The session that has this client's bytes."""
    for session in records.values():
        if plaintext(session, "c2s") == client.sent:
            return session
    raise AssertionError(f"no session in the archive holds what {client.boundjid} sent")


def assert_in_order(wanted, found):
    left = list(found)
    for label in wanted:
        assert label in left, f"{label!r} is missing or out of its order in {found}"
        del left[:left.index(label) + 1]


def documented():
    """Label texts by id."""
    rows = [line.split("\t") for line in LABELS.read_text().splitlines() if line[:1] != "#"]
    return {row[0]: row[2] for row in rows}


# ---- without the proxy: are the peers right? ----

async def direct_login(world):
    for mechanisms in ("SCRAM-SHA-1", "PLAIN"), ("PLAIN", "SCRAM-SHA-1"):
        alice, bob = await meet(world, world.prosody.port, world.prosody.ca, mechanisms)
        for client, mechanism in zip((alice, bob), mechanisms):
            assert f'mechanism="{mechanism}"'.encode() in client.sent, client.sent
            assert client.received.endswith(b"</stream:stream>"), client.received


async def direct_login_checks_the_certificate(world):
    port = world.prosody.port
    other = make_ca(world.folder, "another-ca")
    why = await refused(world.client(ALICE, other), port)
    assert "CERTIFICATE_VERIFY_FAILED" in why, why
    why = await refused(world.client("alice@other.example", world.prosody.ca), port)
    assert "other.example" in why, why


async def direct_alert_reaches_the_server(world):
    error = await asyncio.to_thread(tls_alert, world.prosody.port, "xmpp.example",
                                    make_ca(world.folder, "another-ca"), WAIT_S)
    assert "CERTIFICATE_VERIFY_FAILED" in error, error
    await asyncio.wait_for(world.prosody.says("alert unknown ca"), WAIT_S)


# ---- through the proxy ----

async def relayed_login(world):
    tap = await world.tap("--upstream-ca", world.prosody.ca, "--secrets", "keep")
    alice, bob = await meet(world, tap.port, tap.ca(), ("SCRAM-SHA-1", "PLAIN"))
    records = await tap.ended(2)
    assert await tap.stop() == 0, tap.messages()
    world.kept = tap, alice, bob, records


async def relayed_bytes_are_in_the_archive(world):
    _, alice, bob, records = world.relayed
    for client in alice, bob:
        session = of_client(records, client)
        assert plaintext(session, "s2c") == client.received, "s2c is not what the client received"
        edits = [r for r in session if r["event"] == "edit"]
        assert not edits, edits


async def relayed_records_have_no_holes(world):
    _, _, _, records = world.relayed
    for session in records.values():
        assert [r["n"] for r in session] == list(range(1, len(session) + 1))
        assert (session[0]["event"], session[-1]["event"]) == ("session", "end")
        assert session[-1]["reason"] == "closed", session[-1]
    assert {s[-1]["account"] for s in records.values()} == {ALICE, BOB}


async def relayed_archive_is_read_by_zcat_and_jq(world):
    tap, alice, _, records = world.relayed
    session = of_client(records, alice)[0]["session"]
    files = sorted(tap.archive.glob("*.jsonl.gz"))
    text = subprocess.run(["zcat", *files], capture_output=True, check=True, timeout=WAIT_S).stdout
    query = f'select(.session == "{session}" and .dir == "c2s" and .event != "edit") | .xml'
    xml = subprocess.run(["jq", "-j", query], input=text, capture_output=True, check=True,
                         timeout=WAIT_S).stdout
    assert xml == alice.sent, xml


async def relayed_phases_are_labelled_in_order(world):
    tap, alice, bob, records = world.relayed
    texts = documented()
    by_session = sections(tap.transcript(), next(iter(records)))
    mine, his = of_client(records, alice), of_client(records, bob)
    assert_in_order(LOGIN, [r["label"] for r in mine if "label" in r])
    assert_in_order([texts[id] for id in LOGIN], by_session[mine[0]["session"]])
    # With PLAIN nothing stands between these.
    assert by_session[his[0]["session"]][:12] == [texts[id] for id in LOGIN[:12]]
    assert not re.search("(?m)^#### no label", tap.transcript()), "captured text made a label"


async def relayed_sessions_are_shown(world):
    tap, alice, bob, records = world.relayed
    live = sections(tap.transcript(), next(iter(records)))
    shown = tap.run("show", tap.archive)
    assert sections(shown, None) == live, shown
    for client in alice, bob:
        session = of_client(records, client)[0]["session"]
        assert session in tap.run("list", tap.archive)
        one = sections(tap.run("show", "-d", tap.archive, session), session)
        assert one == {session: live[session]}, one


async def redacted_login_keeps_no_secret(world):
    tap = await world.tap("--upstream-ca", world.prosody.ca)
    alice, bob = await meet(world, tap.port, tap.ca(), ("PLAIN", "SCRAM-SHA-1"))
    records = await tap.ended(2)
    assert await tap.stop() == 0, tap.messages()
    plain = re.search(rb"<auth[^>]*>([^<]+)", alice.sent)[1]
    assert base64.b64decode(plain) == f"\0alice\0{PASSWORD}".encode(), plain
    response = re.search(rb"<response[^>]*>([^<]+)", bob.sent)[1]
    proof = re.search(rb"p=(.*)", base64.b64decode(response))[1]
    success = re.search(rb"<success[^>]*>([^<]+)", bob.received)[1]
    everything = str(records) + tap.transcript() + tap.messages()
    for path in tap.folder.rglob("*"):
        if path.is_file():
            everything += path.read_bytes().decode("latin-1")
    for secret in PASSWORD.encode(), plain, response, proof, success:
        assert secret.decode() not in everything, f"{secret} is there"
    assert "[redacted]" in tap.transcript()


# ---- what goes wrong says why ----

async def complaint(tap, pattern, reason):
    """The message must name its session; the archive's end must have the reason's name."""
    line = (await tap.says(rf"[^\n]*session=[^\n]*(?:{pattern})[^\n]*"))[0]
    (session, records), = (await tap.ended(1)).items()
    assert session in line, f"session {session} is not named: {line}"
    assert records[-1]["reason"] == reason, records[-1]
    assert await tap.stop() == 0, tap.messages()
    return line


def assert_closed_before_tls(client):
    assert b"<proceed" not in client.received, client.received
    assert client.received.endswith(b"</stream:stream>"), client.received


async def client_does_not_trust_our_ca(world):
    tap = await world.tap("--upstream-ca", world.prosody.ca)
    client = world.client(ALICE, world.prosody.ca)
    why = await refused(client, tap.port)
    assert "CERTIFICATE_VERIFY_FAILED" in why, why
    assert b"<auth" not in client.sent, client.sent
    line = await complaint(tap, "TLS handshake", "tls-failed")
    assert "xmpptap ca export" in line, line


async def client_tells_that_it_does_not_trust_our_ca(world):
    tap = await world.tap("--upstream-ca", world.prosody.ca)
    error = await asyncio.to_thread(tls_alert, tap.port, "xmpp.example", world.prosody.ca, WAIT_S)
    assert "CERTIFICATE_VERIFY_FAILED" in error, error
    line = await complaint(tap, "unknown_ca", "tls-failed")
    assert "xmpptap ca export" in line, line


async def server_has_another_name(world):
    tap = await world.tap("--upstream-ca", world.prosody.ca)
    client = world.client("alice@other.example", tap.ca())
    await refused(client, tap.port)
    assert_closed_before_tls(client)
    line = await complaint(tap, "certificate", "certificate")
    assert "other.example" in line and "xmpp.example" in line, line
    assert "--insecure" in line, line


async def server_has_an_unknown_issuer(world):
    tap = await world.tap()
    client = world.client(ALICE, tap.ca())
    await refused(client, tap.port)
    assert_closed_before_tls(client)
    line = await complaint(tap, "certificate", "certificate")
    assert "--upstream-ca" in line, line


async def server_is_stopped(world):
    await world.prosody.stop()
    tap = await world.tap("--upstream-ca", world.prosody.ca)
    client = world.client(ALICE, tap.ca())
    why = await refused(client, tap.port)
    assert "remote-connection-failed" in why, why
    assert_closed_before_tls(client)
    line = await complaint(tap, "refused", "unreachable")
    assert f"127.0.0.1:{world.prosody.port}" in line, line


DIRECT = direct_login, direct_login_checks_the_certificate, direct_alert_reaches_the_server
RELAYED = (relayed_login, relayed_bytes_are_in_the_archive, relayed_records_have_no_holes,
           relayed_archive_is_read_by_zcat_and_jq, relayed_phases_are_labelled_in_order,
           relayed_sessions_are_shown, redacted_login_keeps_no_secret)
FAILURES = (client_does_not_trust_our_ca, client_tells_that_it_does_not_trust_our_ca,
            server_has_another_name, server_has_an_unknown_issuer,
            server_is_stopped)  # the last one stops the server for good


def tests(_world):
    return DIRECT if sys.argv[1:] == ["direct"] else DIRECT + RELAYED + FAILURES


if __name__ == "__main__":
    sys.exit(suite.run("interop", World, tests, 8 * WAIT_S))

"""Logins at the embedded server: real clients and one without a library, with each mechanism, bound to
their TLS connection or not, over SASL and SASL2; who is refused, and in which words one reads it.

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap). What is not installed is skipped and named.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import re
import ssl
import sys

import peers
import suite
from tap import Tap
from wire import SASL, STARTTLS, Wire, auth, header, plain

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
SASL2, BIND2 = "urn:xmpp:sasl:2", "urn:xmpp:bind:0"
PASSWORD, WRONG = "correct-horse-battery", "wrong-horse-battery"
ACCOUNTS = f"[alice@xmpp.example]\npassword = {PASSWORD}\n[bob@xmpp.example]\n"
BIND = ("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        "<resource>desk</resource></bind></iq>")


class World:
    def __init__(self, folder):
        self.folder = folder
        self.tap = None

    async def start(self):
        self.built = peers.build(self.folder, ("gloox",))
        accounts = self.folder / "accounts.ini"
        accounts.write_text(ACCOUNTS)
        self.tap = Tap(self.folder / "tap", WAIT_S)
        await self.tap.start("builtin:", "--profile", "modern", "--modern", "--accounts", accounts)
        self.ca = self.tap.ca()

    async def stop(self):
        return [await self.tap.stop()] if self.tap else []

    def logs(self):
        yield "tap", self.tap.messages() + self.tap.transcript()

    async def open(self, version=ssl.TLSVersion.TLSv1_3):
        """Up to the features inside TLS."""
        wire = await Wire(WAIT_S).open(self.tap.port)
        wire.port = wire.writer.get_extra_info("sockname")[1]
        await wire.ask(header(), "</stream:features>")
        await wire.ask(STARTTLS, "/>")
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = context.maximum_version = version
        await asyncio.wait_for(wire.writer.start_tls(context, server_hostname="xmpp.example"), WAIT_S)
        wire.features = await wire.ask(header(), "</stream:features>")
        return wire

    async def verdict(self, wire):
        """Ends the connection; returns its session's verdict and what it says."""
        await wire.ask("</stream:stream>", "</stream:stream>")
        wire.close()

        def end():
            for records in self.tap.records().values():
                if records[0]["client"].endswith(f":{wire.port}") and records[-1]["event"] == "end":
                    return records[-1]
            return None

        record = await self.tap.until(end, "the session's end in the archive")
        words = self.tap.run("explain", "-d", self.tap.archive, record["session"]).splitlines()
        return record["verdict"], words[-1]


class Scram:
    """A client's side of it (RFC 5802)."""

    def __init__(self, wire, mechanism, user, password, flag=None, data=None):
        self.name = re.search(r"SHA-(\d+)", mechanism)[1]
        self.hash = {"1": "sha1", "256": "sha256", "512": "sha512"}[self.name]
        if mechanism.endswith("-PLUS") and flag is None:
            flag, data = "p=tls-unique", wire.writer.get_extra_info("ssl_object").get_channel_binding()
        self.gs2 = f"{flag or 'n'},,"
        self.data = data or b""
        self.password = password
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={user},r={self.nonce}"
        self.signature = None

    def hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def first(self):
        return base64.b64encode((self.gs2 + self.bare).encode()).decode()

    def final(self, challenge, spoil_nonce=False):
        first = base64.b64decode(challenge).decode()
        said = dict(part.split("=", 1) for part in first.split(","))
        assert said["r"].startswith(self.nonce) and len(said["r"]) > len(self.nonce), first
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(),
                                     base64.b64decode(said["s"]), int(said["i"]))
        bound = base64.b64encode(self.gs2.encode() + self.data).decode()
        last = f"c={bound},r={said['r']}{'x' if spoil_nonce else ''}"
        text = f"{self.bare},{first},{last}".encode()
        client = self.hmac(salted, b"Client Key")
        signed = self.hmac(hashlib.new(self.hash, client).digest(), text)
        proof = bytes(a ^ b for a, b in zip(client, signed))
        self.signature = self.hmac(self.hmac(salted, b"Server Key"), text)
        return base64.b64encode(f"{last},p={base64.b64encode(proof).decode()}".encode()).decode()

    def check(self, data):
        said = base64.b64decode(data).decode()
        assert said == "v=" + base64.b64encode(self.signature).decode(), said


def data_of(xml, name):
    found = re.search(rf"<{name}[^>]*>([^<]*)</{name}>", xml)
    assert found, xml
    return found[1]


async def scram(wire, mechanism, user, password, flag=None, data=None, spoil_nonce=False):
    """Logs in; returns what the server said last."""
    s = Scram(wire, mechanism, user, password, flag, data)
    got = await wire.ask(auth(mechanism, s.first()), "</challenge>", "</failure>")
    if "<challenge" in got:
        final = s.final(data_of(got, "challenge"), spoil_nonce)
        got = await wire.ask(f"<response xmlns='{SASL}'>{final}</response>", "</success>",
                             "</failure>")
    if "<success" in got:
        s.check(data_of(got, "success"))
    return got


async def each_scram_lets_in(world):
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        for name in "SHA-1", "SHA-256", "SHA-512":
            for plus in "", "-PLUS":
                wire = await world.open(version)
                assert f">SCRAM-{name}{plus}</mechanism>" in wire.features, wire.features
                got = await scram(wire, f"SCRAM-{name}{plus}", "alice", PASSWORD)
                assert "<success" in got, got
                await wire.ask(header(), "</stream:features>")
                got = await wire.ask(BIND, "</iq>")
                assert "<jid>alice@xmpp.example/desk</jid>" in got, got
                verdict, _ = await world.verdict(wire)
                assert verdict.startswith("login"), verdict


async def the_certificate_binds_too(world):
    wire = await world.open()
    assert "<channel-binding type=\"tls-server-end-point\"/>" in wire.features, wire.features
    der = wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    got = await scram(wire, "SCRAM-SHA-256-PLUS", "alice", PASSWORD, "p=tls-server-end-point",
                      hashlib.sha256(der).digest())
    assert "<success" in got, got
    wire.close()


REFUSED = [
    # mechanism, user, password, options, condition, verdict, what explain says
    ("SCRAM-SHA-256", "alice", WRONG, {}, "not-authorized", "sasl.password", "another password"),
    ("SCRAM-SHA-1", "nobody", PASSWORD, {}, "not-authorized", "sasl.password", "another password"),
    ("SCRAM-SHA-1", "bob", PASSWORD, {}, "not-authorized", "sasl.password", "no password is known"),
    ("SCRAM-SHA-256-PLUS", "alice", WRONG, {}, "not-authorized", "sasl.password", "another password"),
    ("SCRAM-SHA-256-PLUS", "alice", PASSWORD, {"flag": "p=tls-unique", "data": b"x" * 32},
     "not-authorized", "sasl.channel-binding", "not that of this TLS connection"),
    ("SCRAM-SHA-256-PLUS", "alice", PASSWORD, {"flag": "p=tls-new", "data": b"x"},
     "malformed-request", "sasl.channel-binding", "tls-new"),
    ("SCRAM-SHA-1", "alice", PASSWORD, {"flag": "y"}, "malformed-request", "sasl.gs2-y", "-PLUS is offered"),
    ("SCRAM-SHA-1", "alice", PASSWORD, {"spoil_nonce": True}, "malformed-request", "sasl.malformed",
     "nonce"),
]


async def what_a_client_does_wrong_is_named(world):
    for mechanism, user, password, options, condition, verdict, words in REFUSED:
        wire = await world.open()
        got = await scram(wire, mechanism, user, password, **options)
        assert f"<failure xmlns=\"{SASL}\"><{condition}/><text " in got, got
        is_verdict, said = await world.verdict(wire)
        assert is_verdict == verdict and words in said, (mechanism, is_verdict, said)


async def messages_out_of_order_are_named(world):
    rows = [
        (auth("PLAIN", "a"), "incorrect-encoding", "sasl.malformed"),
        (auth("PLAIN", "YW5u"), "malformed-request", "sasl.malformed"),
        (auth("SCRAM-MD5", "YW5u"), "invalid-mechanism", "sasl.invalid-mechanism"),
        (f"<response xmlns='{SASL}'>YW5u</response>", "malformed-request", "sasl.malformed"),
        (f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'/><abort xmlns='{SASL}'/>", "aborted",
         "sasl.aborted"),
    ]
    for said, condition, verdict in rows:
        wire = await world.open()
        got = await wire.ask(said, "</failure>")
        assert f"<{condition}/><text " in got, got
        is_verdict, words = await world.verdict(wire)
        assert is_verdict == verdict, (said, is_verdict, words)


async def an_unknown_user_is_asked_the_same_each_time(world):
    salts = set()
    for _ in range(2):
        wire = await world.open()
        s = Scram(wire, "SCRAM-SHA-1", "nobody", PASSWORD)
        got = await wire.ask(auth("SCRAM-SHA-1", s.first()), "</challenge>")
        said = base64.b64decode(data_of(got, "challenge")).decode().split(",")
        salts.add(said[1])
        assert said[2] == "i=4096", said
        wire.close()
    assert len(salts) == 1, salts


async def too_many_failures_end_the_stream(world):
    wire = await world.open()
    for _ in range(5):
        await wire.ask(auth("PLAIN", plain("alice", WRONG)), "</failure>")
    got = await wire.ask(auth("PLAIN", plain("alice", WRONG)), "</stream:stream>")
    assert "<policy-violation" in got and "6 logins failed" in got, got
    verdict, words = await world.verdict(wire)
    assert verdict == "sasl.too-many" and "another password" in words, (verdict, words)


async def sasl2(wire, mechanism, password, more=""):
    """Returns all that came up to the features, or to the failure."""
    s = Scram(wire, mechanism, "alice", password)
    got = await wire.ask(f"<authenticate xmlns='{SASL2}' mechanism='{mechanism}'><initial-response>"
                         f"{s.first()}</initial-response>{more}</authenticate>", "</challenge>",
                         "</failure>")
    got = await wire.ask(f"<response xmlns='{SASL2}'>{s.final(data_of(got, 'challenge'))}</response>",
                         "</stream:features>", "</failure>")
    if "<success" in got:
        s.check(data_of(got, "additional-data"))
    return got


DEVICE = ("<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>wire</software>"
          "</user-agent>")
BIND_TAG = f"<bind xmlns='{BIND2}'><tag>desk</tag></bind>"


async def sasl2_logs_in_and_binds_at_once(world):
    jids = []
    for mechanism in "SCRAM-SHA-256", "SCRAM-SHA-512-PLUS":
        wire = await world.open()
        assert f"<authentication xmlns=\"{SASL2}\">" in wire.features, wire.features
        assert f"<bind xmlns=\"{BIND2}\"" in wire.features, wire.features
        got = await sasl2(wire, mechanism, PASSWORD, DEVICE + BIND_TAG)
        jids.append(data_of(got, "authorization-identifier"))
        assert re.fullmatch(r"alice@xmpp\.example/desk\.[0-9a-f]{8}", jids[-1]), got
        assert f"<bound xmlns=\"{BIND2}\"/></success><stream:features>" in got, got
        assert "xmpp-bind" not in got, got
        got = await wire.ask("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "</iq>")
        assert f"to=\"{jids[-1]}\"" in got and "result" in got, got
        verdict, words = await world.verdict(wire)
        assert verdict.startswith("login"), (verdict, words)
    assert jids[0] == jids[1], jids  # one device, one resource


async def sasl2_without_bind_goes_on_as_before(world):
    wire = await world.open()
    got = await sasl2(wire, "SCRAM-SHA-1", PASSWORD)
    assert data_of(got, "authorization-identifier") == "alice@xmpp.example", got
    assert "<bound" not in got and "urn:ietf:params:xml:ns:xmpp-bind" in got, got
    got = await wire.ask(BIND, "</iq>")
    assert "<jid>alice@xmpp.example/desk</jid>" in got, got
    wire.close()


async def sasl2_refuses_in_its_own_elements(world):
    wire = await world.open()
    got = await sasl2(wire, "SCRAM-SHA-1", WRONG)
    assert f"<failure xmlns=\"{SASL2}\"><not-authorized xmlns=\"{SASL}\"/><text " in got, got
    verdict, words = await world.verdict(wire)
    assert verdict == "sasl.password" and "another password" in words, (verdict, words)


async def sasl2_resumes(world):
    wire = await world.open()
    got = await sasl2(wire, "SCRAM-SHA-1", PASSWORD, f"<bind xmlns='{BIND2}'><enable xmlns="
                      "'urn:xmpp:sm:3' resume='true'/></bind>")
    jid, sm_id = data_of(got, "authorization-identifier"), re.search(r"<enabled [^>]*id=\"([^\"]+)", got)[1]
    wire.reset()
    wire = await world.open()
    got = await sasl2(wire, "SCRAM-SHA-1", PASSWORD,
                      f"<resume xmlns='urn:xmpp:sm:3' previd='{sm_id}' h='0'/>")
    assert data_of(got, "authorization-identifier") == jid, got
    assert f"<resumed xmlns=\"urn:xmpp:sm:3\" previd=\"{sm_id}\"" in got, got
    got = await wire.ask("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "</iq>")
    assert f"to=\"{jid}\"" in got and "result" in got, got
    verdict, words = await world.verdict(wire)
    assert verdict == "resumed", (verdict, words)


async def client(world, name, *more):
    """Runs a client; its exit status and what it printed."""
    process = await peers.start(name, world.folder, world.folder, "alice@xmpp.example", *more)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), WAIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode()


async def slixmpp_logs_in(world):
    for mechanism in "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS":
        status, out = await client(world, "slixmpp", PASSWORD, world.tap.port, world.ca,
                                   [f"mechanism={mechanism}"])
        assert status == 0, out
    status, out = await client(world, "slixmpp", WRONG, world.tap.port, world.ca)
    assert status != 0, out


async def gloox_logs_in(world):
    if "gloox" not in world.built:
        return suite.SKIPPED
    status, out = await client(world, "gloox", PASSWORD, world.tap.port, world.ca)
    assert status == 0, out
    status, out = await client(world, "gloox", WRONG, world.tap.port, world.ca)
    assert status != 0 and "authentication" in out, out
    return None


TESTS = (each_scram_lets_in, the_certificate_binds_too, what_a_client_does_wrong_is_named, messages_out_of_order_are_named,
         an_unknown_user_is_asked_the_same_each_time, too_many_failures_end_the_stream,
         sasl2_logs_in_and_binds_at_once, sasl2_without_bind_goes_on_as_before,
         sasl2_refuses_in_its_own_elements, sasl2_resumes, slixmpp_logs_in, gloox_logs_in)


if __name__ == "__main__":
    if not peers.VERSIONS["slixmpp"]():
        print("skipped logins (slixmpp is not installed)")
        sys.exit(0)
    sys.exit(suite.run("logins", World, lambda world: TESTS, 4 * WAIT_S))

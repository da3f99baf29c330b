"""`--channel-binding bridge` between real clients and servers: who gets in, who does not and in whose
words, and where the password does not stand afterwards.

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap). What is not installed is skipped and named.
"""

import asyncio
import base64
import gzip
import os
import pathlib
import re
import resource
import signal
import ssl
import subprocess
import sys

import ejabberd
import suite
from client import Client, LoginFailed
from prosody import Prosody
from tap import PROGRAM, Tap
from wire import SASL, Wire, auth, header, plain

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ALICE, BOB = "alice@xmpp.example", "bob@xmpp.example"
PASSWORD, WRONG = "correct-horse-battery", "wrong-horse-battery"
BRIDGE = "--channel-binding", "bridge"


class World:
    """Prosody with TLS 1.2, which there alone has channel binding, and ejabberd if it is there."""

    def __init__(self, folder):
        self.folder = folder
        self.prosody = Prosody(folder / "prosody", ssl='{ protocol = "tlsv1_2" }')
        self.ejabberd = ejabberd.Ejabberd(folder / "ejabberd") if ejabberd.is_installed() else None
        self.clients = []
        self.taps = []

    async def start(self):
        servers = [s for s in (self.prosody, self.ejabberd) if s]
        await asyncio.gather(*(s.start() for s in servers))
        for server in servers:
            for jid in (ALICE, BOB):
                server.register(jid, PASSWORD)

    def client(self, jid, password, ca, mechanism):
        client = Client(jid, password, ca, mechanism, WAIT_S)
        self.clients.append(client)
        return client

    async def tap(self, server, *options):
        tap = Tap(self.folder / f"tap{len(self.taps)}", WAIT_S)
        self.taps.append(tap)
        await tap.start(server.port, "--upstream-ca", server.ca, *options)
        return tap

    async def account(self, server, password=PASSWORD, jid=ALICE):
        file = self.folder / f"password{len(self.taps)}"
        file.touch(mode=0o600)
        file.write_text(password + "\n")
        return await self.tap(server, *BRIDGE, "-v", "--account", jid, "--password-file", file)

    async def stop(self):
        for client in self.clients:
            client.close()
        statuses = [await tap.stop() for tap in self.taps]
        for server in (self.prosody, self.ejabberd):
            if server:
                await server.stop()
        return statuses

    def logs(self):
        for tap in self.taps:
            yield tap.folder.name, tap.messages() + tap.transcript()


async def session(tap):
    """The records of the only session, once it is over."""
    return next(iter((await tap.ended(1)).values()))


def facts(records, direction, name):
    """What we sent in a direction, told by one fact of it."""
    return [r["facts"][name] for r in records
            if r["event"] == "edit" and r["dir"] == direction and name in r.get("facts", {})]


async def gets_in(world, tap, mechanism):
    """A whole login; returns its session's records."""
    client = world.client(ALICE, PASSWORD, tap.ca(), mechanism)
    await client.log_in(tap.port)
    roster = await client.get_roster(timeout=WAIT_S)
    assert roster["type"] == "result", roster
    await client.log_out()
    return await session(tap)


async def is_refused(world, tap, password, mechanism, jid=ALICE):
    """Returns the <failure/> that the client got, and its session's records."""
    client = world.client(jid, password, tap.ca(), mechanism)
    try:
        await client.log_in(tap.port)
    except LoginFailed:
        pass
    else:
        raise AssertionError("it was let in")
    client.close()
    return re.search(rb"<failure.*?</failure>", bytes(client.received), re.S)[0].decode(), \
        await session(tap)


def searched_for(password):
    """What a password may look like somewhere, in base64 at each alignment."""
    yield password.encode()
    for skip in range(3):
        yield base64.b64encode(b"\0" * skip + password.encode())[4:-4]


def assert_nowhere(tap, password=PASSWORD):
    places = {"transcript": bytes(tap.stdout), "messages": bytes(tap.stderr)}
    for path in pathlib.Path(tap.archive).glob("*.jsonl.gz"):
        places[path.name] = gzip.decompress(path.read_bytes())
    if tap.process.returncode is None:
        for name in "cmdline", "environ":
            places[name] = pathlib.Path(f"/proc/{tap.process.pid}/{name}").read_bytes()
    assert len(places) >= 3, places.keys()
    for name, text in places.items():
        for secret in searched_for(password):
            assert secret not in text, f"{secret!r} stands in {name}"


# ---- the client's own password ----

async def plain_becomes_scram_plus(world):
    tap = await world.tap(world.prosody, *BRIDGE, "-v")
    records = await gets_in(world, tap, "PLAIN")
    end = records[-1]
    assert end["mechanism"] == "PLAIN, bridged to SCRAM-SHA-256-PLUS", end
    assert end["verdict"] == "login", end
    offered = [r["facts"]["mechanisms"] for r in records if r["event"] == "edit" and r["dir"] == "s2c"
               and "mechanisms" in r.get("facts", {})]
    assert offered == ["PLAIN"], offered
    assert facts(records, "c2s", "cb-type") == ["tls-unique", "tls-unique"], records
    assert not [r for r in records if r.get("remarks")], records
    assert_nowhere(tap)


async def wrong_password_in_the_servers_words(world):
    tap = await world.tap(world.prosody, *BRIDGE)
    failure, records = await is_refused(world, tap, WRONG, "PLAIN")
    said = [r["xml"] for r in records if r["event"] == "stanza" and "<failure" in r["xml"]]
    assert said == [failure] and "<not-authorized/>" in failure, (said, failure)
    assert records[-1]["verdict"] == "sasl.password", records[-1]
    assert_nowhere(tap, WRONG)


async def plain_to_ejabberd(world):
    tap = await world.tap(world.ejabberd, *BRIDGE)
    records = await gets_in(world, tap, "PLAIN")
    assert records[-1]["mechanism"] == "PLAIN, bridged to SCRAM-SHA-512-PLUS", records[-1]
    assert_nowhere(tap)


# ---- with an account ----

async def plus_at_both_ends(world):
    tap = await world.account(world.prosody)
    records = await gets_in(world, tap, "SCRAM-SHA-256-PLUS")
    assert records[-1]["mechanism"] == "SCRAM-SHA-256-PLUS, bridged to SCRAM-SHA-256-PLUS", records[-1]
    assert records[-1]["verdict"] == "login", records[-1]
    assert_nowhere(tap)


async def plus_at_both_ends_with_ejabberd(world):
    tap = await world.account(world.ejabberd)
    records = await gets_in(world, tap, "SCRAM-SHA-512-PLUS")
    assert records[-1]["mechanism"] == "SCRAM-SHA-512-PLUS, bridged to SCRAM-SHA-512-PLUS", records[-1]
    assert_nowhere(tap)


async def no_proof_stands_in_the_archive(world):
    """Neither what the client proved nor what we did, in either direction."""
    tap = await world.account(world.prosody)
    records = await gets_in(world, tap, "SCRAM-SHA-1-PLUS")
    texts = [r.get("xml", "") + r.get("sent", "") for r in records]
    sasl = [t for t in texts if re.match("<(auth|challenge|response|success) ", t)]
    assert len(sasl) == 8, sasl  # four of each login
    for text in sasl:
        for message in re.findall(r">([^<>\[]+)<", text):
            decoded = base64.b64decode(message).decode()
            assert not re.search("(^|,)[pv]=(?!tls-unique)", decoded), decoded
    assert sum("[redacted]" in t for t in sasl) == 4, sasl


async def client_has_another_password(world):
    tap = await world.account(world.prosody)
    failure, records = await is_refused(world, tap, WRONG, "SCRAM-SHA-256-PLUS")
    assert "<not-authorized" in failure, failure
    assert not facts(records, "c2s", "mechanism"), "the server was asked"
    assert records[-1]["verdict"] == "bridge.password", records[-1]
    assert_nowhere(tap)
    assert_nowhere(tap, WRONG)


async def client_has_another_name(world):
    tap = await world.account(world.prosody)
    failure, records = await is_refused(world, tap, PASSWORD, "SCRAM-SHA-256-PLUS", jid=BOB)
    assert "<not-authorized" in failure, failure
    assert not facts(records, "c2s", "mechanism"), "the server was asked"


async def account_has_another_password(world):
    """The client knows what stands in the file, but that is not what the server knows."""
    tap = await world.account(world.prosody, WRONG)
    failure, records = await is_refused(world, tap, WRONG, "SCRAM-SHA-256-PLUS")
    said = [r["xml"] for r in records if r["event"] == "stanza" and "<failure" in r["xml"]]
    assert said == [failure], (said, failure)
    assert records[-1]["verdict"] == "bridge.account-password", records[-1]
    assert_nowhere(tap, WRONG)


# ---- a hostile server ----

class Slow:
    """A server whose SCRAM takes as long as it may: a million iterations. `asked` is set when it has
    asked for them, `answers` counts what came of it."""

    def __init__(self, folder):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(folder / "xmpp.example.crt", folder / "xmpp.example.key")
        self.ca = folder / "server-ca.crt"
        self.asked = asyncio.Event()
        self.answers = 0
        self.server = self.port = None

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        async def until(end):
            return (await reader.readuntil(end)).decode()

        def send(text):
            writer.write(text.encode())
        try:
            await until(b"version='1.0'>")
            send(header() + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
                 "</stream:features>")
            await until(b"/>")
            send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            await writer.start_tls(self.context)
            await until(b"version='1.0'>")
            send(header() + f"<stream:features><mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-512"
                 "</mechanism></mechanisms></stream:features>")
            first = base64.b64decode(re.search(">(.*)</auth>", await until(b"</auth>"))[1]).decode()
            said = f"r={first.partition('r=')[2]}more,s=c2FsdA==,i=1000000"
            send(f"<challenge xmlns='{SASL}'>{base64.b64encode(said.encode()).decode()}</challenge>")
            self.asked.set()
            await until(b"</response>")
            self.answers += 1
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def stop(self):
        self.server.close()


async def salting_holds_nobody_up(world):
    """While one password is being salted others get on, and its session may end meanwhile."""
    slow = Slow(world.prosody.folder)
    await slow.start()
    tap = await world.tap(slow, *BRIDGE)
    first = await Wire(WAIT_S).open(tap.port)
    await first.secure(tap.ca())
    first.send(auth("PLAIN", plain("alice", PASSWORD)))
    await asyncio.wait_for(slow.asked.wait(), WAIT_S)
    other = await Wire(WAIT_S).open(tap.port)
    features = await other.secure(tap.ca())
    assert "PLAIN" in features, features
    assert slow.answers == 0, "it was salted before another session got as far as TLS"
    other.send(auth("PLAIN", plain("alice", PASSWORD)))
    first.reset()
    other.reset()
    await tap.ended(2)
    await slow.stop()
    assert_nowhere(tap)


# ---- the process ----

def start(tap_folder, *options):
    """xmpptap with cores allowed; returns its process when it listens."""
    tap_folder.mkdir()
    process = subprocess.Popen(
        [os.path.abspath(PROGRAM), "serve", "-l", "127.0.0.1:0", "--ca-dir", tap_folder / "ca",
         "-d", tap_folder / "archive", "-q", *map(str, options)], cwd=tap_folder,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
    while b"listening" not in (line := process.stderr.readline()):
        assert line, "it does not start"
    return process


def leaves_core(process):
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    process.stderr.close()
    return os.WCOREDUMP(status)


async def leaves_no_core(world):
    """Skipped where nothing leaves cores."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY or os.environ.get("XMPPTAP_SANITIZED") or \
            not await asyncio.to_thread(lambda: leaves_core(start(world.folder / "with-core"))):
        return suite.SKIPPED
    assert not leaves_core(start(world.folder / "without-core", *BRIDGE)), "there is a core"


async def password_that_others_can_read(world):
    file = world.folder / "open"
    file.write_text(PASSWORD)
    file.chmod(0o644)
    done = subprocess.run([PROGRAM, "proxy", *BRIDGE, "--account", ALICE, "--password-file", file,
                           "tcp://127.0.0.1:1"], capture_output=True, timeout=WAIT_S)
    assert done.returncode == 2 and b"chmod 600" in done.stderr, done
    assert PASSWORD.encode() not in done.stderr, done


TESTS = (plain_becomes_scram_plus, wrong_password_in_the_servers_words, plus_at_both_ends,
         no_proof_stands_in_the_archive, client_has_another_password, client_has_another_name,
         account_has_another_password, salting_holds_nobody_up, leaves_no_core,
         password_that_others_can_read)
EJABBERD = plain_to_ejabberd, plus_at_both_ends_with_ejabberd


def tests(world):
    if not world.ejabberd:
        print("skipped ejabberd: not installed", flush=True)
    return TESTS + (EJABBERD if world.ejabberd else ())


if __name__ == "__main__":
    sys.exit(suite.run("bridge", World, tests, 8 * WAIT_S))

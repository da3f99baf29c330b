"""Real clients with `xmpptap serve`: each logs in, meets its contact, changes its vCard, logs out
and in again.

    /usr/bin/python3 -B tests/interop/serve.py [--quick] [--update] [--server SERVER] [WORD...]

Each client of CLIENTS in each profile, certificates checked: roster, presence of the contact, a
message to it and its answer, a ping, the vCard read, changed and read again, logout; then all of it
again, and the vCard must be the changed one. Each logs in with direct TLS, too, and none where it
is to trust another CA.

What was said must be what tests/interop/golden/ says of the client and the profile, but for ids and
times; that was written with one version of the client, with another it is not compared. --update
writes what differs.

With WORDs only the tests that have each of them in their names. --server prosody: the same with
Prosody behind `xmpptap proxy`, to see whether a fault is the server's or the test's. Prints
`ok NAME`, `not ok NAME` and `skipped NAME` lines; exit status 1 if anything failed. $XMPPTAP names
the program (default ./xmpptap).
"""

import argparse
import asyncio
import difflib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import evened  # noqa: E402
import peers  # noqa: E402
import suite  # noqa: E402
from client import Client  # noqa: E402
from prosody import make_ca  # noqa: E402
from served import DOMAIN, PASSWORD, PROFILES, REFERENCE, served  # noqa: E402

GOLDEN = pathlib.Path(__file__).with_name("golden")
SLOW = 4 if os.environ.get("XMPPTAP_SANITIZED") else 1
WAIT_S = 15 * SLOW
CLIENT_S = 40 * SLOW
CLIENTS = ("slixmpp", "gloox", "strophe", "xmppjs", "aioxmpp", "profanity")
QUICK = ("slixmpp", "gloox")
# What these do only when they are asked to, and with the modern profile can.
OPTIONS = {"slixmpp": ("sm",), "gloox": ("zlib",)}
RESUME = ("xmppjs",)  # slixmpp and aioxmpp: served_streams.py


def account_of(client):
    return f"{client}@{DOMAIN}"


def contact_of(client):
    """The one that the documented profile puts in the roster: the account's name with a 1."""
    return f"{client}1@{DOMAIN}"


class World:
    """The servers, by profile, and what runs against them."""

    def __init__(self, folder, arguments):
        self.folder = folder
        self.wanted = [c for c in (QUICK if arguments.quick else CLIENTS)]
        self.update = arguments.update
        accounts = {}
        for client in CLIENTS:
            accounts[account_of(client)] = [contact_of(client)]
            accounts[contact_of(client)] = [account_of(client)]
        self.profiles = {profile: served(folder / profile, profile, accounts, WAIT_S)
                         for profile in ([arguments.server] if arguments.server else PROFILES)}
        self.children, self.clients = [], []
        self.versions = {}

    async def start(self):
        self.other_ca = make_ca(self.folder, "other-ca")
        await asyncio.to_thread(peers.build, self.folder, self.wanted)
        for server in self.profiles.values():
            await server.start()

    def version(self, client):
        if client not in self.versions:
            self.versions[client] = peers.VERSIONS[client]()
        return self.versions[client]

    async def contact(self, server, jid):
        """Comes online, and answers every message."""
        client = Client(jid + "/contact", PASSWORD, server.tap.ca(), None, WAIT_S)
        self.clients.append(client)
        client.add_event_handler("message", lambda m: m.reply(f"I heard: {m['body']}").send())
        await client.log_in(server.tap.port)
        await client.get_roster(timeout=WAIT_S)
        client.send_presence()
        await client.next_of(client.presences)
        return client

    async def run(self, server, client, ca, *options):
        """A client's whole login; its exit status, and what it says."""
        home = self.folder / f"home{len(self.children)}"
        home.mkdir()
        child = await peers.start(client, self.folder, home, account_of(client), PASSWORD,
                                  server.tap.port, ca, options)
        self.children.append(child)
        text, _ = await asyncio.wait_for(child.communicate(), CLIENT_S)
        return child.returncode, text.decode(errors="replace")

    async def log_in(self, server, client, *options):
        """It must go well."""
        status, text = await self.run(server, client, server.tap.ca(), *options)
        assert status == 0, f"exit status {status}: {text}"
        return text

    async def stop(self):
        for child in self.children:
            if child.returncode is None:
                child.kill()
                await child.wait()
        for client in self.clients:
            client.close()
        return [await server.stop() for server in self.profiles.values()]

    def logs(self):
        return [(profile, server.log()) for profile, server in self.profiles.items()]


# ---- what was said ----

async def sessions_of(tap, account, count):
    """The whole sessions of an account, in the order in which they began."""
    def whole():
        found = [s for s in tap.records().values() if s[-1].get("account", "").startswith(account)]
        over = len(found) == count and all(s[-1]["event"] == "end" for s in found)
        return found if over else None
    return await tap.until(whole, f"{count} sessions of {account} in the archive")


def differences(expected, found):
    """Lines of a diff, a direction at a time."""
    lines = []
    wanted, had = evened.by_direction(expected), evened.by_direction(found)
    for arrow in wanted:
        lines += difflib.unified_diff("".join(wanted[arrow]).splitlines(),
                                      "".join(had[arrow]).splitlines(), "golden", "found", n=8,
                                      lineterm="")
    return lines


def check_golden(name, version, sessions, update):
    """Returns what is not compared, and why; fails where it differs."""
    path = GOLDEN / f"{name}.txt"
    text = f"# {version}\n" + "".join(
        f"\n======== login {number}\n\n" + "\n".join(evened.session(records))
        for number, records in enumerate(sessions, 1))
    old = path.read_text() if path.exists() else ""
    if not update and old.partition("\n")[0] != f"# {version}":
        return f"{path.name} is not of {version}: not compared"
    lines = differences(evened.items_of(old), evened.items_of(text))
    if lines and update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return f"{path.name} is written"
    assert not lines, "\n".join(lines)
    return None


# ---- the tests ----

def test_of(client, profile):
    async def test(world):
        version = world.version(client)
        if not version:
            return suite.SKIPPED
        server = world.profiles[profile]
        meet = f"contact={contact_of(client)}"
        contact = await world.contact(server, contact_of(client))
        options = (meet, *(OPTIONS.get(client, ()) if profile == "modern" else ()))
        await world.log_in(server, client, *options, f"card={client} was here")
        await world.log_in(server, client, *options, f"card-is={client} was here")
        await contact.log_out()
        sessions = await sessions_of(server.tap, account_of(client), 2)
        if profile in PROFILES:
            note = check_golden(f"{client}-{profile}", version, sessions, world.update)
            if note:
                print(f"skipped {note}", flush=True)
        return None
    test.__name__ = f"{client}, {profile}"
    return test


def resumption_of(client):
    """The connection is cut, and the stream goes on with the next (XEP-0198)."""
    async def test(world):
        if not world.version(client):
            return suite.SKIPPED
        text = await world.log_in(world.profiles["modern"], client, "resume")
        assert "resumed" in text.splitlines(), text
        return None
    test.__name__ = f"{client} resumes, modern"
    return test


def direct_tls_of(client):
    """TLS from the first byte (XEP-0368); gloox and @xmpp/client name no domain there."""
    async def test(world):
        if not world.version(client):
            return suite.SKIPPED
        await world.log_in(world.profiles["modern"], client, "direct-tls")
        return None
    test.__name__ = f"{client}, direct TLS, modern"
    return test


def distrust_of(client):
    """Certificates are checked: with another CA it does not log in."""
    async def test(world):
        if not world.version(client):
            return suite.SKIPPED
        server = next(iter(world.profiles.values()))
        before = {*server.tap.records()}
        status, text = await world.run(server, client, world.other_ca)
        assert status != 0, text

        def ended():
            new = [s for name, s in server.tap.records().items() if name not in before]
            return new if new and all(s[-1]["event"] == "end" for s in new) else None
        for session in await server.tap.until(ended, "the session's end"):
            said = [r.get("label", "") for r in session if r.get("dir") == "c2s"]
            assert "tls.request" in said, said
            assert not any(label.startswith("sasl") for label in said), said
        return None
    test.__name__ = f"{client}, another CA"
    return test


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only " + ", ".join(QUICK))
    parser.add_argument("--update", action="store_true", help="write what differs")
    parser.add_argument("--server", choices=[REFERENCE])
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args(words)

    def tests_of(world):
        clients = QUICK if arguments.quick else CLIENTS
        tests = [test_of(client, profile) for client in clients for profile in world.profiles]
        tests += [distrust_of(client) for client in clients]
        if "modern" in world.profiles:
            tests += [direct_tls_of(client) for client in clients]
            tests += [resumption_of(client) for client in RESUME if client in clients]
        return [t for t in tests if all(word in t.__name__ for word in arguments.words)]
    return suite.run("serve", lambda folder: World(folder, arguments), tests_of,
                     WAIT_S * 2 + CLIENT_S * 2)


if __name__ == "__main__":
    sys.exit(main())

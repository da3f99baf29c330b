"""`xmpptap replay`: slixmpp's session with Prosody is captured, then played against the same server,
against one without some of its modules, as another account, and with a wrong password.

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap).
"""

import asyncio
import gzip
import json
import os
import re
import sys

import suite
from client import Client
from prosody import Prosody
from tap import PROGRAM, Tap

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ALICE, BOB = "alice@xmpp.example", "bob@xmpp.example"
PASSWORD, WRONG, ROOM = "correct-horse-battery", "wrong-horse-battery", "room-secret-9"
BOOKMARKS = ("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>{}</storage></query>")
CONFERENCE = f"<conference jid='r@rooms.example'><password>{ROOM}</password></conference>"


class World:
    """Prosody, and another with less in it; a session captured with secrets kept, and one without."""

    def __init__(self, folder):
        self.folder = folder
        self.prosody = Prosody(folder / "prosody", ["smacks"])
        self.poor = Prosody(folder / "poor", ["smacks"],
                            modules_disabled='{ "s2s", "ping", "vcard_legacy" }',
                            ssl='{ protocol = "tlsv1_2" }')  # with it there is channel binding
        self.taps = []
        self.clients = []
        self.kept = self.redacted = None

    async def start(self):
        await asyncio.gather(self.prosody.start(), self.poor.start())
        for server in self.prosody, self.poor:
            for jid in (ALICE, BOB):
                server.register(jid, PASSWORD)

    async def tap(self, *options):
        tap = Tap(self.folder / f"tap{len(self.taps)}", WAIT_S)
        self.taps.append(tap)
        await tap.start(self.prosody.port, "--upstream-ca", self.prosody.ca, *options)
        return tap

    async def capture(self, *options, plugin=None):
        """A session of Alice's; returns the archive's file."""
        tap = await self.tap(*options)
        alice = Client(ALICE, PASSWORD, tap.ca(), None, WAIT_S)
        if plugin:
            alice.register_plugin(plugin)
        self.clients.append(alice)
        await alice.log_in(tap.port)
        await talk(alice)
        await alice.log_out()
        await tap.ended(1)
        assert await tap.stop() == 0, tap.messages()
        file, = tap.archive.glob("*.jsonl.gz")
        return file

    def password(self, text):
        file = self.folder / f"password-{text}"
        file.touch(mode=0o600)
        file.write_text(text + "\n")
        return file

    async def replay(self, session, server=None, jid=ALICE, password=PASSWORD, options=()):
        """Returns exit status, standard output, standard error."""
        server = server or self.prosody
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "replay", "--to", f"tcp://127.0.0.1:{server.port}", "--account", jid,
            "--password-file", self.password(password), "--upstream-ca", server.ca, *options, session,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE)
        out, err = await asyncio.wait_for(process.communicate(), 2 * WAIT_S)
        return process.returncode, out.decode(), err.decode()

    async def stop(self):
        for client in self.clients:
            client.close()
        statuses = [await tap.stop() for tap in self.taps]
        await asyncio.gather(self.prosody.stop(), self.poor.stop())
        return statuses

    def logs(self):
        yield "prosody", self.prosody.log.read_text()
        for tap in self.taps:
            yield tap.folder.name, tap.messages()


async def talk(alice):
    """What the server answers and delivers by itself, so that it does so again."""
    await alice.get_roster(timeout=WAIT_S)
    alice.send_presence(pstatus="here")
    await alice.next_of(alice.presences)
    await alice.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", to="xmpp.example")
    await alice.ask("set", BOOKMARKS.format(CONFERENCE))
    await alice.ask("get", BOOKMARKS.format(""))
    await alice.ask("set", f"<vCard xmlns='vcard-temp'><FN>Alice</FN><JABBERID>{ALICE}</JABBERID></vCard>")
    await alice.ask("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)
    await alice.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to="xmpp.example")
    await alice.update_roster("carol@xmpp.example", name="Carol", timeout=WAIT_S)
    await alice.update_roster("carol@xmpp.example", subscription="remove", timeout=WAIT_S)
    alice.send_message(str(alice.boundjid), "to myself", mtype="chat")
    await alice.next_of(alice.messages)


def summary(out):
    """Answers that are the same, that differ, that are missing; and how many items were skipped."""
    found = re.search(r"\n(\d+) answers the same, (\d+) differ, (\d+) missing(?:; unasked: (\d+) the same, "
                      r"0 differ, 0 only captured, 0 only live)?(?:; (\d+) skipped)?\n$", out)
    assert found, out
    return [int(n or 0) for n in found.groups()]


async def kept_session_is_the_same(world):
    world.kept = await world.capture("--secrets", "keep")
    status, out, err = await world.replay(world.kept)
    same, differ, missing, unasked, skipped = summary(out)
    assert (status, differ, missing, skipped, err) == (0, 0, 0, 0, ""), (status, out, err)
    assert same >= 12 and unasked >= 4, out
    assert "the login: captured SCRAM-SHA-256, live SCRAM-SHA-256\n" in out, out


async def redacted_session_is_the_same_but_for_what_is_redacted(world):
    world.redacted = await world.capture()
    status, out, err = await world.replay(world.redacted)
    _, differ, missing, _, skipped = summary(out)
    assert (status, differ, missing, skipped) == (0, 0, 0, 1), (status, out, err)
    assert re.search(r"skipped  #\d+: \[redacted\] stands in it;.*--secrets keep", out), out
    assert ROOM not in out + err, out


async def another_account_is_the_same(world):
    status, out, err = await world.replay(world.kept, jid=BOB)
    assert status == 0, (out, err)
    stored = [path.read_text() for path in (world.prosody.folder / "data").rglob("*")
              if path.is_file() and "bob" in str(path.relative_to(world.prosody.folder))]
    assert BOB in str(stored) and ALICE not in str(stored), stored


async def server_with_less_differs(world):
    status, out, err = await world.replay(world.kept, server=world.poor)
    assert status == 1 and err == "", (status, out, err)
    wrong = re.findall(r"differs  #\d+ client .*\n +captured result, live error service-unavailable", out)
    assert len(wrong) == 3, out  # vCard set and get, ping
    assert "only captured: <feature var='urn:xmpp:ping'/>" in out, out
    assert "only captured: <feature var='vcard-temp'/>" in out, out
    assert "only live: <mechanism>SCRAM-SHA-256-PLUS</mechanism>" in out, out
    assert "the login: captured SCRAM-SHA-256, live SCRAM-SHA-256-PLUS (tls-unique)\n" in out, out


async def json_says_the_same(world):
    status, out, _ = await world.replay(world.kept, server=world.poor, options=["--json"])
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 1 and records[-1]["what"] == "summary", records
    answers = [r for r in records if r["what"] in ("answer", "features")]
    verdicts = [r["verdict"] for r in answers]
    assert records[-1]["same"] == verdicts.count("same") >= 8, records
    assert records[-1]["differ"] == verdicts.count("differs") >= 4, records
    differs = next(r for r in answers if r["verdict"] == "differs" and r.get("label") == "ping.client.request")
    assert "service-unavailable" in differs["live"] and "type='result'" in differs["captured"], differs


async def stream_management_is_our_own(world):
    file = await world.capture("--secrets", "keep", plugin="xep_0198")
    status, out, err = await world.replay(file)
    assert status == 0 and err == "", (status, out, err)
    assert re.search(r"same +#\d+ client enables stream management", out), out
    assert re.search(r"skipped  #[^:\n]*: stream management counts", out), out


async def direct_tls_through_the_proxy(world):
    """As the session that replay makes is captured, too."""
    tap = await world.tap()
    status, out, err = await world.replay(
        world.kept, options=["--to", f"tls://127.0.0.1:{tap.port}", "--upstream-ca", tap.ca()])
    assert status == 0 and err == "", (status, out, err)
    assert "features before TLS" not in out and "features before the login" in out, out
    (_, records), = (await tap.ended(1)).items()
    assert records[-1]["verdict"] == "login" and records[-1]["reason"] == "closed", records[-1]
    assert "unanswered" not in records[-1], records[-1]


async def server_without_tls(world):
    tap = await world.tap("--client-tls", "off")
    status, out, err = await world.replay(world.kept, options=["--to", f"tcp://127.0.0.1:{tap.port}"])
    assert status == 0 and "live SCRAM-SHA-256\n" in out, (status, out, err)
    assert_one_sentence(err, "offers no TLS", "tls://")


async def last_of_several(world):
    both = world.folder / "both.jsonl.gz"
    both.write_bytes(world.redacted.read_bytes() + world.kept.read_bytes())
    status, out, err = await world.replay(both)
    assert status == 0, (status, out)
    assert_one_sentence(err, "several sessions, and this is the last", "FILE#SESSION", "xmpptap list")


async def session_that_was_cut_off(world):
    """Without its end it is played as far as it goes, and that is said."""
    torn = world.folder / "torn.jsonl.gz"
    records = gzip.decompress(world.kept.read_bytes()).splitlines(keepends=True)
    torn.write_bytes(gzip.compress(b"".join(records[:-1])))
    status, out, err = await world.replay(torn)
    assert status == 0, (status, out)
    assert_one_sentence(err, "was cut off", "as far as it was recorded")


async def session_by_name(world):
    name = json.loads(os.popen(f"zcat {world.kept} | head -1").read())["session"]
    for session in f"{world.kept}#{name}", f"{world.kept}#{name[:-1]}":
        status, out, err = await world.replay(session)
        assert status == 0 and f"replay of {name}," in out, (out, err)
    status, out, err = await world.replay(f"{world.kept}#nobody")
    assert status == 1 and out == "" and "no session nobody" in err, (out, err)


def assert_one_sentence(err, *parts):
    assert err.count("\n") == 1 and all(part in err for part in parts), err


async def wrong_password(world):
    status, out, err = await world.replay(world.kept, password=WRONG)
    assert status == 1 and out == "", (status, out)
    assert_one_sentence(err, "does not accept --account with the password in --password-file", "SCRAM-",
                        "not-authorized", "check both")
    assert WRONG not in err, err


async def untrusted_certificate(world):
    status, out, err = await world.replay(world.kept, options=["--upstream-ca", world.poor.ca])
    assert status == 1 and out == "", (status, out)
    assert_one_sentence(err, "--upstream-ca")
    status, out, err = await world.replay(world.kept, options=["--upstream-ca", world.poor.ca, "--insecure"])
    assert status == 0, (status, out)
    assert_one_sentence(err, "ignored because of --insecure")


async def nobody_there(world):
    status, out, err = await world.replay(world.kept, options=["--to", "tcp://127.0.0.1:1"])
    assert status == 1 and out == "", (status, out)
    assert_one_sentence(err, "127.0.0.1:1", "refused")


async def wrong_usage(world):
    for options in ["--to", "builtin:"], ["--to", "tcp://x"], ["--account", "alice"], ["--wait", "no"]:
        status, out, err = await world.replay(world.kept, options=options)
        assert status == 2 and out == "", (options, status, out)
        assert_one_sentence(err, "see `xmpptap replay --help`")


TESTS = (kept_session_is_the_same, redacted_session_is_the_same_but_for_what_is_redacted,
         another_account_is_the_same, server_with_less_differs, json_says_the_same,
         stream_management_is_our_own, direct_tls_through_the_proxy, server_without_tls,
        session_by_name, last_of_several, session_that_was_cut_off,
         wrong_password, untrusted_certificate, nobody_there, wrong_usage)

if __name__ == "__main__":
    sys.exit(suite.run("replay", World, lambda _: TESTS, 8 * WAIT_S))

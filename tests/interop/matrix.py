"""Which clients log in to which servers through xmpptap: every combination, and what came of it.

    /usr/bin/python3 -B tests/interop/matrix.py [--quick] [--markdown] [--tap] [--verbose]
        [--way WAY] [WORD...]

Servers x clients x STARTTLS and direct TLS x the server's TLS version; each row is tried without
xmpptap and in each way with it (WAYS). A login is: bind, roster, a message to oneself, a ping,
logout (go-sendxmpp: bind, a message, logout). The clients check certificates: the test's CA without
xmpptap, xmpptap's with it.

Where a client can log in directly it must do so through xmpptap, or the session's verdict must name
the cause; where it logs in, the verdict must say that. Otherwise the exit status is 1. With WORDs
only rows that have each of them, e.g. `ejabberd gloox direct 1.2`; with --way that one alone. --tap prints a line `ok ...` or
`not ok ...` a cell instead of the table, as tests do; --verbose shows what `explain` says about each
cell that did not log in. $XMPPTAP names the program (default ./xmpptap). What is not installed is
skipped and named.
"""

import argparse
import asyncio
import itertools
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers  # noqa: E402
from ejabberd import Ejabberd  # noqa: E402
from prosody import Prosody, free_port  # noqa: E402
from tap import PROGRAM, Tap  # noqa: E402

AT_ONCE = 2
CLIENT_S = 35  # a client's own limits are shorter
WAIT_S = 10
DOMAIN, PASSWORD = "xmpp.example", "correct-horse-battery"

CLIENTS = ("slixmpp", "strophe", "gloox", "xmppjs", "aioxmpp", "go-sendxmpp")
KINDS = {"STARTTLS": ("tcp", ()), "direct TLS": ("tls", ("direct-tls",))}
VERSIONS = ("1.2", "1.3")  # the server speaks this one alone
DIRECT = "no proxy"
WAYS = {"auto": (),  # the default
        "bridge": ("--channel-binding", "bridge"),
        "bridge, account": ("--channel-binding", "bridge", "--account", "{jid}",
                            "--password-file", "{password_file}")}
# What a client is asked to do besides, with one server.
OPTIONS = {("ejabberd", "gloox"): ("zlib",)}
GLOOX = "ejabberd", "gloox", "STARTTLS", "1.2"
QUICK = {GLOOX, ("prosody", "gloox", "STARTTLS", "1.2"), ("prosody", "slixmpp", "STARTTLS", "1.3"),
         ("prosody", "slixmpp", "direct TLS", "1.3"), ("ejabberd", "gloox", "direct TLS", "1.2")}
# What must stand in a cell; in those of QUICK, `ok` at least.
MUST = {(*GLOOX, "auto"): "ok SCRAM-SHA-1 zlib",
        (*GLOOX, "bridge"): "ok PLAIN → SCRAM-SHA-512-PLUS zlib",
        (*GLOOX, "bridge, account"): "ok SCRAM-SHA-1-PLUS → SCRAM-SHA-512-PLUS zlib"}
# The verdicts that can be true here: there is nothing wrong with a server or a password.
CAUSES = {"sasl.channel-binding", "sasl.gs2-y", "sasl.downgrade", "mechanisms.none-in-common"}


# ---- servers ----

PROSODY_TLS = {"1.2": "tlsv1_2", "1.3": "tlsv1_3"}
EJABBERD_TLS = {"1.2": "no_tlsv1_3", "1.3": "no_tlsv1_2"}


class Prosodies:
    """Two of them: Prosody has one TLS version for all its ports."""

    def __init__(self, folder):
        self.ports, self.servers = {}, {}
        folder.mkdir()
        for version, protocol in PROSODY_TLS.items():
            self.ports["direct TLS", version] = port = free_port()
            path = folder / version
            certificate = f'certificate = "{path}/{DOMAIN}.crt", key = "{path}/{DOMAIN}.key"'
            self.servers[version] = Prosody(
                path, c2s_direct_tls_ports=f"{{ {port} }}", ssl=f'{{ protocol = "{protocol}" }}',
                c2s_direct_tls_ssl=f'{{ {certificate}, protocol = "{protocol}" }}')

    async def start(self, users):
        await asyncio.gather(*(s.start() for s in self.servers.values()))
        for version, server in self.servers.items():
            self.ports["STARTTLS", version] = server.port
            for user in users:
                server.register(f"{user}@{DOMAIN}", PASSWORD)

    def ca(self, version):
        return self.servers[version].ca

    def logs(self):
        return [server.log for server in self.servers.values()]

    async def stop(self):
        await asyncio.gather(*(s.stop() for s in self.servers.values()))


class Ejabberds:
    """One, with a port for each."""

    def __init__(self, folder):
        kinds = {"STARTTLS": {"starttls": "true", "starttls_required": "true"},
                 "direct TLS": {"tls": "true"}}
        self.server = Ejabberd(folder, {
            (kind, version): {**settings, "zlib": "true",
                              "protocol_options": f"[no_sslv3, no_tlsv1, no_tlsv1_1, {option}]"}
            for kind, settings in kinds.items() for version, option in EJABBERD_TLS.items()})

    @property
    def ports(self):
        return self.server.ports

    async def start(self, users):
        await self.server.start()
        for user in users:
            self.server.register(f"{user}@{DOMAIN}", PASSWORD)

    def ca(self, _version):
        return self.server.ca

    def logs(self):
        return [self.server.log]

    async def stop(self):
        await self.server.stop()


SERVERS = {"prosody": Prosodies, "ejabberd": Ejabberds}


# ---- cells ----

class Cell:
    """What came of one login: `ok` if the client says that it logged in and out; with xmpptap
    `session` is what `list --json` says of it, `labels` those of what passed."""

    def __init__(self, ok, text, session=None, labels=(), explained=""):
        self.ok = ok
        self.text = text
        self.session = session or {}
        self.labels = labels
        self.explained = explained
        self.fault = None

    @property
    def verdict(self):
        return self.session.get("verdict", "")

    def judge(self, direct, must):
        """Sets `fault` to what must not be, given what came of the login without xmpptap, and what
        must stand in the cell."""
        if self.ok and self is not direct and self.session.get("ok") is not True:
            self.fault = f"logged in, and the verdict is {self.verdict or 'missing'}"
        elif direct.ok and not self.ok and self.verdict not in CAUSES:
            self.fault = f"{self.text}; the verdict is {self.verdict or 'missing'}"
        elif absent := {*must.split()} - {*str(self).split()}:
            self.fault = f"{self}, without {' '.join(absent)}"

    def __str__(self):
        if self.fault:
            return "FAIL"
        if not self.ok:
            return self.verdict or "no"
        zlib = "zlib" if "compression.start" in self.labels else None
        mechanism = self.session.get("mechanism", "").replace(", bridged to ", " → ")
        return " ".join(filter(None, ["ok", mechanism, zlib]))


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "said nothing"


class World:
    """The servers that are wanted, and the places in which clients run."""

    def __init__(self, folder):
        self.folder = folder
        self.servers = {}
        self.numbers = itertools.count()
        self.places = asyncio.Queue()
        self.users = []
        for place in range(AT_ONCE):
            names = {client: f"{client}-{place}" for client in CLIENTS}
            self.users += names.values()
            self.places.put_nowait(names)

    async def start(self, names, clients):
        users = [user for user in self.users if user.rpartition("-")[0] in clients]
        self.servers = {name: SERVERS[name](self.folder / name) for name in names}
        building = asyncio.to_thread(peers.build, self.folder, clients)
        await asyncio.gather(building, *(s.start(users) for s in self.servers.values()))

    async def row(self, server, client, kind, version, ways):
        """The cells of a row, by way."""
        users = await self.places.get()
        try:
            place = self, self.servers[server], server, client, kind, version
            cells = {DIRECT: await Attempt(*place, users[client]).without()}
            for way in ways:
                cells[way] = await Attempt(*place, users[client]).through(way)
            key = server, client, kind, version
            for way, cell in cells.items():
                must = MUST.get((*key, way), "ok" if key in QUICK else "")
                cell.judge(cells[DIRECT], must)
            return cells
        finally:
            self.places.put_nowait(users)

    async def stop(self):
        await asyncio.gather(*(s.stop() for s in self.servers.values()))


class Attempt:
    """One login, in a folder of its own."""

    def __init__(self, world, servers, server, client, kind, version, user):
        self.programs = world.folder
        self.folder = world.folder / str(next(world.numbers))
        self.folder.mkdir()
        self.port = servers.ports[kind, version]
        self.ca = servers.ca(version)
        self.client = client
        scheme, kind_options = KINDS[kind]
        self.upstream = f"{scheme}://127.0.0.1:{self.port}"
        self.options = (*kind_options, *OPTIONS.get((server, client), ()))
        self.jid = f"{user}@{DOMAIN}"

    async def log_in(self, port, ca):
        child = await peers.start(self.client, self.programs, self.folder, self.jid, PASSWORD,
                                  port, ca, self.options)
        try:
            text, _ = await asyncio.wait_for(child.communicate(), CLIENT_S)
        except asyncio.TimeoutError:
            return False, f"did not end within {CLIENT_S} s"
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return child.returncode == 0, last_line(text.decode(errors="replace"))

    async def without(self):
        return Cell(*await self.log_in(self.port, self.ca))

    async def through(self, way):
        tap = Tap(self.folder / "tap", WAIT_S)
        secret = self.folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        options = [o.format(jid=self.jid, password_file=secret) for o in WAYS[way]]
        try:
            await tap.start(self.upstream, "--upstream-ca", self.ca, *options)
            ok, text = await self.log_in(tap.port, tap.ca())
            await self.ended(tap)
        except AssertionError as error:
            return Cell(False, f"xmpptap does not start: {str(error).strip()}")
        finally:
            await tap.stop()
        if tap.process.returncode:
            return Cell(False, f"xmpptap: {tap.process.returncode}: {tap.messages()[-500:]}")
        sessions = [json.loads(s) for s in tap.run("list", "--json", tap.archive).splitlines()]
        if not sessions:
            return Cell(ok, text)
        session = sessions[-1]
        labels = {record.get("label") for record in tap.records()[session["session"]]}
        explained = tap.run("explain", "-d", tap.archive, session["session"])
        return Cell(ok, text, session, labels, explained)

    @staticmethod
    async def ended(tap):
        """Every session has its end in the archive; one that does not get there is stopped."""
        def all_ended():
            return all(s[-1]["event"] == "end" for s in tap.records().values())
        try:
            await tap.until(all_ended, "the sessions' ends")
        except TimeoutError:
            pass


# ---- what is printed ----

class Table:
    """Rows by (server, client, kind, version)."""

    def __init__(self, names, rows, ways):
        self.names = names  # as printed, with versions
        self.rows = rows
        self.ways = ways

    def notes(self):
        """Numbered, each of them once: the sentence behind each cell that did not log in."""
        notes = {}
        for cells in self.rows.values():
            for cell in cells.values():
                text = self.note(cell)
                if text:
                    notes.setdefault(text, len(notes) + 1)
        return notes

    @staticmethod
    def note(cell):
        if cell.fault:
            return f"FAIL: {cell.fault}"
        if cell.ok:
            return None
        return f"{cell.verdict}: {cell.session['sentence']}" if cell.verdict else cell.text

    def lines(self):
        notes = self.notes()
        yield ["server", "client", "", "TLS", DIRECT, *self.ways]
        for (server, client, kind, version), cells in self.rows.items():
            words = [f"{cell} [{notes[self.note(cell)]}]" if self.note(cell) else str(cell)
                     for cell in cells.values()]
            yield [self.names[server], self.names[client], kind, version, *words]

    def text(self):
        lines = list(self.lines())
        widths = [max(map(len, column)) for column in zip(*lines)]
        for line in lines:
            yield "  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
        yield ""
        for note, number in self.notes().items():
            yield f"[{number}] {note}"

    def markdown(self):
        head, *lines = self.lines()
        for line in head, ["---"] * len(head), *lines:
            yield "| " + " | ".join(line) + " |"
        yield ""
        for note, number in self.notes().items():
            yield f"- [{number}] {note}"


def tap_line(key, way, cell):
    name = " ".join(key) + f", {way}"
    if cell.fault:
        return f"not ok {name}: {cell.fault}"
    return f"ok {name}: {cell}"


# ---- the whole ----

def chosen(arguments):
    """The rows, and what is skipped because it is not installed."""
    rows = [key for key in itertools.product(SERVERS, CLIENTS, KINDS, VERSIONS)
            if (not arguments.quick or key in QUICK)
            and all(any(word.lower() in part.lower() for part in key) for word in arguments.words)]
    wanted = dict.fromkeys(name for key in rows for name in key[:2])
    names = {name: peers.VERSIONS[name]() for name in wanted}
    missing = [name for name in wanted if not names[name]]
    return [key for key in rows if not {*key[:2]} & {*missing}], names, missing


def show(key, cells, arguments):
    """What is printed as soon as a row is there."""
    for way, cell in cells.items():
        if arguments.tap:
            print(tap_line(key, way, cell), flush=True)
        if cell.fault or (arguments.verbose and not cell.ok):
            print(f"---- {', '.join(key)}, {way}: {cell.text}\n{cell.explained}".rstrip(),
                  file=sys.stdout if arguments.tap else sys.stderr, flush=True)


async def run(arguments, folder):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    keys, names, missing = chosen(arguments)
    ways = [way for way in WAYS if arguments.way in (None, way)]
    for name in missing:
        print(f"skipped {name}: not installed", flush=True)
    world = World(folder)
    try:
        await world.start(dict.fromkeys(key[0] for key in keys), {key[1] for key in keys})

        async def row(key):
            cells = await world.row(*key, ways)
            show(key, cells, arguments)
            return key, cells
        rows = dict(await asyncio.gather(*map(row, keys)))
    finally:
        await world.stop()
    if not arguments.tap:
        table = Table(names, rows, ways)
        print("\n".join(table.markdown() if arguments.markdown else table.text()))
    return any(cell.fault for cells in rows.values() for cell in cells.values())


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in "quick", "markdown", "tap", "verbose":
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--way", choices=[DIRECT, *WAYS])
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args(words)
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM} is not there; build it, or name it with $XMPPTAP")
    folder = tempfile.mkdtemp(prefix="xmpptap-matrix.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        return 1 if asyncio.run(run(arguments, pathlib.Path(folder))) else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""The client libraries' own integration tests with `xmpptap serve`, as a table.

    /usr/bin/python3 -B tests/interop/own_tests.py [--markdown] [--verbose] [--server SERVER]
        [--slixmpp DIR] [--aioxmpp DIR] [WORD...]

slixmpp's itests/ and aioxmpp's tests/*/test_e2e.py, as far as they need client-to-server alone on
one server, in both profiles, with accounts made for them, certificates checked. They are read from
DIR, a source tree of the library, else from Debian's source package, which apt-get fetches into
build/interop/sources; what cannot be had is skipped and named. The libraries are those installed.

What is not `ok` must be in EXPLAINED, else the exit status is 1. With WORDs only tests that have
each of them in their names; a library's name is one. --server prosody: the same with Prosody behind `xmpptap proxy`. --verbose
prints what the failed tests say. $XMPPTAP names the program (default ./xmpptap).
"""

import argparse
import asyncio
import fnmatch
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import peers  # noqa: E402
from served import DOMAIN, PASSWORD, PROFILES, REFERENCE, served  # noqa: E402
from tap import PROGRAM  # noqa: E402

SOURCES = HERE.parents[1] / "build" / "interop" / "sources"
WAIT_S = 15
TEST_S = 8  # one test
RUN_S = 400
# aioxmpp's tests take it for granted that an account is new.
USERS = [f"user{number}" for number in range(1, 201)]
OK, SKIPPED = "ok", "skipped"

# Why a test cannot pass, or is not run, by `LIBRARY FILE.TEST PROFILE`; the first that fits.
ROOMS = "needs rooms (XEP-0045), a component besides the server"
UPLOAD = "needs HTTP upload (XEP-0363), a component and a web server"
EXPLAINED = {
    "slixmpp test_mam.*": "the embedded server keeps no archive of messages (XEP-0313)",
    "slixmpp test_moderate.*": ROOMS,
    "slixmpp test_muc.*": ROOMS,
    "slixmpp test_httpupload.*": UPLOAD,
    "aioxmpp muc.*": ROOMS,
    "aioxmpp httpupload.*": UPLOAD,
    "aioxmpp pubsub.*": "needs nodes at the server or a component (XEP-0060); PEP will not do",
    "aioxmpp adhoc.test_* documented": "the documented server says that it has commands (XEP-0050),"
                                       " and so does this one; there are none",
    "aioxmpp adhoc.test_*": "the embedded server has no commands, and does not say so (XEP-0050)",
    "aioxmpp blocking.* documented": "the documented server does not say that it blocks (XEP-0191)",
    "aioxmpp pep.test_publish_* documented": "the documented server does not say that it takes"
                                             " publish-options (XEP-0060 section 7.1.5)",
    "aioxmpp basic.test_handle_*": "the test leaves itself out where there is stream management",
}
NOT_RUN = ("test_muc", "test_moderate", "test_httpupload")  # of slixmpp: they do not look first


def explanation(name, profile):
    return next((why for pattern, why in EXPLAINED.items()
                 if fnmatch.fnmatchcase(f"{name} {profile}", pattern)
                 or fnmatch.fnmatchcase(name, pattern)), None)


# ---- sources ----

def source_lists(folder):
    """The system's package sources, as sources of source packages."""
    for path in (pathlib.Path("/etc/apt/sources.list"),
                 *pathlib.Path("/etc/apt/sources.list.d").glob("*")):
        if path.is_file() and "debian" in (text := path.read_text()):
            lines = [line.replace("Types: deb", "Types: deb-src", 1) if line == "Types: deb"
                     else "deb-src " + line[4:] if line.startswith("deb ") else line
                     for line in text.splitlines()]
            (folder / path.name).write_text("\n".join(lines) + "\n")


def fetch(package):
    """The unpacked source package, in a folder of its own; None if it cannot be had."""
    folder = SOURCES / package
    if not (folder / "tree").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        for name in "sources", "lists/partial", "cache/archives/partial":
            (folder / name).mkdir(parents=True)
        source_lists(folder / "sources")
        options = [f"-oDir::Etc::sourcelist=/dev/null", f"-oDir::Etc::sourceparts={folder}/sources",
                   f"-oDir::State::lists={folder}/lists", f"-oDir::Cache={folder}/cache",
                   "-oAPT::Sandbox::User=root", "-qq"]
        for command in ["update"], ["source", "--download-only", package]:
            # What it lacks it says by its status; the upstream tarball may be there all the same.
            subprocess.run(["apt-get", *options, *command], cwd=folder, timeout=RUN_S,
                           capture_output=True)
        archives = list(folder.glob("*.orig.tar.*"))
        if not archives:
            return None
        (folder / "tree").mkdir()
        subprocess.run(["tar", "xf", archives[0], "-C", folder / "tree"], check=True, timeout=60)
    inner = list((folder / "tree").iterdir())
    return inner[0] if len(inner) == 1 else folder / "tree"


async def run(command, folder, **variables):
    child = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, env=dict(os.environ, **variables),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        text, _ = await asyncio.wait_for(child.communicate(), RUN_S)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return text.decode(errors="replace")


# ---- slixmpp ----

class Results(unittest.TestResult):
    """A line of JSON a test."""

    def say(self, test, outcome, detail=""):
        *_, module, _, name = test.id().split(".")
        print(json.dumps([f"{module}.{name}", outcome, detail]), flush=True)

    def addSuccess(self, test):
        self.say(test, OK)

    def addSkip(self, test, reason):
        self.say(test, SKIPPED, reason)

    def addError(self, test, error):
        self.say(test, "FAIL", self._exc_info_to_string(error, test))

    addFailure = addError


def limit(test):
    """Some of slixmpp's tests wait for ever."""
    def limited(method):
        async def run():
            await asyncio.wait_for(method(), TEST_S)
        return run
    for name in "asyncSetUp", test.id().rpartition(".")[2]:
        setattr(test, name, limited(getattr(test, name)))


def run_itests(sources, port, ca):
    """In a process of its own: slixmpp's tests go to the port, and trust the CA."""
    import slixmpp
    from slixmpp.test import integration

    class Client(slixmpp.ClientXMPP):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.ca_certs = ca

        async def _pick_dns_answer(self, *_):
            """None: no name is looked up."""

        async def start_tls(self):
            self.default_domain = self.boundjid.host  # the name sent and checked
            return await super().start_tls()

        def connect(self, address=(), **kwargs):
            kwargs.setdefault("force_starttls", True)
            return super().connect(address or ("127.0.0.1", int(port)), **kwargs)

    integration.ClientXMPP = Client
    sys.path.insert(0, sources)
    for path in sorted(pathlib.Path(sources, "itests").glob("test_*.py")):
        if path.stem not in NOT_RUN:
            suite = importlib.import_module(f"itests.{path.stem}").suite
            for test in suite:
                limit(test)
            suite.run(Results())


async def slixmpp_results(sources, server, _profile):
    text = await run([*peers.PYTHON, __file__, "--itests", sources, server.tap.port,
                      server.tap.ca()], server.folder,
                     CI_ACCOUNT1=f"{USERS[0]}@{DOMAIN}", CI_ACCOUNT1_PASSWORD=PASSWORD,
                     CI_ACCOUNT2=f"{USERS[1]}@{DOMAIN}", CI_ACCOUNT2_PASSWORD=PASSWORD)
    rows = [json.loads(line) for line in text.splitlines() if line.startswith('["')]
    assert rows, text
    rows += [[f"{name}.*", SKIPPED, "not run"] for name in NOT_RUN]
    return rows


# ---- aioxmpp ----

def provisioner(server, profile):
    if profile == "documented":
        name, more = "aioxmpp.e2etest.provision.AnyProvisioner", ""
    else:
        name, more = "provision.NewAccounts", f"accounts={[(u, PASSWORD) for u in USERS]}\n"
    return (f"[global]\nprovisioner={name}\ntimeout={TEST_S}\n\n[{name}]\nhost=127.0.0.1\n"
            f"domain={DOMAIN}\nport={server.tap.port}\n{more}")


def junit_rows(path):
    for case in ElementTree.parse(path).iter("testcase"):
        folder = case.get("classname").partition(".test_e2e")[0].rpartition(".")[2]
        name = f"{folder.replace('tests', 'basic')}.{case.get('name')}"
        outcome, detail = OK, ""
        for child in case:
            if child.tag in ("skipped", "failure", "error"):
                outcome = SKIPPED if child.tag == "skipped" else "FAIL"
                detail = "\n".join(filter(None, (child.text, child.get("message"))))
        yield [name, outcome, detail]


async def aioxmpp_results(sources, server, profile):
    config, result = server.folder / "e2etest.ini", server.folder / "result.xml"
    config.write_text(provisioner(server, profile))
    tests = [p.relative_to(sources) for p in sorted(sources.glob("tests/**/test_e2e.py"))]
    text = await run(["/usr/bin/python3", "-B", "-W", "ignore", "-m", "pytest", "-q",
                      "-p", "no:cacheprovider", "-p", "aioxmpp.e2etest", "--e2etest-config", config,
                      f"--junitxml={result}", *tests], sources, SSL_CERT_FILE=str(server.tap.ca()),
                     PYTHONPATH=str(HERE / "own"))
    assert result.exists(), text
    return list(junit_rows(result))


# ---- the table ----

def gist(detail):
    """The stanza error in it, or its last line."""
    if error := re.search(r'<([a-z-]+) xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"', detail):
        return error[1]
    return (detail.strip().splitlines() or ["said nothing"])[-1]


LIBRARIES = {"slixmpp": ("slixmpp", slixmpp_results),
             "aioxmpp": ("python-aioxmpp", aioxmpp_results)}


class Table:
    """Outcomes by `LIBRARY TEST` and profile."""

    def __init__(self, profiles):
        self.profiles = profiles
        self.rows = {}

    def add(self, library, profile, rows):
        for name, outcome, detail in rows:
            self.rows.setdefault(f"{library} {name}", {})[profile] = outcome, detail or ""

    def why(self, name, profile, outcome, detail):
        if outcome == OK:
            return None
        kind = SKIPPED if outcome == SKIPPED else "UNEXPLAINED"
        return explanation(name, profile) or f"{kind}: {gist(detail)}"

    def cells(self, name, notes):
        for profile in self.profiles:
            outcome, detail = self.rows[name].get(profile, (SKIPPED, "not there"))
            why = self.why(name, profile, outcome, detail)
            yield outcome + (f" [{notes.setdefault(why, len(notes) + 1)}]" if why else "")

    def lines(self, notes):
        """A file's tests of which the same came are one line."""
        yield ["tests", "", *self.profiles]
        groups = {}
        for name in self.rows:
            key = (name.partition(".")[0], *self.cells(name, notes))
            groups.setdefault(key, []).append(name.partition(".")[2])
        for (file, *cells), names in groups.items():
            whole = sum(key[0] == file for key in groups) == 1
            number = "" if names == ["*"] else str(len(names))
            yield [file if whole else f"{file}: {', '.join(names)}", number, *cells]

    def show(self, markdown):
        notes = {}
        head, *lines = self.lines(notes)
        if markdown:
            for line in head, ["---"] * len(head), *lines:
                print("| " + " | ".join(line) + " |")
        else:
            widths = [max(map(len, column)) for column in zip(head, *lines)]
            for line in head, *lines:
                print("  ".join(w.ljust(n) for w, n in zip(line, widths)).rstrip())
        print()
        for note, number in notes.items():
            print(f"- [{number}] {note}" if markdown else f"[{number}] {note}")
        return not any(note.startswith("UNEXPLAINED") for note in notes)


async def results(library, sources, profile, folder):
    folder = folder / f"{library}-{profile}"
    server = served(folder, profile, {f"{user}@{DOMAIN}": [] for user in USERS}, WAIT_S)
    try:
        await server.start()
        return await LIBRARIES[library][1](sources, server, profile)
    finally:
        await server.stop()


async def main(arguments, folder):
    profiles = [arguments.server] if arguments.server else PROFILES
    table = Table(profiles)
    for library in {*LIBRARIES} & {*arguments.words} or LIBRARIES:
        package, _ = LIBRARIES[library]
        given = getattr(arguments, library)
        sources = given.resolve() if given else fetch(package)
        version = peers.VERSIONS[library]()
        if not version or not sources:
            print(f"skipped {library}: {'not installed' if not version else 'no source tree'}")
            continue
        print(f"{version}", file=sys.stderr, flush=True)
        for profile in profiles:
            rows = await results(library, sources, profile, folder)
            table.add(library, profile, [row for row in rows if all(
                word in f"{library} {row[0]} {profile}" for word in arguments.words)])
    if arguments.verbose:
        for name, outcomes in table.rows.items():
            for profile, (outcome, detail) in outcomes.items():
                if outcome == "FAIL":
                    print(f"---- {name}, {profile}\n{detail}")
    return 0 if table.show(arguments.markdown) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--itests"]:
        sys.exit(run_itests(*sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--server", choices=[REFERENCE])
    for name in LIBRARIES:
        parser.add_argument(f"--{name}", type=pathlib.Path, metavar="DIR")
    parser.add_argument("words", nargs="*", metavar="WORD")
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM} is not there; build it, or name it with $XMPPTAP")
    place = tempfile.mkdtemp(prefix="xmpptap-own.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        sys.exit(asyncio.run(main(parser.parse_args(), pathlib.Path(place))))
    finally:
        shutil.rmtree(place, ignore_errors=True)

"""Redirected clients: REDIRECT and TPROXY, IPv4 and IPv6, by the very rules of docs/transparent.md.

A client, a router with xmpptap, and a server, each in a network namespace of its own, made and
removed here. slixmpp and Prosody know nothing of the proxy; xmpptap is nobody's user and has the
one capability that the document names. Prints `ok NAME` and `not ok NAME` lines, or one line
`skipped ...` where the machine cannot do it. $XMPPTAP names the program (default ./xmpptap).
"""

import asyncio
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

from prosody import Prosody
from tap import PROGRAM, Tap

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parents[1] / "docs" / "transparent.md"
CLIENT = HERE / "clients" / "slixmpp_client.py"
WAIT_S = 20
ALICE, PASSWORD = "alice@xmpp.example", "correct-horse-battery"
USER = 64299     # xmpptap's, where the document says `xmpptap`; no such user need exist
PORT, DIRECT_PORT = 5222, 5223  # the namespaces are ours alone
OPENER = """import os, socket, sys
s = socket.create_server(("::", 5299), family=socket.AF_INET6, dualstack_ipv6=True)
s.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])"""
NET = {4: {"client": "192.0.2.2", "inside": "192.0.2.1",
           "outside": "198.51.100.1", "server": "198.51.100.2"},
       6: {"client": "2001:db8:1::2", "inside": "2001:db8:1::1",
           "outside": "2001:db8:2::1", "server": "2001:db8:2::2"}}


def run(*words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=WAIT_S,
                          **options)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr or done.stdout}")
    return done.stdout


def bracketed(address):
    return f"[{address}]" if ":" in address else address


# ---- the network ----

class Network:
    """client -- (inside) router (outside) -- server, as namespaces with names of their own."""

    def __init__(self):
        self.names = {n: f"xmpptap-{os.getpid()}-{n}" for n in ("client", "router", "server")}

    def make(self):
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        self._cable("client", "client", "inside", "eth1", 24)
        self._cable("server", "server", "outside", "eth0", 24)
        for name in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
            self.run("router", "sh", "-c", f"echo 1 >/proc/sys/net/{name}")

    def _cable(self, end, address, router_address, router_device, bits):
        name, router = self.names[end], self.names["router"]
        run("ip", "-n", router, "link", "add", router_device, "type", "veth",
            "peer", "name", "eth0", "netns", name)
        for where, device, role in ((name, "eth0", address),
                                    (router, router_device, router_address)):
            run("ip", "-n", where, "addr", "add", f"{NET[4][role]}/{bits}", "dev", device)
            run("ip", "-n", where, "addr", "add", f"{NET[6][role]}/64", "dev", device, "nodad")
            run("ip", "-n", where, "link", "set", device, "up")
        for version in 4, 6:
            run("ip", f"-{version}", "-n", name, "route", "add", "default",
                "via", NET[version][router_address])

    def enter(self, place):
        return ["ip", "netns", "exec", self.names[place]]

    def run(self, place, *words, **options):
        return run(*self.enter(place), *words, **options)

    def peers_of_server(self, port):
        """Addresses of those who are connected to the server now."""
        text = self.run("server", "ss", "-Htn", "state", "established", f"sport = :{port}")
        return [line.split()[-1] for line in text.splitlines()]

    def remove(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=WAIT_S)


def missing():
    """Why this machine cannot do it; None if it can."""
    if os.geteuid():
        return "only root makes network namespaces"
    for program in "ip", "nft", "setpriv", "ss":
        if not shutil.which(program):
            return f"{program} is not installed (iproute2, nftables, util-linux)"
    probe = f"xmpptap-{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", probe)
        run("ip", "netns", "exec", probe, "nft", "add table inet probe; add chain inet probe nat "
            "{ type nat hook output priority -100; }")
    except RuntimeError as error:
        return f"the kernel does not let us: {' '.join(str(error).split())[-200:]}"
    finally:
        subprocess.run(["ip", "netns", "del", probe], capture_output=True, timeout=WAIT_S)
    return None


# ---- the rules ----

def rules(kind, name):
    """A block of the document, `kind` "test" or "undo", for this network."""
    found = re.search(rf"<!-- {kind}: {name} -->\n```sh\n(.*?)```", RULES.read_text(), re.S)
    assert found, f"{RULES.name} has no block `{kind}: {name}`"
    return re.sub(r'(skuid != )"xmpptap"|(--uid-owner )xmpptap',
                  lambda m: f"{m[1] or m[2]}{USER}", found[1])


def state(network):
    """All that rules can change: to see that what was done is undone."""
    said = [line for line in network.run("router", "nft", "list", "tables").splitlines()
            if "xmpptap" in line]
    for save in "iptables-save", "ip6tables-save":
        if shutil.which(save):
            said += [line for line in network.run("router", save).splitlines() if line[0] == "-"]
    for version in "-4", "-6":
        said.append(network.run("router", "ip", version, "rule", "show"))
        routes = network.run("router", "ip", version, "route", "show", "table", "all")
        said += [line for line in routes.splitlines() if "table 100" in line]
    return "\n".join(said)


# ---- who takes part ----

class Server(Prosody):
    """In its namespace, on the port of XMPP."""

    def __init__(self, folder, network):
        super().__init__(folder, interfaces='{ "198.51.100.2", "2001:db8:2::2" }',
                         c2s_direct_tls_ports=f"{{ {DIRECT_PORT} }}", c2s_direct_tls_ssl=
                         f'{{ certificate = "{folder}/xmpp.example.crt", '
                         f'key = "{folder}/xmpp.example.key" }}')
        self.network = network

    async def start(self):
        self.configure(PORT)
        self.log.write_text("")
        self.process = await asyncio.create_subprocess_exec(
            *self.network.enter("server"), "prosody", "--config", self.config, "-F",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(WAIT_S * 20):
            text = self.log.read_text()
            if re.search(rf"Activated service 'c2s' on .*198\.51\.100\.2\]:{PORT}", text):
                return
            if self.process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        raise RuntimeError("prosody does not start:\n" + self.log.read_text())


class Router(Tap):
    """xmpptap in the router's namespace, as nobody's user, with CAP_NET_RAW or nothing."""

    def __init__(self, folder, network):
        super().__init__(folder, WAIT_S)
        os.chown(folder, USER, USER)
        self.program = folder / "xmpptap"
        shutil.copy(PROGRAM, self.program)
        self.network = network

    def run(self, *args):
        return run(self.program, *args, env=self._env, user=USER, group=USER, extra_groups=[])

    async def start(self, mode, *options, opener=()):
        """`opener`: a command that opens the socket and becomes the rest."""
        capability = "-all" if mode == "redirect" or opener else "-all,+net_raw"
        listen = () if opener else ("-l", "[::]:5299")
        self.process = await asyncio.create_subprocess_exec(
            *self.network.enter("router"), *opener, "setpriv", f"--reuid={USER}", f"--regid={USER}",
            "--clear-groups", f"--inh-caps={capability}", f"--ambient-caps={capability}",
            f"--bounding-set={capability}", "--no-new-privs",
            self.program, "proxy", f"--transparent={mode}", *listen,
            "--ca-dir", self.folder / "ca", "-d", self.archive, *map(str, options),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._env)
        self._readers = [asyncio.ensure_future(self._collect(self.process.stdout, self.stdout)),
                         asyncio.ensure_future(self._collect(self.process.stderr, self.stderr))]
        await self.until(lambda: self.process.returncode is not None or
                         self.says_now('msg="listening"'), "the message that it listens")
        assert self.process.returncode is None, self.messages()


class World:
    def __init__(self, folder):
        self.folder = folder
        self.network = Network()
        self.server = None
        self.tap = None
        self.children = []
        self.taps = 0

    async def start(self):
        os.chmod(self.folder, 0o711)
        self.network.make()
        self.server = Server(self.folder / "prosody", self.network)
        await self.server.start()
        self.server.register(ALICE, PASSWORD)
        ca = self.folder / "server-ca.crt"
        shutil.copy(self.server.ca, ca)
        os.chmod(ca, 0o644)
        self.server_ca = ca

    async def proxy(self, mode, *options, **how):
        self.tap = Router(self.folder / f"tap{self.taps}", self.network)
        self.taps += 1
        await self.tap.start(mode, "--upstream-ca", self.server_ca, *options, **how)
        return self.tap

    async def client(self, place, version, *options):
        """One that believes that it talks to the server."""
        port = DIRECT_PORT if "direct-tls" in options else PORT
        child = await asyncio.create_subprocess_exec(
            *self.network.enter(place), "/usr/bin/python3", "-B", CLIENT, ALICE, PASSWORD,
            NET[version]["server"], str(port), self.tap.ca(), "stay", *options, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.children.append(child)
        return child

    async def log_in(self, place, version, *options):
        """A client that stays logged in."""
        child = await self.client(place, version, *options)
        said = []
        while line := await asyncio.wait_for(child.stdout.readline(), WAIT_S):
            if line == b"talked\n":
                return
            said.append(line.decode(errors="replace"))
        raise AssertionError("".join(said))

    async def end(self):
        """What one test has begun; the session ends with the proxy."""
        if self.tap:
            await self.tap.stop()
        for child in self.children:
            if child.returncode is None:
                child.kill()
                await child.wait()
        self.children.clear()
        self.tap = None

    async def stop(self):
        try:
            await self.end()
            if self.server:
                await self.server.stop()
        finally:
            self.network.remove()


# ---- tests ----

def address_of(text):
    return text.rsplit(":", 1)[0].strip("[]")


def sessions_by_version(records):
    """One each: rules that loop would have made more of them."""
    found = {6 if s[0]["upstream"].count(":") > 2 else 4: s for s in records.values()}
    assert len(records) == 2 == len(found), f"{len(records)} sessions"
    return found


async def logs_in(world, where, mode, tool, *options, **how):
    """By these rules logins work, IPv4 and IPv6, through xmpptap, and all of it can be undone."""
    port = DIRECT_PORT if "direct-tls" in options else PORT
    name = f"{where} {mode.partition('-')[0]} {tool}"
    place = "client" if where == "router" else "router"
    client = {v: NET[v]["client" if where == "router" else "outside"] for v in NET}
    seen = {v: NET[v]["client" if mode == "tproxy-spoof" else "outside"] for v in NET}
    before = state(world.network)
    tap = await world.proxy(mode, **how)
    world.network.run("router", "sh", "-e", input=rules("test", name))
    try:
        await asyncio.gather(*(world.log_in(place, v, *options) for v in NET))
        peers = sorted(map(address_of, world.network.peers_of_server(port)))
        assert peers == sorted(seen.values()), f"the server sees {peers}, not {seen}"
    finally:
        world.network.run("router", "sh", "-e", input=rules("undo", name))
    await world.end()
    for v, session in sessions_by_version(tap.records()).items():
        assert session[0]["upstream"] == f"tcp://{bracketed(NET[v]['server'])}:{port}", session[0]
        assert address_of(session[0]["client"]) == client[v], session[0]
        assert session[-1]["account"] == ALICE, session[-1]
    after = state(world.network)
    assert after == before, f"not undone: {before}\n---- now\n{after}"


async def direct_connection_is_a_loop(world, mode):
    tap = await world.proxy(mode)
    for version in NET:
        target = NET[version]["inside"]
        world.network.run("client", "/usr/bin/python3", "-c", "import socket, sys\n"
                          f"s = socket.create_connection(('{target}', 5299), {WAIT_S})\n"
                          "s.sendall(b'<')\nsys.exit(s.recv(1) != b'')")
        await tap.says(rf"reason=loop[^\n]*{re.escape(bracketed(target))}:5299 itself")
    assert await tap.stop() == 0, tap.messages()


async def own_connections_come_back(world, workers):
    """Rules that leave nobody out: xmpptap ends the circle with a word, whichever worker connects
    and whichever one is connected to."""
    tap = await world.proxy("redirect", "--workers", workers)
    script = re.sub(r"meta skuid != \d+", "", rules("test", "own redirect nft"))
    world.network.run("router", "sh", "-e", input=script)
    try:
        child = await world.client("router", 4)
        await tap.says(r"reason=loop[^\n]*xmpptap's own connection to 198\.51\.100\.2:5222")
        child.kill()
    finally:
        world.network.run("router", "sh", "-e", input=rules("undo", "own redirect nft"))
    assert await tap.stop() == 0, tap.messages()
    begun = tap.messages().count("session begins")
    assert begun <= 2 * tap.messages().count("reason=loop"), f"{begun} sessions"


async def without_the_capability(world):
    """It does not start, and says what it needs."""
    tap = Router(world.folder / "none", world.network)
    for mode in "tproxy", "tproxy-spoof":
        done = subprocess.run(
            [*map(str, [*world.network.enter("router"), "setpriv", f"--reuid={USER}",
                        "--clear-groups", f"--regid={USER}", "--bounding-set=-all", tap.program,
                        "proxy", f"--transparent={mode}", "-l", "[::]:5299"])],
            capture_output=True, text=True, timeout=WAIT_S, env=dict(os.environ, HOME="/nonexistent"))
        assert done.returncode == 1 and "CAP_NET_RAW" in done.stderr, done


def all_tests():
    tools = ["nft", "iptables"] if shutil.which("iptables") else ["nft"]
    for where, modes in (("router", ("redirect", "tproxy", "tproxy-spoof")),
                         ("own", ("redirect", "tproxy"))):
        for mode in modes:
            for tool in tools:
                yield (f"{where}_{mode}_{tool}_ipv4_and_ipv6",
                       lambda w, a=(where, mode, tool): logs_in(w, *a))
    yield "router_redirect_direct_tls", lambda w: logs_in(w, "router", "redirect", "nft",
                                                          "direct-tls")
    yield "router_tproxy_inherited_socket_no_capability", lambda w: logs_in(
        w, "router", "tproxy", "nft", opener=("/usr/bin/python3", "-c", OPENER))
    for mode in "redirect", "tproxy":
        yield f"direct_{mode}", lambda w, mode=mode: direct_connection_is_a_loop(w, mode)
    for workers in 1, 2:
        yield (f"own_connections_come_back_{workers}",
               lambda w, workers=workers: own_connections_come_back(w, workers))
    yield "without_the_capability", without_the_capability


async def run_all(folder):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    failed = 0
    world = World(folder)
    try:
        await world.start()
        for name, test in all_tests():
            if sys.argv[1:] and not name.startswith(tuple(sys.argv[1:])):
                continue
            try:
                await asyncio.wait_for(test(world), 3 * WAIT_S)
                print(f"ok {name}", flush=True)
            except Exception:  # whatever it is, the others are run
                failed += 1
                print(f"not ok {name}\n{traceback.format_exc()}", flush=True)
                if world.tap:
                    print(world.tap.messages(), flush=True)
            finally:
                await world.end()
    finally:
        await world.stop()
    return failed


def main():
    why = missing()
    if why:
        print(f"skipped namespaces: {why}")
        return 0
    if not shutil.which("iptables"):
        print("skipped the rules for iptables: it is not installed")
    folder = tempfile.mkdtemp(prefix="xmpptap-namespaces.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        return 1 if asyncio.run(run_all(pathlib.Path(folder))) else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

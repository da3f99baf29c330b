"""ejabberd with a configuration, accounts and a CA of its own in a temporary folder.

Run without Erlang's distribution: no node name, no epmd, no cookie. Commands go over HTTP to
mod_http_api on loopback.
"""

import asyncio
import json
import os
import pathlib
import re
import urllib.request

from prosody import Server, free_port, make_ca, make_leaf

TEMPLATE = pathlib.Path(__file__).with_name("ejabberd.yml.in")
ERL = "/usr/bin/erl"
LIBS = next(iter(sorted(p.parents[1] for p in
                        pathlib.Path("/usr/lib").glob("*/ejabberd-*/ebin"))), None)
START_S = 60
TRIES = 3
DEFAULTS = {"max_stanza": 65536, "tls_required": "true", "zlib": "false",
            "protocol_options": "[no_sslv3]", "password_format": "plain",
            "disabled_mechanisms": "[]", "resource_conflict": "closeold",
            "auth_method": "internal", "resume_timeout": 60, "negotiation_timeout": 30}


def is_installed():
    return LIBS is not None and os.access(ERL, os.X_OK)


LISTENER = """  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: c2s
    {settings}
"""


class Ejabberd(Server):
    """`options` are names of DEFAULTS. `listeners`: more ports for clients, the settings of each (a
    dict) by its name; their ports are then in `ports`."""

    def __init__(self, folder, listeners=None, **options):
        folder.mkdir()
        self.folder = folder
        self.options = DEFAULTS | options
        self.listeners = listeners or {}
        self.ports = {}
        self.config = folder / "ejabberd.yml"
        self.log = folder / "ejabberd.log"
        self.port = self.http_port = None
        self.process = None
        self.ca = make_ca(folder, "server-ca")
        make_leaf(folder, self.ca, "xmpp.example")
        (folder / "xmpp.example.both.pem").write_text(
            (folder / "xmpp.example.crt").read_text() + (folder / "xmpp.example.key").read_text())

    def configure(self):
        self.port, self.http_port = free_port(), free_port()
        self.ports = {name: free_port() for name in self.listeners}
        more = [LISTENER.format(port=self.ports[name], settings="\n    ".join(
            f"{key}: {value}" for key, value in settings.items()))
            for name, settings in self.listeners.items()]
        values = {"folder": self.folder, "port": self.port, "http_port": self.http_port,
                  "more_listeners": "".join(more), **self.options}
        text = TEMPLATE.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name.upper()}@", str(value))
        self.config.write_text(text)

    async def start(self):
        """ejabberd cannot choose its ports itself: others are tried where ours were taken."""
        for _ in range(TRIES):
            self.configure()
            self.log.write_text("")
            env = dict(os.environ, EJABBERD_CONFIG_PATH=str(self.config), HOME=str(self.folder),
                       EJABBERD_LOG_PATH=str(self.log), ERL_LIBS=str(LIBS),
                       ERL_CRASH_DUMP=str(self.folder / "crash.dump"))
            self.process = await asyncio.create_subprocess_exec(
                ERL, "+A", "2", "-noinput", "-mnesia", "dir", f'"{self.folder}/spool"',
                "-s", "ejabberd", cwd=self.folder, env=env, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
            try:
                if await asyncio.wait_for(self._listens(), START_S):
                    return
            except asyncio.TimeoutError:
                break
            await self.stop()
        raise RuntimeError("ejabberd does not start:\n" + self.log.read_text())

    async def _listens(self):
        while self.process.returncode is None:
            text = self.log.read_text()
            ports = re.findall(r"Start accepting \w+ connections at 127.0.0.1:", text)
            if len(ports) == 2 + len(self.listeners):
                return True
            if re.search("Failed to open socket|Failed to start ejabberd", text):
                return False
            await asyncio.sleep(0.05)
        return False

    def command(self, name, **arguments):
        """A command of ejabberdctl; returns its result."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/api/{name}",
                                         json.dumps(arguments).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def register(self, jid, password):
        user, host = jid.split("@")
        self.command("register", user=user, host=host, password=password)

    def disable(self, jid):
        user, host = jid.split("@")
        self.command("ban_account", user=user, host=host, reason="unpaid bills")

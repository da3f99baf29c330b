"""Prosody with a configuration, accounts and a CA of its own in a temporary folder."""

import asyncio
import pathlib
import re
import signal
import socket
import subprocess

TEMPLATE = pathlib.Path(__file__).with_name("prosody.cfg.lua.in")
START_S = 20
STOP_S = 20
TRIES = 5
DEFAULTS = {"interfaces": '{ "127.0.0.1" }', "authentication": '"internal_plain"', "c2s_require_encryption": "true"}


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, timeout=30, capture_output=True)


def make_ca(folder, name):
    """A CA's certificate and key; returns the certificate's path."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", 2, "-subj", f"/CN={name}", "-keyout", key, "-out", certificate)
    return certificate


def make_leaf(folder, ca, domain):
    """A certificate for `domain`, signed by `ca`, where Prosody looks for it."""
    key, request = folder / f"{domain}.key", folder / f"{domain}.csr"
    extensions = folder / f"{domain}.ext"
    extensions.write_text(f"subjectAltName=DNS:{domain}\nextendedKeyUsage=serverAuth\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={domain}", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"),
            "-CAcreateserial", "-days", 2, "-extfile", extensions,
            "-out", folder / f"{domain}.crt")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server's process: `process` is None before it is started."""

    def kill(self):
        self.process.kill()

    async def stop(self):
        """In an orderly way: connected clients are told."""
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except asyncio.TimeoutError:
                self.process.kill()
                await self.process.wait()


class Prosody(Server):
    """`modules` are loaded besides the usual ones; `settings` are options of Prosody, in Lua."""

    def __init__(self, folder, modules=(), **settings):
        folder.mkdir()
        lines = [f"{name} = {value}" for name, value in (DEFAULTS | settings).items()]
        self.values = {"MODULES": "".join(f', "{name}"' for name in modules),
                       "SETTINGS": "\n".join(lines)}
        (folder / "data").mkdir()
        self.folder = folder
        self.config = folder / "prosody.cfg.lua"
        self.log = folder / "prosody.log"
        self.port = None
        self.process = None
        self.ca = make_ca(folder, "server-ca")
        make_leaf(folder, self.ca, "xmpp.example")

    def register(self, jid, password):
        user, host = jid.split("@")
        subprocess.run(["prosodyctl", "--config", self.config, "register", user, host, password],
                       check=True, timeout=30, capture_output=True)

    def configure(self, port):
        self.port = port
        text = TEMPLATE.read_text()
        values = self.values | {"FOLDER": self.folder, "PORT": port}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        self.config.write_text(text)

    async def start(self):
        """Prosody cannot choose its port itself: another one is tried where ours was taken."""
        for _ in range(TRIES):
            self.configure(free_port())
            self.log.write_text("")
            self.process = await asyncio.create_subprocess_exec(
                "prosody", "--config", self.config, "-F", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if await asyncio.wait_for(self._listens(), START_S):
                return
            await self.stop()
        raise RuntimeError("prosody does not start:\n" + self.log.read_text())

    async def says(self, text):
        while text not in self.log.read_text():
            await asyncio.sleep(0.05)

    async def _listens(self):
        while self.process.returncode is None:
            text = self.log.read_text()
            if f"Activated service 'c2s' on [127.0.0.1]:{self.port}" in text:
                return True
            if re.search("Failed to open server port|Activated service 'c2s' on no ports", text):
                return False
            await asyncio.sleep(0.02)
        return False

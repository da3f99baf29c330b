"""Addresses through load balancers: slixmpp, HAProxy, xmpptap, HAProxy again, Prosody.

The first HAProxy tells xmpptap whose connection it is, xmpptap tells the second one, which takes
nothing else. Prints `ok NAME` and `not ok NAME` lines, or one line `skipped ...` without HAProxy.
$XMPPTAP names the program (default ./xmpptap).
"""

import asyncio
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

from client import Client
from prosody import Prosody, free_port
from tap import Tap

WAIT_S = 30
ALICE, PASSWORD = "alice@xmpp.example", "correct-horse-battery"
CONFIG = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
listen clients
    bind 127.0.0.1:{front}
    server tap 127.0.0.1:{tap} {header}
listen servers
    bind 127.0.0.1:{back} accept-proxy
    log stdout format raw local0
    log-format "from %ci:%cp to %fi:%fp"
    server prosody 127.0.0.1:{server}
"""
HEADERS = {"v1": "send-proxy", "v2": "send-proxy-v2",
           "v2_with_tlvs": "send-proxy-v2 proxy-v2-options crc32c,unique-id"}


class Balancer:
    """One HAProxy in front of xmpptap and behind it."""

    def __init__(self, folder):
        folder.mkdir()
        self.config = folder / "haproxy.cfg"
        self.process = None

    async def start(self, **values):
        self.config.write_text(CONFIG.format(**values))
        self.process = await asyncio.create_subprocess_exec(
            "haproxy", "-db", "-f", self.config, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(WAIT_S * 20):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", values["back"])
                writer.close()
                return
            except OSError:
                if self.process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
        raise RuntimeError(f"haproxy: {(await self.process.stdout.read()).decode()}")

    async def says(self):
        """The next connection to the server that is over: "from ADDR:PORT to ADDR:PORT"."""
        while line := await asyncio.wait_for(self.process.stdout.readline(), WAIT_S):
            if line.startswith(b"from "):
                return line.decode().strip()
        raise AssertionError("haproxy has ended")

    async def stop(self):
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def address_is_kept(folder, prosody, name):
    """The client's own address is what each of them knows."""
    path = folder / name
    path.mkdir()
    tap, balancer = Tap(path / "tap", WAIT_S), Balancer(path / "haproxy")
    front, back = free_port(), free_port()
    client = None
    try:
        await tap.start(back, "--upstream-ca", prosody.ca, "--accept-proxy-protocol", "127.0.0.1",
                        f"--send-proxy-protocol={name[:2]}")
        await balancer.start(front=front, back=back, tap=tap.port, server=prosody.port,
                             header=HEADERS[name])
        client = Client(ALICE, PASSWORD, tap.ca(), None, WAIT_S)
        await client.log_in(front)
        address = "%s:%d" % client.transport.get_extra_info("sockname")[:2]
        await client.log_out()
        said = await balancer.says()
        assert said == f"from {address} to 127.0.0.1:{front}", f"{said}, not from {address}"
        (session,) = (await tap.ended(1)).values()
        assert session[0]["client"] == address, session[0]
        assert session[0]["listen"] == f"127.0.0.1:{front}", session[0]
        assert tap.says_now(rf"client={address} via=127\.0\.0\.1:"), tap.messages()
    except Exception:
        print(tap.messages(), flush=True)
        raise
    finally:
        if client:
            client.close()
        await balancer.stop()
        await tap.stop()


async def run_all(folder):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    failed = 0
    prosody = Prosody(folder / "prosody")
    try:
        await prosody.start()
        prosody.register(ALICE, PASSWORD)
        for name in HEADERS:
            try:
                await asyncio.wait_for(address_is_kept(folder, prosody, name), 3 * WAIT_S)
                print(f"ok address_is_kept_{name}", flush=True)
            except Exception:  # whatever it is, the others are run
                failed += 1
                print(f"not ok address_is_kept_{name}\n{traceback.format_exc()}", flush=True)
    finally:
        await prosody.stop()
    return failed


def main():
    logging.disable(logging.CRITICAL)
    if not shutil.which("haproxy"):
        print("skipped the load balancer: haproxy is not installed")
        return 0
    folder = tempfile.mkdtemp(prefix="xmpptap-balancer.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        return 1 if asyncio.run(run_all(pathlib.Path(folder))) else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

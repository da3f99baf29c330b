"""A client without a library: it sends what it is told, for what no library would send."""

import asyncio
import base64
import socket
import ssl
import struct

STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


def header(domain="xmpp.example", xmlns="jabber:client", version="1.0",
           streams="http://etherx.jabber.org/streams", declaration="<?xml version='1.0'?>"):
    """`None` for `domain` or `version`: without that attribute."""
    to = f" to='{domain}'" if domain is not None else ""
    version = f" version='{version}'" if version is not None else ""
    return f"{declaration}<stream:stream{to} xmlns='{xmlns}' xmlns:stream='{streams}'{version}>"


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def auth(mechanism, text):
    return f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{text}</auth>"


class Wire:
    def __init__(self, wait_s):
        self.wait_s = wait_s
        self.reader = self.writer = None
        self.received = b""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    def send(self, data):
        self.writer.write(data.encode() if isinstance(data, str) else data)

    async def until(self, *ends):
        """Reads up to one of `ends`, or to the end of the connection, or until nothing has come for
        long enough; returns what came."""
        got = b""
        while not any(end.encode() in got for end in ends):
            try:
                data = await asyncio.wait_for(self.reader.read(65536), self.wait_s)
            except (OSError, asyncio.TimeoutError):
                break
            if not data:
                break
            got += data
        self.received += got
        return got.decode(errors="replace")

    async def end(self):
        """Reads to the end of the connection, and closes it."""
        got = await self.until("\0")
        self.close()
        return got

    async def ask(self, data, *ends):
        self.send(data)
        return await self.until(*ends)

    async def secure(self, ca, domain="xmpp.example"):
        """From the header on, up to the features inside TLS."""
        await self.ask(header(domain), "</stream:features>")
        await self.ask(STARTTLS, "/>", "</proceed>")
        context = ssl.create_default_context(cafile=ca)
        await asyncio.wait_for(self.writer.start_tls(context, server_hostname=domain), self.wait_s)
        return await self.ask(header(domain), "</stream:features>")

    async def log_in(self, ca, user, password, resource):
        await self.secure(ca)
        await self.ask(auth("PLAIN", plain(user, password)), "/>", "</success>")
        await self.ask(header(), "</stream:features>")
        return await self.ask("<iq type='set' id='bind1'><bind xmlns='urn:ietf:params:xml:ns:"
                              f"xmpp-bind'><resource>{resource}</resource></bind></iq>", "</iq>")

    def close(self):
        self.writer.close()

    def reset(self):
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                        struct.pack("ii", 1, 0))
        self.writer.transport.abort()

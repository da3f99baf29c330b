"""A slixmpp client that keeps the bytes it sends and receives."""

import asyncio
import socket
import ssl
import xml.etree.ElementTree as ElementTree

from slixmpp import ClientXMPP


class LoginFailed(Exception):
    """The connection ended, or the account was refused, before the session started."""


class Client(ClientXMPP):
    """Made inside a running loop. `ca` is the PEM file it trusts, besides the system's CAs."""

    def __init__(self, jid, password, ca, mechanism, wait_s):
        super().__init__(jid, password, sasl_mech=mechanism)
        self.ca_certs = ca
        self.wait_s = wait_s
        self.without_tls = self.direct_tls = False
        self.sent = bytearray()
        self.received = bytearray()
        self.tls_error = None
        self.messages = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.started.set())
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("connection_failed", lambda _: self.ended.set())
        self.add_event_handler("failed_all_auth", lambda _: self.ended.set())
        self.add_event_handler("ssl_invalid_chain", self._tls_failed)
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("presence_available", self.presences.put_nowait)

    # What XMLStream calls above TLS, or above TCP while there is none.

    def send_raw(self, data):
        super().send_raw(data)
        self.sent += data.encode() if isinstance(data, str) else data

    def data_received(self, data):
        self.received += data
        super().data_received(data)

    async def _pick_dns_answer(self, *_):
        """None: slixmpp goes where log_in() says, and looks no name up."""

    async def start_tls(self):
        # Where it was given an address, slixmpp would neither send nor check a name.
        self.default_domain = self.boundjid.host
        return await super().start_tls()

    def _tls_failed(self, error):
        self.tls_error = error
        self.abort()
        self.ended.set()

    async def log_in(self, port, host="127.0.0.1"):
        self.connect((host, port), use_ssl=self.direct_tls,
                     force_starttls=not (self.without_tls or self.direct_tls),
                     disable_starttls=self.without_tls)
        if self.direct_tls:
            self.default_domain = self.boundjid.host  # the name sent and checked, as above
        waits = [asyncio.ensure_future(e.wait()) for e in (self.started, self.ended)]
        done, _ = await asyncio.wait(waits, timeout=self.wait_s,
                                     return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not done:
            raise TimeoutError(f"{self.boundjid}: neither logged in nor refused: {self.received}")
        if not self.started.is_set():
            raise LoginFailed(str(self.tls_error or bytes(self.received)))

    async def ask(self, kind, xml, to=None):
        """Sends an iq ("get" or "set") and returns the answer; an error as answer raises."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(ElementTree.fromstring(xml))
        return await iq.send(timeout=self.wait_s)

    async def next_of(self, queue):
        return await asyncio.wait_for(queue.get(), self.wait_s)

    async def log_out(self):
        self.send_presence(ptype="unavailable", pstatus="Logged out")
        self.disconnect(wait=self.wait_s)
        await asyncio.wait_for(self.ended.wait(), self.wait_s)

    def close(self):
        """For every end of a test: nothing of it goes on."""
        self.cancel_connection_attempt()
        self.abort()
        if self._run_out_filters:
            self._run_out_filters.cancel()


def tls_alert(port, domain, ca, wait_s, name=None, change=None):
    """A client that tells the other side why it does not trust it: asyncio's, and so slixmpp's,
    close without an alert. `name` is looked for in the certificate; `change` gets the context.
    Blocks; returns the error as the client sees it, None if there is none."""
    context = ssl.create_default_context(cafile=ca)
    if change:
        change(context)
    header = (f"<stream:stream to='{domain}' xmlns='jabber:client' version='1.0' "
              "xmlns:stream='http://etherx.jabber.org/streams'>")
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as s:
        def until(end):
            data = b""
            while end not in data and (piece := s.recv(4096)):
                data += piece
        s.sendall(header.encode())
        until(b"</stream:features>")
        s.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        until(b">")
        try:
            context.wrap_socket(s, server_hostname=name or domain).close()
        except ssl.SSLError as error:
            return str(error)
    return None

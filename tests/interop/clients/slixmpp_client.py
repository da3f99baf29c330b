"""A slixmpp client that logs in, talks and logs out.

    slixmpp_client.py JID PASSWORD HOST PORT CA [OPTION...]

Options: mechanism=NAME, no-tls, direct-tls (XEP-0368), sm (stream management), resume (the
connection is cut after the talk and the stream resumed), resume-after=SECONDS, large=BYTES (a
message of that size before the logout), stay (no logout: wait for the end of the connection);
contact=JID (the roster has it, it comes online, it is sent the message, and answers), card=NAME
(the own vCard is changed, and read back), card-is=NAME (it must be that one).
Prints `talked` once all answers are there, and last what happened; exit status 0 if it logged in
and out.
"""

import asyncio
import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from client import Client, LoginFailed  # noqa: E402

WAIT_S = 8


class Talker:
    def __init__(self, client, options):
        self.client = client
        self.options = options
        self.talked = False
        client.add_event_handler("stream_error", self._stream_error)
        self.stream_error = None
        client.direct_tls = "direct-tls" in options
        if "no-tls" in options:
            client.without_tls = True
            client["feature_mechanisms"].unencrypted_plain = True
            client["feature_mechanisms"].unencrypted_scram = True
        if "sm" in options or "resume" in options:
            client.register_plugin("xep_0198")
        if {"card", "card-is"} & {*options}:
            client.register_plugin("xep_0054")

    def _stream_error(self, error):
        self.stream_error = error["condition"]

    async def run(self, host, port):
        client, options = self.client, self.options
        try:
            await client.log_in(port, host)
        except LoginFailed:
            await asyncio.sleep(0.2)  # what slixmpp still has to say
            return f"not logged in: {client.tls_error or self.stream_error or 'refused or ended'}"
        contact = options.get("contact")
        await client.get_roster(timeout=WAIT_S)
        if contact and not client.client_roster.has_jid(contact):
            return f"{contact} is not in the roster"
        client.send_presence(pstatus="here")
        await self._presence_of(contact or client.boundjid.bare)
        client.send_message(contact or client.boundjid.bare, "Grüße", mtype="chat")
        await client.next_of(client.messages)
        await client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=client.boundjid.host)
        if wrong := await self._card():
            return wrong
        self.talked = True
        print("talked", flush=True)
        if "resume" in options:
            await self._resume(host, port)
        if "large" in options:
            client.send_message(client.boundjid.bare, "x" * int(options["large"]), mtype="chat")
        if "stay" in options or "large" in options:
            await asyncio.wait_for(client.ended.wait(), WAIT_S)
            await asyncio.sleep(0.2)
            return f"ended: {self.stream_error or 'without a stream error'}"
        await client.log_out()
        return "logged out"

    async def _presence_of(self, jid):
        while (await self.client.next_of(self.client.presences))["from"].bare != jid:
            pass

    async def _card(self):
        """Reads the own vCard, and changes it; returns what is wrong with it."""
        cards, me = self.client["xep_0054"], self.client.boundjid.bare

        async def name():
            answer = await cards.get_vcard(me, cached=False, timeout=WAIT_S)
            return answer["vcard_temp"]["FN"]

        must = self.options.get("card-is", self.options.get("card"))
        if must is None:
            return None
        found = await name()
        if "card" in self.options:
            card = cards.make_vcard()
            card["FN"] = must
            await cards.publish_vcard(card, timeout=WAIT_S)
            found = await name()
        return None if found == must else f"the vCard says {found!r}"

    async def _resume(self, host, port):
        """Cuts the connection, and takes up its stream (or a new one) with the next."""
        client = self.client
        came = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_resumed", lambda _: came.done() or
                                 came.set_result("resumed"))
        client.add_event_handler("session_start", lambda _: came.done() or came.set_result("new"))
        client.transport.abort()
        await asyncio.wait_for(client.ended.wait(), WAIT_S)
        client.ended.clear()
        await asyncio.sleep(float(self.options.get("resume-after", 0)))
        client.connect((host, port))
        print(await asyncio.wait_for(came, WAIT_S), flush=True)
        await client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=client.boundjid.host)


async def main(jid, password, host, port, ca, *words):
    options = dict(word.partition("=")[::2] for word in words)
    client = Client(jid, password, ca, options.get("mechanism"), WAIT_S)
    talker = Talker(client, options)
    try:
        print(await talker.run(host, int(port)))
    finally:
        client.close()
    return 0 if talker.talked else 1


if __name__ == "__main__":
    if os.environ.get("VERBOSE"):
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(*sys.argv[1:])))

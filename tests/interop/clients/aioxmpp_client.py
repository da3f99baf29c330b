"""An aioxmpp client that logs in, talks and logs out.

    aioxmpp_client.py JID PASSWORD HOST PORT CA [OPTION...]

Options: direct-tls (XEP-0368), resume (the connection is cut after the talk, and the stream resumed);
contact=JID (the roster has it, it comes online, it is sent the message, and answers), card=NAME (the
own vCard is changed, and read back), card-is=NAME (it must be that one). Trusts CA besides the
system's. Prints `talked` once all answers are there, and last what happened; exit status 0 if it
logged in and out.
"""

import asyncio
import datetime
import logging
import os
import socket
import sys
import warnings

warnings.simplefilter("ignore")  # of what is old in aioxmpp
import aioxmpp  # noqa: E402
import aioxmpp.connector  # noqa: E402
import aioxmpp.dispatcher  # noqa: E402
import aioxmpp.ping  # noqa: E402
import aioxmpp.security_layer  # noqa: E402
import aioxmpp.vcard  # noqa: E402
from lxml import etree  # noqa: E402

WAIT_S = 8
NAME = "{vcard-temp}FN"


class Wrong(Exception):
    """The server's answer is not what it must be."""


def trusting(ca):
    """What makes the context for each connection."""
    def make():
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(ca)
        return context
    return make


async def meet(client, contact):
    """The roster has come by then: aioxmpp asks for it before it calls itself connected."""
    if contact not in client.summon(aioxmpp.RosterClient).items:
        raise Wrong(f"{contact} is not in the roster")
    presences = client.summon(aioxmpp.PresenceClient)
    came = asyncio.get_running_loop().create_future()

    def on_available(jid, _stanza):
        if jid.bare() == contact and not came.done():
            came.set_result(None)

    presences.on_available.connect(on_available)
    if not presences.get_peer_resources(contact):
        await asyncio.wait_for(came, WAIT_S)


async def card_of(client, options):
    """Reads the own vCard, and changes it."""
    cards = client.summon(aioxmpp.vcard.VCardService)
    must = options.get("card-is", options.get("card"))
    if must is None:
        return
    card = await cards.get_vcard()
    if "card" in options:
        card.elements[:] = [e for e in card.elements if e.tag != NAME]
        name = etree.Element(NAME, nsmap={None: "vcard-temp"})
        name.text = must
        card.elements.append(name)
        await cards.set_vcard(card)
        card = await cards.get_vcard()
    found = [e.text for e in card.elements if e.tag == NAME]
    if found != [must]:
        raise Wrong(f"the vCard says {found}")


async def talk(client, to):
    me = client.local_jid.bare()
    came = asyncio.get_running_loop().create_future()

    def on_message(message):
        if message.body and not came.done():
            came.set_result(None)

    client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(
        aioxmpp.MessageType.CHAT, None, on_message)
    note = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to or me)
    note.body[None] = "Grüße"
    await client.send(note)
    await asyncio.wait_for(came, WAIT_S)
    await asyncio.wait_for(aioxmpp.ping.ping(client, me.replace(localpart=None)), WAIT_S)


async def resume(client):
    """Cuts the connection, and asks something once the stream goes on with the next."""
    resumed = asyncio.get_running_loop().create_future()
    client.on_stream_resumed.connect(lambda: resumed.done() or resumed.set_result(None))
    client.on_stream_destroyed.connect(lambda *_: resumed.done() or
                                       resumed.set_exception(ConnectionError("not resumed")))
    client.stream._xmlstream.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    await asyncio.wait_for(resumed, WAIT_S)
    print("resumed", flush=True)
    server = client.local_jid.replace(localpart=None, resource=None)
    await asyncio.wait_for(aioxmpp.ping.ping(client, server), WAIT_S)


async def main(jid, password, host, port, ca, *words):
    options = dict(word.partition("=")[::2] for word in words)
    contact = aioxmpp.JID.fromstr(options["contact"]) if "contact" in options else None
    connector = (aioxmpp.connector.XMPPOverTLSConnector if "direct-tls" in options
                 else aioxmpp.connector.STARTTLSConnector)()
    client = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(jid),
        aioxmpp.make_security_layer(password, ssl_context_factory=trusting(ca)),
        override_peer=[(host, int(port), connector)], max_initial_attempts=1)
    client.summon(aioxmpp.RosterClient)
    if contact:
        client.summon(aioxmpp.PresenceClient)
    talked = False
    try:
        async with client.connected(timeout=datetime.timedelta(seconds=WAIT_S)):
            if contact:
                await meet(client, contact)
            await talk(client, contact)
            await card_of(client, options)
            talked = True
            print("talked", flush=True)
            if "resume" in options:
                await resume(client)
    except Exception as error:  # whatever it is, it is what happened
        print(f"{'logged' if talked else 'not logged'} in: {type(error).__name__}: {error}")
        return 1
    print("logged out")
    return 0


if __name__ == "__main__":
    if os.environ.get("VERBOSE"):
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(*sys.argv[1:])))

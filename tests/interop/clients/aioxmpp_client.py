"""An aioxmpp client that logs in, talks and logs out.

    aioxmpp_client.py JID PASSWORD HOST PORT CA [OPTION...]

Options: direct-tls (XEP-0368), resume (the connection is cut after the talk, and the stream resumed).
Trusts CA besides the system's. Prints `talked` once all answers are there, and last what happened; exit status 0 if it logged in and out.
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

WAIT_S = 8


def trusting(ca):
    """What makes the context for each connection."""
    def make():
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(ca)
        return context
    return make


async def talk(client):
    """The roster has come by then: aioxmpp asks for it before it calls itself connected."""
    me = client.local_jid.bare()
    came = asyncio.get_running_loop().create_future()

    def on_message(message):
        if message.body and not came.done():
            came.set_result(None)

    client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(
        aioxmpp.MessageType.CHAT, None, on_message)
    note = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=me)
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


async def main(jid, password, host, port, ca, *options):
    connector = (aioxmpp.connector.XMPPOverTLSConnector if "direct-tls" in options
                 else aioxmpp.connector.STARTTLSConnector)()
    client = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(jid),
        aioxmpp.make_security_layer(password, ssl_context_factory=trusting(ca)),
        override_peer=[(host, int(port), connector)], max_initial_attempts=1)
    client.summon(aioxmpp.RosterClient)
    talked = False
    try:
        async with client.connected(timeout=datetime.timedelta(seconds=WAIT_S)):
            await talk(client)
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

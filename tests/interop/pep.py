"""slixmpp clients with `xmpptap serve`: what one publishes the other hears of, and reads (XEP-0163).

Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap).
"""

import asyncio
import hashlib
import os
import sys
import xml.etree.ElementTree as ElementTree

import suite
from client import Client
from slixmpp.exceptions import IqError
from tap import Tap

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ALICE, BOB, MALLORY = (f"{name}@xmpp.example" for name in ("alice", "bob", "mallory"))
PASSWORD = "correct-horse-battery"
ACCOUNTS = f"""[{ALICE}]
password = {PASSWORD}
roster = {BOB} both Bob
[{BOB}]
password = {PASSWORD}
roster = {ALICE} both Alice
[{MALLORY}]
password = {PASSWORD}
"""
PICTURE = os.urandom(16384)
DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.tap = Tap(folder / "tap", WAIT_S)
        self.clients = []

    async def start(self):
        accounts = self.folder / "accounts"
        accounts.touch(mode=0o600)
        accounts.write_text(ACCOUNTS)
        await self.tap.start("builtin:", "--profile", "modern", "--accounts", accounts)

    async def online(self, jid, *plugins):
        """A client that has sent its presence, and a queue of the avatars that it hears of."""
        client = Client(jid, PASSWORD, self.tap.ca(), None, WAIT_S)
        for plugin in plugins:
            client.register_plugin(plugin)
        client.avatars = asyncio.Queue()
        client.add_event_handler("avatar_metadata_publish", client.avatars.put_nowait)
        self.clients.append(client)
        await client.log_in(self.tap.port)
        if "xep_0115" in client.plugin:
            await client["xep_0115"].update_caps()
        client.send_presence()
        while (await client.next_of(client.presences))["from"].full != client.boundjid.full:
            pass
        return client

    async def stop(self):
        for client in self.clients:
            client.close()
        return [await self.tap.stop()]

    def logs(self):
        yield "serve", self.tap.messages()


async def publish(client, picture):
    avatars = client["xep_0084"]
    name = hashlib.sha1(picture).hexdigest()
    await avatars.publish_avatar(picture, timeout=WAIT_S)
    await avatars.publish_avatar_metadata({"id": name, "bytes": len(picture), "type": "image/png"},
                                          timeout=WAIT_S)
    return name


def heard(message):
    assert message["from"].full == ALICE and message["type"] == "headline", message
    return message["pubsub_event"]["items"]["item"]["id"]


async def an_avatar_is_heard_of_and_fetched(world):
    alice, bob = [await world.online(jid, "xep_0084", "xep_0115") for jid in (ALICE, BOB)]
    name = await publish(alice, PICTURE)
    for client in alice, bob:
        assert heard(await client.next_of(client.avatars)) == name
    answer = await bob["xep_0084"].retrieve_avatar(ALICE, name, timeout=WAIT_S)
    assert answer["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE
    await bob.log_out()
    again = await world.online(BOB, "xep_0084", "xep_0115")
    assert heard(await again.next_of(again.avatars)) == name  # the last one, once it is there
    assert again.avatars.empty() and alice.avatars.empty()


async def a_stranger_gets_no_avatar(world):
    mallory = await world.online(MALLORY, "xep_0084", "xep_0115")
    for node in DATA, METADATA:
        try:
            answer = await mallory["xep_0060"].get_items(ALICE, node, timeout=WAIT_S)
        except IqError as error:
            assert error.condition == "not-authorized", error
            assert "presence-subscription-required" in str(error.iq), error
        else:
            raise AssertionError(answer)
    nodes = await mallory["xep_0060"].get_nodes(ALICE, timeout=WAIT_S)
    assert not nodes["disco_items"]["items"], nodes
    assert mallory.avatars.empty()


async def bookmarks_are_stored_for_the_account_alone(world):
    alice, bob = await world.online(ALICE, "xep_0060"), await world.online(BOB, "xep_0060")
    options = alice["xep_0004"].make_form(ftype="submit")
    options.add_field(var="FORM_TYPE", ftype="hidden",
                      value="http://jabber.org/protocol/pubsub#publish-options")
    for name, value in (("persist_items", "true"), ("access_model", "whitelist"),
                        ("max_items", "max"), ("send_last_published_item", "never")):
        options.add_field(var=f"pubsub#{name}", value=value)
    rooms = "tea@rooms.example", "dance & song@rooms.example"
    for room in rooms:
        payload = "<conference xmlns='urn:xmpp:bookmarks:1' name='é'><nick>A</nick></conference>"
        await alice["xep_0060"].publish(None, "urn:xmpp:bookmarks:1", id=room, options=options,
                                        payload=ElementTree.fromstring(payload), timeout=WAIT_S)
    answer = await alice["xep_0060"].get_items(None, "urn:xmpp:bookmarks:1", timeout=WAIT_S)
    items = [*answer["pubsub"]["items"]]
    assert tuple(item["id"] for item in items) == rooms, answer
    assert items[1]["payload"].get("name") == "é", answer
    await alice["xep_0060"].retract(None, "urn:xmpp:bookmarks:1", rooms[0], timeout=WAIT_S)
    answer = await alice["xep_0060"].get_items(None, "urn:xmpp:bookmarks:1", timeout=WAIT_S)
    assert [item["id"] for item in answer["pubsub"]["items"]] == [rooms[1]], answer
    try:
        answer = await bob["xep_0060"].get_items(ALICE, "urn:xmpp:bookmarks:1", timeout=WAIT_S)
    except IqError as error:
        assert "closed-node" in str(error.iq), error
    else:
        raise AssertionError(answer)


TESTS = (an_avatar_is_heard_of_and_fetched, a_stranger_gets_no_avatar,
         bookmarks_are_stored_for_the_account_alone)

if __name__ == "__main__":
    sys.exit(suite.run("pep", World, lambda _: TESTS, 4 * WAIT_S))

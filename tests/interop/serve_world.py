"""Several slixmpp clients in one `xmpptap serve`: what each sees of the others.

    /usr/bin/python3 -B tests/interop/serve_world.py [--server prosody] [WORD...]

With WORDs only tests that have each of them in their names; with --server prosody the same with
Prosody behind `xmpptap proxy`, to see whether a fault is the server's or the test's.
Prints `ok NAME` and `not ok NAME` lines; exit status 1 if anything failed. $XMPPTAP names the
program (default ./xmpptap).
"""

import argparse
import asyncio
import itertools
import os
import sys

import suite
from client import Client, LoginFailed
from served import DOMAIN, PASSWORD, REFERENCE, served

WAIT_S = 60 if os.environ.get("XMPPTAP_SANITIZED") else 15
ACCOUNTS = 50
DELAY = "{urn:xmpp:delay}delay"


class World:
    """One server in the modern profile; each test has accounts of its own, made when it asks."""

    def __init__(self, folder, profile):
        accounts = {f"user{n}@{DOMAIN}": [] for n in range(1, ACCOUNTS + 1)}
        self.reference = profile == REFERENCE
        self.server = served(folder / profile, profile, accounts, WAIT_S)
        self.tap = self.server.tap
        self.numbers = itertools.count(1)
        self.clients = []

    async def start(self):
        await self.server.start()

    def jids(self, count):
        """Accounts that none had before."""
        return [f"user{next(self.numbers)}@{DOMAIN}" for _ in range(count)]

    def client(self, jid, password=PASSWORD, mechanism=None):
        client = Client(jid, password, self.tap.ca(), mechanism, WAIT_S)
        client.auto_authorize = client.auto_subscribe = None  # the tests answer
        self.clients.append(client)
        return client

    async def bound(self, jid, **more):
        client = self.client(jid, **more)
        await client.log_in(self.tap.port)
        return client

    async def online(self, jid, priority=0, **more):
        """Has its roster, and its own presence back."""
        client = await self.bound(jid, **more)
        await client.get_roster(timeout=WAIT_S)
        client.send_presence(ppriority=priority)
        await seen(client, client.boundjid.full)
        return client

    async def stop(self):
        for client in self.clients:
            client.close()
        return [await self.server.stop()]

    def logs(self):
        return [("serve", self.server.log())]


def events(client, name):
    """What comes of a kind, from now on."""
    queue = asyncio.Queue()
    client.add_event_handler(name, queue.put_nowait)
    return queue


async def seen(client, jid):
    """Waits for the presence of a full JID."""
    while (presence := await client.next_of(client.presences))["from"].full != jid:
        pass
    return presence


async def ping(client):
    """What the server had to say before has come."""
    await client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to=DOMAIN)


async def friends(world, count=2):
    """Two accounts with a subscription both ways; returns a client of each, online."""
    one, two = [await world.online(jid) for jid in world.jids(count)]
    for asking, asked in (one, two), (two, one):
        asks, granted = events(asked, "presence_subscribe"), events(asking, "presence_subscribed")
        asking.send_presence_subscription(asked.boundjid.bare, ptype="subscribe")
        ask = await asking.next_of(asks)
        assert ask["from"].full == asking.boundjid.bare, ask
        asked.send_presence_subscription(asking.boundjid.bare, ptype="subscribed")
        await asking.next_of(granted)
        await seen(asking, asked.boundjid.full)
    return one, two


# ---- the tests ----

async def subscriptions_are_asked_for_and_granted(world):
    one, two = await friends(world)
    for mine, other in (one, two), (two, one):
        roster = await mine.ask("get", "<query xmlns='jabber:iq:roster'/>")
        items = roster["roster"]["items"]
        assert {str(jid): item["subscription"] for jid, item in items.items()} == {
            other.boundjid.bare: "both"}, roster


async def a_roster_item_is_changed_for_all_resources(world):
    jid, contact = world.jids(2)
    here, there = await world.online(jid), await world.online(jid)
    pushes = events(there, "roster_update")
    await here.update_roster(contact, name="Nurse", groups=["House", "Old & dear"], timeout=WAIT_S)
    push = await there.next_of(pushes)
    item = push["roster"]["items"][contact]
    assert (item["name"], {*item["groups"]}) == ("Nurse", {"House", "Old & dear"}), push
    await here.del_roster_item(contact)
    push = await there.next_of(pushes)
    assert push["roster"]["items"][contact]["subscription"] == "remove", push


async def who_goes_is_seen_to_go(world):
    one, two = await friends(world)
    gone = events(two, "presence_unavailable")
    await one.log_out()
    presence = await two.next_of(gone)
    assert presence["from"].full == one.boundjid.full, presence
    assert presence["status"] == "Logged out", presence


async def who_breaks_off_is_seen_to_go(world):
    one, two = await friends(world)
    gone = events(two, "presence_unavailable")
    one.transport.abort()
    presence = await two.next_of(gone)
    assert presence["from"].full == one.boundjid.full, presence


async def who_is_removed_is_told_and_sees_nothing(world):
    one, two = await friends(world)
    taken, left = events(two, "presence_unsubscribed"), events(two, "presence_unsubscribe")
    gone = events(two, "presence_unavailable")
    await one.del_roster_item(two.boundjid.bare)
    await asyncio.gather(*(two.next_of(queue) for queue in (taken, left, gone)))
    one.send_presence(pstatus="unseen")
    await ping(one)
    await ping(two)
    assert two.presences.empty(), two.presences
    assert "unseen" not in two.received.decode()


async def messages_wait_for_who_is_away(world):
    one, two = world.jids(2)
    sender = await world.online(one)
    for kind, body in ("chat", "Grüße"), ("normal", "& later"), ("headline", "news"):
        sender.send_message(two, body, mtype=kind)
    await ping(sender)
    receiver = await world.online(two)
    got = [await receiver.next_of(receiver.messages) for _ in range(2)]
    assert [m["body"] for m in got] == ["Grüße", "& later"], got
    assert all(m.xml.find(DELAY) is not None for m in got), got
    assert got[0]["from"].full == sender.boundjid.full, got[0]
    await ping(receiver)
    assert receiver.messages.empty(), receiver.messages


async def messages_go_to_the_highest_priority(world):
    one, two = world.jids(2)
    sender = await world.online(one)
    low, high, never = [await world.online(two, priority=n) for n in (1, 5, -1)]
    sender.send_message(two, "who?", mtype="chat")
    assert (await high.next_of(high.messages))["body"] == "who?"
    sender.send_message(two, "all", mtype="headline")
    sender.send_message(low.boundjid.full, "you", mtype="chat")
    assert (await high.next_of(high.messages))["body"] == "all"
    for body in "all", "you":
        assert (await low.next_of(low.messages))["body"] == body
    await ping(never)
    assert never.messages.empty(), never.messages


async def messages_to_nobody_come_back(world):
    one, = world.jids(1)
    client = await world.online(one)
    errors = events(client, "message_error")
    for to, condition in ((f"nobody@{DOMAIN}", "service-unavailable"),
                          ("somebody@elsewhere.example", "remote-server-not-found")):
        client.send_message(to, "anyone?", mtype="chat")
        error = await client.next_of(errors)
        assert (error["from"].full, error["error"]["condition"]) == (to, condition), error


async def directed_presence_needs_no_subscription(world):
    one, two = [await world.online(jid) for jid in world.jids(2)]
    gone = events(two, "presence_unavailable")
    one.send_presence(pto=two.boundjid.full, pstatus="for you")
    assert (await seen(two, one.boundjid.full))["status"] == "for you"
    one.transport.abort()
    assert (await two.next_of(gone))["from"].full == one.boundjid.full


async def a_resource_is_taken_over(world):
    one, = world.jids(1)
    old = await world.online(f"{one}/desk")
    errors = events(old, "stream_error")
    new = await world.online(f"{one}/desk")
    assert (await old.next_of(errors))["condition"] == "conflict"
    await asyncio.wait_for(old.ended.wait(), WAIT_S)
    await ping(new)
    assert new.boundjid.full == f"{one}/desk", new.boundjid


async def passwords_are_checked(world):
    one, = world.jids(1)
    for jid, password in (one, "wrong"), (f"nobody@{DOMAIN}", PASSWORD):
        for mechanism in "PLAIN", None:
            try:
                await world.bound(jid, password=password, mechanism=mechanism)
            except LoginFailed as failed:
                assert "<not-authorized/>" in str(failed), failed
            else:
                raise AssertionError(f"{jid} logged in with {password} by {mechanism}")


async def a_new_account_registers(world):
    client = world.client(f"newcomer@{DOMAIN}", "s3cret & long")
    client.register_plugin("xep_0077")
    client._always_send_everything = True  # else slixmpp 1.8 keeps iqs back until it is logged in

    async def register(_form):
        iq = client.make_iq_set()
        iq["register"]["username"], iq["register"]["password"] = "newcomer", "s3cret & long"
        await iq.send(timeout=WAIT_S)
    client.add_event_handler("register", register)
    await client.log_in(world.tap.port)
    await client["xep_0077"].change_password("another secret", timeout=WAIT_S)
    await client.log_out()
    again = await world.online(f"newcomer@{DOMAIN}", password="another secret")
    await ping(again)


async def who_is_blocked_sees_nothing(world):
    one, two = await friends(world)
    for client in one, two:
        client.register_plugin("xep_0191")
    gone, errors = events(two, "presence_unavailable"), events(two, "message_error")
    refused = events(one, "message_error")
    await one["xep_0191"].block(two.boundjid.bare, timeout=WAIT_S)
    assert (await two.next_of(gone))["from"].full == one.boundjid.full
    two.send_message(one.boundjid.bare, "hello?", mtype="chat")
    assert (await two.next_of(errors))["error"]["condition"] == "service-unavailable"
    one.send_message(two.boundjid.bare, "are you there?", mtype="chat")
    assert (await one.next_of(refused))["error"]["condition"] == "not-acceptable"
    assert one.messages.empty(), one.messages
    blocked = await one["xep_0191"].get_blocked(timeout=WAIT_S)
    assert [str(jid) for jid in blocked["blocklist"]["items"]] == [two.boundjid.bare], blocked
    await one["xep_0191"].unblock(two.boundjid.bare, timeout=WAIT_S)
    await seen(two, one.boundjid.full)
    two.send_message(one.boundjid.bare, "and now?", mtype="chat")
    assert (await one.next_of(one.messages))["body"] == "and now?"


async def a_privacy_list_holds_for_one_client(world):
    if world.reference:
        return  # Prosody has none without a module of others'
    one, two = await friends(world)
    other = await world.online(one.boundjid.bare)
    gone, errors = events(two, "presence_unavailable"), events(two, "message_error")
    await one.ask("set", f"""<query xmlns='jabber:iq:privacy'><list name='quiet'>
        <item type='jid' value='{two.boundjid.bare}' action='deny' order='1'>
            <message/><presence-out/></item></list></query>""")
    await one.ask("set", "<query xmlns='jabber:iq:privacy'><active name='quiet'/></query>")
    assert (await two.next_of(gone))["from"].full == one.boundjid.full
    two.send_message(one.boundjid.full, "hello?", mtype="chat")
    assert (await two.next_of(errors))["error"]["condition"] == "service-unavailable"
    two.send_message(one.boundjid.bare, "anybody?", mtype="chat")
    assert (await other.next_of(other.messages))["body"] == "anybody?"
    await one.ask("set", "<query xmlns='jabber:iq:privacy'><active/></query>")
    await seen(two, one.boundjid.full)
    two.send_message(one.boundjid.full, "and now?", mtype="chat")
    assert (await one.next_of(one.messages))["body"] == "and now?"


async def messages_are_copied_to_the_other_clients(world):
    jid, other = world.jids(2)
    here, there = [await world.online(jid) for _ in range(2)]
    peer = await world.online(other)
    copies = {}
    for client in here, there:
        client.register_plugin("xep_0280")
        copies[client] = {kind: events(client, f"carbon_{kind}") for kind in ("received", "sent")}
        await client["xep_0280"].enable(timeout=WAIT_S)
    here.send_message(other, "from here", mtype="chat")
    sent = await there.next_of(copies[there]["sent"])
    assert sent["carbon_sent"]["body"] == "from here", sent
    await peer.next_of(peer.messages)
    peer.send_message(here.boundjid.full, "to here", mtype="chat")
    received = await there.next_of(copies[there]["received"])
    assert received["carbon_received"]["body"] == "to here", received
    assert (await here.next_of(here.messages))["body"] == "to here"
    await ping(here)
    assert all(queue.empty() for queue in copies[here].values())


async def what_is_published_is_notified(world):
    one, two = await friends(world)
    for client in one, two:
        client.register_plugin("xep_0115")
        client.register_plugin("xep_0163")
        client.register_plugin("xep_0172")
    nicks = events(two, "user_nick_publish")
    two["xep_0163"].add_interest("http://jabber.org/protocol/nick")
    await two["xep_0115"].update_caps()
    await ping(two)
    await one["xep_0172"].publish_nick("Jule", timeout=WAIT_S)
    note = await two.next_of(nicks)
    assert note["from"].bare == one.boundjid.bare, note
    assert note["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Jule", note
    # Who comes later is told, too.
    await two.log_out()
    later = world.client(two.boundjid.bare)
    for plugin in "xep_0115", "xep_0163", "xep_0172":
        later.register_plugin(plugin)
    later["xep_0163"].add_interest("http://jabber.org/protocol/nick")
    nicks = events(later, "user_nick_publish")
    await later.log_in(world.tap.port)
    await later["xep_0115"].update_caps()
    note = await later.next_of(nicks)
    assert note["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Jule", note


TESTS = (subscriptions_are_asked_for_and_granted, a_roster_item_is_changed_for_all_resources,
         who_goes_is_seen_to_go, who_breaks_off_is_seen_to_go,
         who_is_removed_is_told_and_sees_nothing, messages_wait_for_who_is_away,
         messages_go_to_the_highest_priority, messages_to_nobody_come_back,
         directed_presence_needs_no_subscription, a_resource_is_taken_over, passwords_are_checked,
         a_new_account_registers, who_is_blocked_sees_nothing,
         a_privacy_list_holds_for_one_client,
         messages_are_copied_to_the_other_clients, what_is_published_is_notified)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=[REFERENCE], default="modern")
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args()
    return suite.run("serve-world", lambda folder: World(folder, arguments.server),
                     lambda _world: [test for test in TESTS
                                     if all(word in test.__name__ for word in arguments.words)],
                     4 * WAIT_S)


if __name__ == "__main__":
    sys.exit(main())

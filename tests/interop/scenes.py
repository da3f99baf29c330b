"""What capture.py plays: each scene is one proxy, its server and its clients."""

import asyncio
import pathlib
import ssl

from client import tls_alert
from prosody import free_port, make_ca, make_leaf, openssl
from wire import STARTTLS, auth, header, plain

SCENES = []
WRONG = "incorrect-donkey"
# ejabberd offers channel binding over any TLS, Prosody over TLS 1.2; without it gloox does what
# Prosody refuses (see prosody-gloox-gs2-mismatch).
NO_PLUS = {"ejabberd": ["no-plus"], "prosody": []}


class Scene:
    """`cases`: by a session's index the name and the comment of the case it makes."""

    def __init__(self, name, play, cases, sessions):
        self.name = name
        self.play = play
        self.cases = cases
        self.sessions = sessions


def scene(name, what, sessions=1, others=None):
    """A function that plays a scene. Its first session makes the case; `others` by index."""
    def add(play):
        cases = {0: (name, what)}
        cases.update(others or {})
        SCENES.append(Scene(name, play, cases, sessions))
        return play
    return add


def login(name, what, *options, status=0, server=None, tap=(), **client):
    """A scene of one client, which ends with this exit status."""
    async def play(run):
        await run.serve(**(server or {}))
        await run.listen(*tap)
        await run.over(await run.client(*options, **client), status)
    scene(name, what)(play)


def wire(name, what, server=None, tap=()):
    """Decorates `async def play(run, w)`: what a client without a library does."""
    def add(talk):
        async def play(run):
            await run.serve(**(server or {}))
            await run.listen(*tap)
            await talk(run, await run.wire())
        scene(name, what)(play)
        return talk
    return add


def both(add, name, what, **options):
    """The same scene with both servers."""
    def decorate(talk):
        for server in "prosody", "ejabberd":
            add(f"{server}-{name}", what, **options)(talk)
        return talk
    return decorate


# ---- logins ----

NO_SASL = '{ "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" }'
LEGACY_ALONE = {"modules": ["legacyauth"], "disable_sasl_mechanisms": NO_SASL}

for server in "prosody", "ejabberd":
    for client in "slixmpp", "strophe", "xmppjs":
        login(f"{server}-{client}-login", "A login, roster, presence, a message to oneself, a ping, "
              "a logout.")
    login(f"{server}-slixmpp-plain", "A login with PLAIN.", "mechanism=PLAIN")

login("prosody-gloox-login", "A login over TLS 1.2 on the client's side.")
login("ejabberd-gloox-login", "A login over TLS 1.2 on the client's side; the client does without "
      "channel binding.", "no-plus")
login("ejabberd-gloox-zlib", "A login with stream compression (XEP-0138): behind <compressed/> the "
      "bytes are zlib's.", "zlib", "no-plus", server={"zlib": "true"})
login("ejabberd-gloox-digest-md5", "A login with DIGEST-MD5.", "mechanism=DIGEST-MD5")
login("prosody-xmppjs-anonymous", "A login with ANONYMOUS.", "anonymous",
      server={"authentication": '"anonymous"', "accounts": ()})
login("ejabberd-xmppjs-anonymous", "A login with ANONYMOUS.", "anonymous",
      server={"auth_method": "anonymous", "accounts": ()})
login("ejabberd-strophe-legacy-auth", "A client that may use jabber:iq:auth (XEP-0078) and uses SASL.",
      "legacy-auth", jid="alice@xmpp.example/desk")
for client in "strophe", "gloox":
    login(f"prosody-{client}-legacy-auth", "A login before XMPP 1.0's way: jabber:iq:auth "
          "(XEP-0078); the server offers no SASL.", "legacy-auth", jid="alice@xmpp.example/desk",
          server=LEGACY_ALONE)
login("ejabberd-gloox-legacy-auth", "A login before XMPP 1.0's way: jabber:iq:auth (XEP-0078).",
      "legacy-auth", jid="alice@xmpp.example/desk")
login("prosody-strophe-no-tls", "A login with no TLS at all, which the server allows.", "no-tls",
      server={"c2s_require_encryption": "false", "allow_unencrypted_plain_auth": "true"})
login("ejabberd-slixmpp-no-tls", "A login with no TLS at all, which the server allows.", "no-tls",
      "mechanism=SCRAM-SHA-1", server={"tls_required": "false"})


def resuming(name, client_option, what, results, **server):
    """Two sessions: a login whose connection is cut, and what its client does then."""
    async def play(run):
        await run.serve(**server)
        await run.listen()
        await run.over(await run.client("resume", *client_option), 0)
    scene(f"{name}-resume-1", "Stream management (XEP-0198): the connection ends, the stream does "
          "not.", 2, {1: (f"{name}-{results}", what)})(play)


LATE = "The stream of the session before is gone when the client asks for it."
for client in "slixmpp", "xmppjs":
    resuming(f"prosody-{client}", (), "The stream of the session before is resumed.", "resume-2",
             modules=["smacks"])
    resuming(f"ejabberd-{client}", (), "The stream of the session before is resumed.", "resume-2")
resuming("prosody-slixmpp-late", ["resume-after=3"], LATE, "resume-2", modules=["smacks"],
         smacks_hibernation_time=1)
resuming("prosody-xmppjs-late", ["resume-after=3000"], LATE, "resume-2", modules=["smacks"],
         smacks_hibernation_time=1)
resuming("ejabberd-slixmpp-late", ["resume-after=3"], LATE, "resume-2", resume_timeout=1)
resuming("ejabberd-xmppjs-late", ["resume-after=3000"], LATE, "resume-2", resume_timeout=1)


# ---- the password, the account, the mechanism ----

for server in "prosody", "ejabberd":
    login(f"{server}-slixmpp-wrong-password-scram", "A wrong password, with SCRAM-SHA-1.",
          "mechanism=SCRAM-SHA-1", password=WRONG, status=1)
    login(f"{server}-slixmpp-wrong-password-plain", "A wrong password, with PLAIN.",
          "mechanism=PLAIN", password=WRONG, status=1)
    login(f"{server}-xmppjs-wrong-password", "A wrong password.", password=WRONG, status=1)
    login(f"{server}-gloox-wrong-password", "A wrong password.", *NO_PLUS[server],
          password=WRONG, status=1)
    login(f"{server}-strophe-wrong-password", "A wrong password: the client tries one mechanism "
          "after the other.", password=WRONG, status=1)
    login(f"{server}-slixmpp-unknown-user", "An account that there is not.",
          "mechanism=SCRAM-SHA-1", jid="nobody@xmpp.example", status=1)
    login(f"{server}-slixmpp-unknown-user-plain", "An account that there is not, with PLAIN.",
          "mechanism=PLAIN", jid="nobody@xmpp.example", status=1)
    for client in "slixmpp", "strophe", "gloox", "xmppjs":
        login(f"{server}-{client}-host-unknown", "A domain that the server does not serve.",
              jid="alice@nowhere.example", status=1)
login("ejabberd-gloox-wrong-password-digest-md5", "A wrong password, with DIGEST-MD5.",
      "mechanism=DIGEST-MD5", password=WRONG, status=1)

login("prosody-strophe-legacy-wrong-password", "A wrong password, with jabber:iq:auth.",
      "legacy-auth", jid="alice@xmpp.example/desk", password=WRONG, status=1,
      server={"modules": ["legacyauth"]})
login("ejabberd-gloox-legacy-wrong-password", "A wrong password, with jabber:iq:auth.",
      "legacy-auth", jid="alice@xmpp.example/desk", password=WRONG, status=1)
login("ejabberd-strophe-legacy-wrong-password", "A wrong password, with jabber:iq:auth.",
      "legacy-auth", jid="alice@xmpp.example/desk", password=WRONG, status=1)

login("prosody-gloox-no-common-mechanism", "The client wants a mechanism that the server does not "
      "offer, and gives up after the features.", "mechanism=DIGEST-MD5", status=1)
login("ejabberd-gloox-no-common-mechanism", "The client wants a mechanism that the server does not "
      "offer, and gives up after the features.", "mechanism=EXTERNAL", status=1)
login("prosody-slixmpp-no-common-mechanism", "The client wants a mechanism that the server does not "
      "offer.", "mechanism=DIGEST-MD5", status=1)
login("prosody-xmppjs-no-common-mechanism", "The server offers SCRAM-SHA-256 alone, which the client "
      "does not know.", status=1,
      server={"disable_sasl_mechanisms": '{ "PLAIN", "SCRAM-SHA-1" }'})
login("prosody-strophe-no-mechanism", "The server offers no mechanism at all.", status=1,
      server={"disable_sasl_mechanisms": NO_SASL})

PASS = ("--channel-binding", "pass")
login("ejabberd-gloox-channel-binding", "Channel binding (tls-unique) through a man in the middle: "
      "the server refuses.", status=1, tap=PASS)
TLS12 = '{ protocol = "tlsv1_2"; certificate = "xmpp.example.crt"; key = "xmpp.example.key" }'
login("prosody-gloox-channel-binding", "TLS 1.2 on both sides, channel binding (tls-unique) through "
      "a man in the middle: the server refuses.", status=1, server={"ssl": TLS12}, tap=PASS)
login("prosody-gloox-plus-alone", "TLS 1.2 on both sides; the client wants channel binding, which "
      "is taken out of the features.", "mechanism=SCRAM-SHA-1-PLUS", status=1,
      server={"ssl": TLS12})
login("prosody-strophe-none-left", "TLS 1.2 on both sides; the server offers nothing but channel "
      "binding, which is taken out of the features.", status=1,
      server={"ssl": TLS12, "disable_sasl_mechanisms": '{ "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256" }'})
login("prosody-slixmpp-gs2-y", "TLS 1.2 on both sides; the client has channel binding and sees none "
      "offered (gs2 flag y), which the server refuses; the password is not sent.",
      "mechanism=SCRAM-SHA-1", status=1, server={"ssl": TLS12})
login("ejabberd-gloox-no-compression", "The client wants compression, and --compression strip takes "
      "it out of the features.", "zlib", "no-plus", server={"zlib": "true"},
      tap=("--compression", "strip"))
login("prosody-gloox-gs2-mismatch", "The client does without channel binding, and what it says of "
      "that in its first and last SCRAM message differs.", "no-plus", status=1)
login("prosody-gloox-tls12-no-plus", "TLS 1.2 on both sides; the server offers channel binding, the "
      "client does without.", "no-plus", status=None, server={"ssl": TLS12})
login("prosody-slixmpp-silent-in-sasl", "TLS 1.2 on both sides: refused for its channel binding the "
      "client tries again, and Prosody, "
      "whose handler fails, says nothing.",
      status=None, server={"ssl": TLS12}, tap=PASS)
login("ejabberd-strophe-no-scram", "The server offers PLAIN and DIGEST-MD5 alone.", status=None,
      server={"disabled_mechanisms": '["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", '
                                     '"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", '
                                     '"SCRAM-SHA-512-PLUS"]'})


@both(wire, "wire-invalid-mechanism", "A mechanism that the server does not know.")
async def invalid_mechanism(run, w):
    await w.secure(run.ca)
    await w.ask(auth("X-FOREIGN", "="), "</failure>")
    w.close()


@both(wire, "wire-external-refused", "EXTERNAL without a certificate of the client.")
async def external(run, w):
    await w.secure(run.ca)
    await w.ask(auth("EXTERNAL", "="), "</failure>")
    w.close()


@both(wire, "wire-incorrect-encoding", "An initial response that is not base64.")
async def incorrect_encoding(run, w):
    await w.secure(run.ca)
    await w.ask(auth("PLAIN", "!!!"), "</failure>")
    w.close()


@both(wire, "wire-malformed-request", "SCRAM's first message without a user name.")
async def malformed_request(run, w):
    await w.secure(run.ca)
    await w.ask(auth("SCRAM-SHA-1", "bixyPW5vbmNl"), "</failure>", "</challenge>")
    w.close()


@both(wire, "wire-abort", "The client aborts SASL.")
async def abort(run, w):
    await w.secure(run.ca)
    await w.ask(auth("SCRAM-SHA-1", "biwsbj1hbGljZSxyPTAxMjM0NTY3ODlhYmNkZWY="), "</challenge>")
    await w.ask("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "</failure>")
    w.send("</stream:stream>")
    await w.end()


@both(wire, "wire-gs2-y", "The client says that the server offers no channel binding (gs2 flag y).")
async def gs2_y(run, w):
    await w.secure(run.ca)
    await w.ask(auth("SCRAM-SHA-1", "eSwsbj1hbGljZSxyPTAxMjM0NTY3ODlhYmNkZWY="), "</challenge>",
                "</failure>")
    w.close()


@wire("prosody-wire-gs2-y-refused", "TLS 1.2: the server offers channel binding, and the client "
      "says that it does not (gs2 flag y).", server={"ssl": TLS12})
async def gs2_y_refused(run, w):
    await gs2_y(run, w)


@both(wire, "wire-auth-without-tls", "The server requires STARTTLS, and the client goes on with "
      "PLAIN without it.")
async def auth_without_tls(run, w):
    await w.ask(header(), "</stream:features>")
    await w.ask(auth("PLAIN", plain(run.user, run.password)), "</failure>", "</stream:stream>",
                "<success")
    w.close()


@wire("prosody-wire-plain-refused-before-tls", "The server does not require TLS, but refuses PLAIN "
      "without it.", server={"c2s_require_encryption": "false",
                             "allow_unencrypted_plain_auth": "false"})
async def plain_before_tls(run, w):
    await auth_without_tls(run, w)


@wire("ejabberd-wire-plain-before-tls", "The server does not require TLS, and the client uses PLAIN "
      "without it.", server={"tls_required": "false"})
async def plain_before_tls_allowed(run, w):
    await auth_without_tls(run, w)


@both(wire, "wire-bind-without-login", "The client binds a resource without having logged in.")
async def bind_without_login(run, w):
    await w.secure(run.ca)
    await w.ask("<iq type='set' id='bind1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
                "</iq>", "</stream:stream>")
    w.close()


for client in "slixmpp", "strophe":
    login(f"prosody-{client}-starttls-required", "The server requires STARTTLS, and the client goes "
          "on without it.", "no-tls", status=1)
    login(f"ejabberd-{client}-starttls-required", "The server requires STARTTLS, and the client goes "
          "on without it.", "no-tls", status=1)


@wire("prosody-wire-idle", "The client never logs in, and the server waits no longer.",
      server={"c2s_timeout": 1})
async def idle(run, w):
    await w.secure(run.ca)
    await w.end()


wire("ejabberd-wire-idle", "The client never logs in, and the server waits no longer.",
     server={"negotiation_timeout": 1})(idle)


@both(wire, "wire-gives-up", "The client leaves after the features, without a word.")
async def gives_up(run, w):
    await w.secure(run.ca)
    w.close()


async def banned_before(run):
    await run.serve()
    run.server.disable("alice@xmpp.example")
    await run.listen()
    await run.over(await run.client(), 1)


scene("ejabberd-slixmpp-disabled", "The account was banned before.")(banned_before)


@scene("ejabberd-strophe-banned", "The account is banned while it is logged in.")
async def banned_within(run):
    await run.serve()
    await run.listen()
    client = await run.client("stay")
    await run.talked(client)
    run.server.disable("alice@xmpp.example")
    await run.over(client, None)


# ---- registration ----

REGISTER = "<query xmlns='jabber:iq:register'>{}</query>"


async def register(run, w, user):
    await w.secure(run.ca)
    await w.ask("<iq type='get' id='reg1' to='xmpp.example'>" + REGISTER.format("") + "</iq>",
                "</iq>")
    fields = f"<username>{user}</username><password>staple-and-paper</password>"
    return await w.ask("<iq type='set' id='reg2' to='xmpp.example'>" + REGISTER.format(fields) +
                       "</iq>", "</iq>", "result")


async def registers(run, w):
    await register(run, w, "carol")
    await w.ask(auth("PLAIN", plain("carol", "staple-and-paper")), "/>", "</success>")
    await w.ask(header(), "</stream:features>")
    await w.ask("<iq type='set' id='bind1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
                "</iq>")
    w.send("<iq type='set' id='reg3'>" + REGISTER.format("<remove/>") + "</iq>")
    await w.until("</stream:stream>")
    await w.end()


async def registers_twice(run, w):
    await register(run, w, run.user)
    w.send("</stream:stream>")
    await w.end()


for server, options in (("prosody", {"modules": ["register_ibr", "user_account_management"],
                                     "allow_registration": "true"}),
                        ("ejabberd", {})):
    wire(f"{server}-wire-register", "In-band registration (XEP-0077), a login, and the account's "
         "removal.", server=options)(registers)
    wire(f"{server}-wire-register-conflict", "In-band registration of a user name that is taken.",
         server=options)(registers_twice)


# ---- streams that end with an error ----

def two(server, client, what):
    """Two logins with the same resource."""
    async def play(run):
        await run.serve()
        await run.listen()
        options = NO_PLUS[server] if client == "gloox" else []
        first = await run.client("stay", *options, jid="alice@xmpp.example/desk")
        await run.talked(first)
        await run.over(await run.client(*options, jid="alice@xmpp.example/desk"), None)
        await run.over(first, None)
    scene(f"{server}-{client}-conflict", what, 2)(play)


for server in "prosody", "ejabberd":
    for client in "slixmpp", "strophe", "gloox", "xmppjs":
        two(server, client, "The same resource logs in once more, and this stream gives way.")


def bind_conflict(name, **server):
    async def play(run):
        await run.serve(**server)
        await run.listen()
        first = await run.client("stay", jid="alice@xmpp.example/desk")
        await run.talked(first)
        await run.over(await run.client(jid="alice@xmpp.example/desk"), None)
        first.terminate()
        await run.over(first, None)
    SCENES.append(Scene(name, play, {1: (name, "The resource is in use, and the server refuses to "
                                               "bind it again.")}, 2))


bind_conflict("prosody-strophe-bind-conflict", conflict_resolve='"kick_new"')
bind_conflict("ejabberd-strophe-bind-conflict", resource_conflict="closenew")

for client in "slixmpp", "strophe", "gloox":
    options = NO_PLUS["ejabberd"] if client == "gloox" else []
    login(f"prosody-{client}-too-large", "A stanza larger than the server takes.", "large=17500",
          status=None, server={"c2s_stanza_size_limit": 10000})
    login(f"ejabberd-{client}-too-large", "A stanza larger than the server takes.", "large=6000",
          *options, status=None, server={"max_stanza": 5000})


def says(name, what, data, before_login=False):
    """A client that sends `data` once it is logged in, and what the server says to that."""
    for server in "prosody", "ejabberd":
        async def play(run, w):
            if before_login:
                await w.secure(run.ca)
            else:
                await w.log_in(run.ca, run.user, run.password, "desk")
            if "</stream:stream>" in await w.ask(data, "</stream:stream>"):
                await w.end()
            w.close()
        wire(f"{server}-wire-{name}", what)(play)


says("not-well-formed", "Tags that do not match.", "<message><body>oops</message>")
says("not-well-formed-before-login", "Tags that do not match, before the login.",
     "<auth mechanism='PLAIN'></challenge>", True)
says("bad-entity", "An entity that XML does not know.",
     "<message><body>&nbsp;</body></message>")
says("bad-utf8", "A byte that is not UTF-8.", b"<message><body>Gr\xfc\xdfe</body></message>")
says("comment", "A comment, which XMPP forbids.", "<!-- hello -->")
says("processing-instruction", "A processing instruction, which XMPP forbids.",
     "<?php echo 1 ?><presence/>")
says("doctype", "A document type declaration, which XMPP forbids.",
     "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><presence/>")
says("unbound-prefix", "A prefix that stands for no namespace.", "<foo:bar/>")
says("unsupported-stanza-type", "An element that is no stanza.", "<bogus xmlns='jabber:client'/>")
says("invalid-from", "A stanza in somebody else's name.",
     "<message from='mallory@xmpp.example/x' to='alice@xmpp.example'><body>hi</body></message>")
says("stanza-before-login", "A message before the login.",
     "<message to='alice@xmpp.example'><body>hi</body></message>", True)


def opens(name, what, first):
    """A client whose first bytes are these."""
    for server in "prosody", "ejabberd":
        async def play(run, w):
            w.send(first)
            await w.until("</stream:stream>", "</stream:features>")
            w.close()
        wire(f"{server}-wire-{name}", what)(play)


opens("invalid-namespace", "The stream has the wrong namespace.",
      header(streams="http://example.org/streams"))
opens("server-namespace", "A server's stream at the clients' port.", header(xmlns="jabber:server"))
opens("no-namespace", "A stream without a default namespace.", header().replace(
      " xmlns='jabber:client'", ""))
opens("version-2", "A version that there is not.", header(version="2.0"))
opens("version-0", "A client of the time before XMPP 1.0.", header(version=None))
opens("version-text", "A version that is no number.", header(version="one"))
opens("no-to", "A header that names no domain.", header(domain=None))
opens("bad-to", "A header whose domain is none.", header(domain="@"))
opens("no-declaration", "A header without an XML declaration.", header(declaration=""))
opens("latin1", "A stream in ISO 8859-1.",
      header(declaration="<?xml version='1.0' encoding='ISO-8859-1'?>"))
opens("bom", "A byte order mark before the header.", b"\xef\xbb\xbf" + header().encode())
opens("utf16", "A stream in UTF-16.", header().encode("utf-16"))
opens("http", "A web browser at the XMPP port.",
      "GET / HTTP/1.1\r\nHost: xmpp.example\r\nConnection: close\r\n\r\n")
opens("bad-root", "The first element is no stream.", "<?xml version='1.0'?><message/>")


# ---- servers that end ----

def ends(name, what, end):
    """The server ends while a client is logged in."""
    async def play(run):
        await run.serve()
        await run.listen()
        client = await run.client("stay")
        await run.talked(client)
        await end(run)
        await run.over(client, None)
    scene(name, what)(play)


async def killed(run):
    run.server.kill()


async def stopped(run):
    await run.server.stop()


for server in "prosody", "ejabberd":
    for client in "slixmpp", "strophe":
        ends(f"{server}-{client}-killed", "The server is killed in mid-session.", killed)
        ends(f"{server}-{client}-system-shutdown", "The server is stopped in an orderly way.",
             stopped)


@both(wire, "wire-reset", "The client resets the connection in mid-session.")
async def client_resets(run, w):
    await w.log_in(run.ca, run.user, run.password, "desk")
    w.reset()


@both(wire, "wire-closes", "The client closes the connection without closing its stream.")
async def client_closes(run, w):
    await w.log_in(run.ca, run.user, run.password, "desk")
    w.close()


@both(wire, "wire-killed-in-sasl", "The server is killed while SASL is under way.")
async def killed_in_sasl(run, w):
    await w.secure(run.ca)
    await w.ask(auth("SCRAM-SHA-1", "biwsbj1hbGljZSxyPTAxMjM0NTY3ODlhYmNkZWY="), "</challenge>")
    run.server.kill()
    await w.end()


@scene("none-strophe-unreachable", "Nothing listens at the upstream.")
async def unreachable(run):
    await run.listen(port=free_port())
    await run.over(await run.client(), 1)


# ---- certificates ----

def certificate(name, what, prepare, client="strophe", jid="alice@xmpp.example", tap=(),
                trusted=True):
    """A server whose certificate is not valid."""
    for server in "prosody", "ejabberd":
        async def play(run):
            await run.serve(prepare)
            await run.listen(*tap, trusted=trusted)
            await run.over(await run.client(jid=jid), None)
        scene(f"{server}-{client}-{name}", what)(play)


def show(server, source):
    """Puts the certificate and key of `source` where the server looks for its own."""
    folder = server.folder
    certificate, key = source.read_text(), source.with_suffix(".key").read_text()
    (folder / "xmpp.example.crt").write_text(certificate)
    (folder / "xmpp.example.key").write_text(key)
    (folder / "xmpp.example.both.pem").write_text(certificate + key)


def self_signed(server):
    own = server.folder / "self.crt"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", 2, "-subj", "/CN=xmpp.example", "-addext", "subjectAltName=DNS:xmpp.example",
            "-keyout", own.with_suffix(".key"), "-out", own)
    show(server, own)


def expired(server):
    folder = server.folder
    openssl("x509", "-req", "-in", folder / "xmpp.example.csr", "-CA", server.ca, "-CAkey",
            server.ca.with_suffix(".key"), "-CAcreateserial", "-days", -1, "-extfile",
            folder / "xmpp.example.ext", "-out", folder / "old.crt")
    (folder / "old.key").write_text((folder / "xmpp.example.key").read_text())
    show(server, folder / "old.crt")


def wrong_name(server):
    make_leaf(server.folder, server.ca, "elsewhere.example")
    show(server, server.folder / "elsewhere.example.crt")


def unknown_issuer(server):
    make_leaf(server.folder, make_ca(server.folder, "another-ca"), "xmpp.example")
    (server.folder / "another.crt").write_text((server.folder / "xmpp.example.crt").read_text())
    (server.folder / "another.key").write_text((server.folder / "xmpp.example.key").read_text())
    show(server, server.folder / "another.crt")


certificate("self-signed", "The server's certificate is self-signed.", self_signed)
certificate("expired", "The server's certificate has expired.", expired)
certificate("wrong-name", "The server's certificate is for another domain.", wrong_name)
certificate("unknown-issuer", "The server's certificate is of a CA that is not trusted.",
            unknown_issuer)
certificate("insecure", "The server's certificate has expired, and --insecure lets it pass.", expired,
            tap=["--insecure"])


# ---- clients whose TLS fails ----

for client in "slixmpp", "strophe", "gloox", "xmppjs":
    async def untrusting(run):
        await run.serve()
        await run.listen()
        await run.over(await run.client(ca=run.server.ca), 1)
    scene(f"prosody-{client}-unknown-ca", "The client does not trust xmpptap's CA.")(untrusting)


def handshake(name, what, change=None, looks_for=None, distrusts=False):
    """A client whose handshake fails, and which says so with an alert."""
    async def play(run):
        await run.serve()
        await run.listen()
        ca = run.server.ca if distrusts else run.ca
        error = await asyncio.to_thread(tls_alert, run.tap.port, "xmpp.example", ca, run.wait_s,
                                        looks_for, change)
        if not error:
            raise AssertionError("the handshake succeeded")
    scene(f"prosody-wire-{name}", what)(play)


def old_tls(context):
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def rsa_only(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")


handshake("protocol-version", "A client that knows TLS 1.0 and 1.1 alone.", old_tls)
handshake("no-shared-cipher", "A client that wants RSA key exchange alone.", rsa_only)
handshake("bad-name", "A client that looks for another name in the certificate.",
          looks_for="elsewhere.example")


handshake("unknown-ca-alert", "A client that tells why it does not trust xmpptap's CA.",
          distrusts=True)


@wire("prosody-wire-no-handshake", "After <proceed/> the client never begins TLS.",
      tap=["--handshake-timeout", "1"])
async def no_handshake(run, w):
    await w.ask(header(), "</stream:features>")
    await w.ask(STARTTLS, "/>")
    await w.end()


@wire("prosody-wire-leaves-in-tls", "After <proceed/> the client leaves.")
async def leaves_in_tls(run, w):
    await w.ask(header(), "</stream:features>")
    await w.ask(STARTTLS, "/>")
    w.close()


@wire("prosody-wire-data-behind-starttls", "Plaintext behind <starttls/>, where TLS must begin.")
async def data_behind_starttls(run, w):
    await w.ask(header(), "</stream:features>")
    w.send(STARTTLS + "<iq type='get' id='x1'><ping xmlns='urn:xmpp:ping'/></iq>")
    await w.end()


@wire("prosody-wire-space-behind-starttls", "White space behind <starttls/>.")
async def space_behind_starttls(run, w):
    await w.ask(header(), "</stream:features>")
    w.send(STARTTLS + "\n")
    await w.until("/>")
    w.send(" \n")
    await asyncio.sleep(0.2)  # so that it is read for itself
    w.close()


@both(wire, "wire-starttls-twice", "STARTTLS once more, inside TLS.")
async def starttls_twice(run, w):
    await w.secure(run.ca)
    await w.ask(STARTTLS, "/>", "</stream:stream>")
    w.close()


@wire("ejabberd-wire-old-upstream-tls", "A server that knows TLS 1.1 alone.",
      server={"protocol_options": "[no_sslv3, no_tlsv1_2, no_tlsv1_3]"})
async def old_upstream_tls(run, w):
    await w.ask(header(), "</stream:features>")
    w.send(STARTTLS)
    await w.end()


# ---- upstreams that are no servers ----

def stub(name, what, answers, talk, tap=()):
    """A listener that sends `answers`, one for each read, and then says nothing more. Where an
    answer is None it closes."""
    async def handler(reader, writer):
        for answer in answers:
            await reader.read(65536)
            if answer is None:
                break
            writer.write(answer.encode())
        else:
            while await reader.read(65536):
                pass
        writer.close()

    async def play(run):
        await run.listen(*tap, port=await run.pretend(handler))
        await talk(run, await run.wire())
    scene(f"stub-wire-{name}", what)(play)


OPENED = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream="
          "'http://etherx.jabber.org/streams' id='s1' from='xmpp.example' version='1.0'>")
FEATURES = ("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
            "</stream:features>")
PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
TLS_FAILURE = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
SEE_OTHER = ("<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
             "other.example:5222</see-other-host></stream:error></stream:stream>")
PATIENCE_S = 1


async def opens_and_waits(run, w):
    w.send(header())
    try:
        await asyncio.wait_for(w.until("</stream:stream>"), PATIENCE_S)
    except asyncio.TimeoutError:
        pass
    w.close()


async def asks_for_tls(run, w):
    await w.ask(header(), "</stream:features>")
    w.send(STARTTLS)
    await w.until("</stream:stream>")
    w.close()


stub("silent", "The upstream accepts and says nothing.", [], opens_and_waits)
stub("closes", "The upstream closes at once.", [None], opens_and_waits)
stub("silent-after-header", "The upstream sends its header and nothing more.", [OPENED],
     opens_and_waits)
stub("silent-in-tls", "The upstream says <proceed/> and nothing more.", [OPENED + FEATURES, PROCEED],
     asks_for_tls, tap=["--handshake-timeout", "1"])
stub("leaves-in-tls", "The upstream says <proceed/> and closes.",
     [OPENED + FEATURES, PROCEED, None], asks_for_tls)
stub("tls-refused", "The upstream refuses STARTTLS.", [OPENED + FEATURES, TLS_FAILURE], asks_for_tls)
stub("plaintext-in-tls", "The upstream says <proceed/> and goes on in plaintext.",
     [OPENED + FEATURES, PROCEED, OPENED], asks_for_tls)
stub("see-other-host", "The upstream sends the client elsewhere.", [OPENED + SEE_OTHER],
     opens_and_waits)
stub("other-protocol", "The upstream is a mail server.", ["220 mail.example ESMTP\r\n"],
     opens_and_waits)

// An @xmpp/client that logs in, talks and logs out.
//
//   NODE_EXTRA_CA_CERTS=CA node xmppjs.mjs JID PASSWORD HOST PORT CA [OPTION...]
//
// Options: direct-tls (XEP-0368), mechanism=NAME, anonymous, stay (no logout: wait for the end of
// the connection), resume (after the talk the connection is cut and the stream resumed),
// resume-after=MILLISECONDS; contact=JID (the roster has it, it comes online, it is sent the message,
// and answers), card=NAME (the own vCard is changed, and read back), card-is=NAME (it must be that
// one). Node reads CA from its environment alone. Prints `talked` once all answers are there, and
// last what happened; exit status 0 if it logged in and out.
import dns from "node:dns";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The package lies where NODE_PATH says, or in node_modules next to this file.
const require = createRequire(import.meta.url);
const { client, xml, jid } = await import(pathToFileURL(require.resolve("@xmpp/client")));

const LIMIT_MS = 30000;
const [me, password, host, port, , ...options] = process.argv.slice(2);
const wants = (name) => options.includes(name);
const value = (name) => options.find((o) => o.startsWith(`${name}=`))?.split("=")[1];
const mechanism = value("mechanism");
const { local, domain, resource } = jid(me);
let talked = false;

function finish(text, status) {
  console.log(`${talked ? "logged in" : "not logged in"}: ${text}`);
  process.exit(status);
}

setTimeout(() => finish("took too long", 1), LIMIT_MS).unref();

// With direct TLS @xmpp/client looks for the name it connects to in the certificate, not for the
// domain of the JID: that name is looked up here.
function service() {
  if (!wants("direct-tls")) return `xmpp://${host}:${port}`;
  dns.lookup = (_name, options, done) =>
    options.all ? done(null, [{ address: host, family: 4 }]) : done(null, host, 4);
  return `xmpps://${domain}:${port}`;
}

const credentials = wants("anonymous")
  ? (authenticate) => authenticate({}, "ANONYMOUS")
  : (authenticate, mechanisms) =>
      authenticate({ username: local, password }, mechanism ?? mechanisms[0]);
const entity = client({ service: service(), domain, resource, credentials });
let problem = null;

entity.timeout = 10000; // it computes SCRAM in JavaScript, and has 2 s for the answer to a challenge
if (!wants("resume")) entity.reconnect.stop();
if (value("resume-after")) entity.reconnect.delay = Number(value("resume-after"));
entity.on("error", (error) => (problem ??= error));
entity.on("disconnect", () => {
  if (!wants("resume")) finish(problem?.message ?? "disconnected", 1);
});

// The first stanza that is it.
const arrival = (is) =>
  new Promise((resolve) => {
    entity.on("stanza", (stanza) => {
      if (is(stanza)) resolve();
    });
  });
const contact = value("contact");
const note = arrival((stanza) => stanza.is("message") && stanza.getChild("body"));
const online = arrival(
  ({ name, attrs }) =>
    name === "presence" && !attrs.type && attrs.from && jid(attrs.from).bare().toString() === contact,
);

// Reads the own vCard, and changes it.
async function card() {
  const { iqCaller } = entity;
  const read = async () =>
    (await iqCaller.get(xml("vCard", "vcard-temp"))).getChildText("FN");
  const must = value("card-is") ?? value("card");
  if (must === undefined) return;
  let found = await read();
  if (value("card")) {
    await iqCaller.set(xml("vCard", "vcard-temp", xml("FN", {}, must)));
    found = await read();
  }
  if (found !== must) finish(`the vCard says ${found}`, 1);
}

// ejabberd resets the connection behind its </stream:stream>, which is none of a problem.
async function logOut() {
  await entity.send(xml("presence", { type: "unavailable" }));
  entity.removeAllListeners("disconnect");
  const before = problem;
  await entity.stop();
  finish(before ? before.message : "logged out", before ? 1 : 0);
}

entity.once("online", async (address) => {
  const { iqCaller } = entity;
  const self = address.bare().toString();
  const roster = await iqCaller.get(xml("query", "jabber:iq:roster"));
  if (contact && !roster.getChildren("item").some((item) => item.attrs.jid === contact))
    finish(`${contact} is not in the roster`, 1);
  await entity.send(xml("presence", {}, xml("status", {}, "here")));
  if (contact) await online;
  const to = contact ?? self;
  await entity.send(xml("message", { to, type: "chat" }, xml("body", {}, "Grüße")));
  await note;
  await iqCaller.get(xml("ping", "urn:xmpp:ping"), domain);
  await card();
  talked = true;
  console.log("talked");
  if (wants("resume")) {
    const resumed = new Promise((resolve) => {
      entity.streamManagement.once("resumed", () => resolve("resumed"));
      entity.once("online", () => resolve("new"));
    });
    entity.socket.socket.destroy(); // the connection ends, the stream does not
    console.log(await resumed);
    await iqCaller.get(xml("ping", "urn:xmpp:ping"), domain);
  }
  if (!wants("stay")) await logOut();
});

entity.start().catch((error) => finish(error.message, 1));

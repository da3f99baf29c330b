/* ns.h: the namespaces that the embedded server knows, each once. */
#ifndef XMPPTAP_NS_H
#define XMPPTAP_NS_H

#define NS_STREAM    "http://etherx.jabber.org/streams"
#define NS_CLIENT    "jabber:client"
#define NS_TLS       "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL      "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_STANZAS   "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_STREAMS   "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_BIND      "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION   "urn:ietf:params:xml:ns:xmpp-session"
#define NS_ROSTER    "jabber:iq:roster"
#define NS_ROSTERVER "urn:xmpp:features:rosterver"
#define NS_PREAPPROVAL "urn:xmpp:features:pre-approval"
#define NS_AUTH      "jabber:iq:auth"              /* XEP-0078 */
#define NS_REG       "jabber:iq:register"          /* XEP-0077 */
#define NS_PRIVACY   "jabber:iq:privacy"           /* XEP-0016 */
#define NS_BLOCKING  "urn:xmpp:blocking"           /* XEP-0191 */
#define NS_BLOCKING_ERRORS "urn:xmpp:blocking:errors"
#define NS_PRIVATE   "jabber:iq:private"           /* XEP-0049 */
#define NS_VCARD     "vcard-temp"                  /* XEP-0054 */
#define NS_INFO      "http://jabber.org/protocol/disco#info"  /* XEP-0030 */
#define NS_ITEMS     "http://jabber.org/protocol/disco#items"
#define NS_CAPS      "http://jabber.org/protocol/caps"        /* XEP-0115 */
#define NS_PUBSUB    "http://jabber.org/protocol/pubsub"      /* XEP-0060 */
#define NS_PUBSUB_EVENT "http://jabber.org/protocol/pubsub#event"
#define NS_PUBSUB_OWNER "http://jabber.org/protocol/pubsub#owner"
#define NS_PUBSUB_ERRORS "http://jabber.org/protocol/pubsub#errors"
#define NS_FORM      "jabber:x:data"               /* XEP-0004 */
#define NS_PING      "urn:xmpp:ping"               /* XEP-0199 */
#define NS_VERSION   "jabber:iq:version"           /* XEP-0092 */
#define NS_LAST      "jabber:iq:last"              /* XEP-0012 */
#define NS_TIME      "urn:xmpp:time"               /* XEP-0202 */
#define NS_DELAY     "urn:xmpp:delay"              /* XEP-0203 */
#define NS_CARBONS   "urn:xmpp:carbons:2"          /* XEP-0280 */
#define NS_FORWARD   "urn:xmpp:forward:0"          /* XEP-0297 */
#define NS_HINTS     "urn:xmpp:hints"              /* XEP-0334 */
#define NS_CHATSTATES "http://jabber.org/protocol/chatstates" /* XEP-0085 */
#define NS_RECEIPTS  "urn:xmpp:receipts"           /* XEP-0184 */
#define NS_MARKERS   "urn:xmpp:chat-markers:0"     /* XEP-0333 */
#define NS_SID       "urn:xmpp:sid:0"              /* XEP-0359 */
#define NS_CSI       "urn:xmpp:csi:0"              /* XEP-0352 */
#define NS_SM        "urn:xmpp:sm:3"               /* XEP-0198 */
#define NS_COMPRESS  "http://jabber.org/protocol/compress"    /* XEP-0138 */
#define NS_COMPRESS_FEATURE "http://jabber.org/features/compress"
#define NS_SASL2     "urn:xmpp:sasl:2"             /* XEP-0388 */
#define NS_BIND2     "urn:xmpp:bind:0"             /* XEP-0386 */
#define NS_SASL_CB   "urn:xmpp:sasl-cb:0"          /* XEP-0440 */

#endif

# The server of the documented trace: what it offers, in its order, and what an account of its has.
# $L, $D: the account's localpart and domain.
name = Tigase ver. 0.0.0-0
version = 0.0.0-0
mechanisms = PLAIN ANONYMOUS
features = rosterver starttls mechanisms session register iq-auth bind
# Behind the answer to the privacy lists everything waits until the client has asked for one list.
holds = yes
# It never asked what the client can: nobody had published anything.
ask-caps = needed

contact = $L1@$D both ohno
contact-resource = Psi+
contact-presence = <priority>50</priority><c xmlns="http://jabber.org/protocol/caps" node="http://psi-dev.googlecode.com/caps" ver="0.16" ext="ca cs e-time ep-notify-2 html last-act mr sxe whiteboard"/>

privacy-list = <list name="blocked"><item action="allow" order="100"/></list>
privacy-default = blocked
privacy-active = blocked
vcard = <FN>$L</FN><NICKNAME>$L</NICKNAME>

# What it says of itself, in its order and with what it names twice.
domain-info = <identity category="server" type="im" name="Tigase ver. 0.0.0-0"/>
domain-info = <feature var="http://jabber.org/protocol/disco#info"/>
domain-info = <feature var="http://jabber.org/protocol/disco#items"/>
domain-info = <feature var="msgoffline"/>
domain-info = <feature var="http://jabber.org/protocol/stats"/>
domain-info = <feature var="http://jabber.org/protocol/commands"/>
domain-info = <feature var="jabber:iq:version"/>
domain-info = <feature var="jabber:iq:roster"/>
domain-info = <feature var="jabber:iq:roster-dynamic"/>
domain-info = <feature var="vcard-temp"/>
domain-info = <feature var="urn:ietf:params:xml:ns:xmpp-sasl"/>
domain-info = <feature var="urn:xmpp:ping"/>
domain-info = <feature var="http://jabber.org/protocol/pubsub"/>
domain-info = <feature var="http://jabber.org/protocol/pubsub#owner"/>
domain-info = <feature var="http://jabber.org/protocol/pubsub#publish"/>
domain-info = <identity category="pubsub" type="pep"/>
domain-info = <feature var="urn:ietf:params:xml:ns:xmpp-session"/>
domain-info = <feature var="http://jabber.org/protocol/amp"/>
domain-info = <feature var="msgoffline"/>
domain-info = <feature var="http://jabber.org/protocol/disco#info"/>
domain-info = <feature var="http://jabber.org/protocol/disco#items"/>
domain-info = <feature var="jabber:iq:privacy"/>
domain-info = <feature var="urn:ietf:params:xml:ns:xmpp-bind"/>
domain-info = <feature var="jabber:iq:private"/>
domain-info = <feature var="jabber:iq:auth"/>

account-info = <identity category="account" type="registered"/>
account-info = <identity category="pubsub" type="pep"/>
account-info = <feature var="http://jabber.org/protocol/disco#info"/>
account-info = <feature var="http://jabber.org/protocol/disco#items"/>

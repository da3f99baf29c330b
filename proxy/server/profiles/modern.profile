# What a client expects today.
name = xmpptap
version = $V
starttls = required
# Those with a hash need an accounts file: who takes any password knows none.
mechanisms = SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN
features = starttls mechanisms channel-binding register rosterver pre-approval bind session sm csi compression
ask-caps = yes
conflict = replace
failure-text = yes
sm-max = 300

domain-info = <identity category="server" type="im" name="xmpptap"/>
domain-info = <identity category="pubsub" type="pep"/>
domain-info = <feature var="http://jabber.org/protocol/disco#info"/>
domain-info = <feature var="http://jabber.org/protocol/disco#items"/>
domain-info = <feature var="jabber:iq:last"/>
domain-info = <feature var="jabber:iq:privacy"/>
domain-info = <feature var="jabber:iq:private"/>
domain-info = <feature var="jabber:iq:register"/>
domain-info = <feature var="jabber:iq:roster"/>
domain-info = <feature var="jabber:iq:version"/>
domain-info = <feature var="msgoffline"/>
domain-info = <feature var="urn:xmpp:blocking"/>
domain-info = <feature var="urn:xmpp:carbons:2"/>
domain-info = <feature var="urn:xmpp:ping"/>
domain-info = <feature var="urn:xmpp:time"/>
domain-info = <feature var="vcard-temp"/>

account-info = <identity category="account" type="registered"/>
account-info = <identity category="pubsub" type="pep"/>
account-info = <feature var="http://jabber.org/protocol/disco#info"/>
account-info = <feature var="http://jabber.org/protocol/disco#items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#access-open"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#access-presence"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#access-whitelist"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#auto-create"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#auto-subscribe"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#config-node"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#create-and-configure"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#create-nodes"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#delete-items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#delete-nodes"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#filtered-notifications"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#instant-nodes"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#item-ids"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#last-published"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#multi-items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#persistent-items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#publish"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#publish-options"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#purge-nodes"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#retract-items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#retrieve-affiliations"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#retrieve-default"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#retrieve-items"/>
account-info = <feature var="http://jabber.org/protocol/pubsub#retrieve-subscriptions"/>
account-info = <feature var="vcard-temp"/>

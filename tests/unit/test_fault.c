/* --fault: how it is read, what is wrong with it, and the bytes that come of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../decoder/labels.h"
#include "../../proxy/fault.h"
#include "../../proxy/fault_kind.h"

static void faults_are_read(void **state)
{
    static const struct {
        const char *text, *label;
        enum fault_action action;
        unsigned ms;
        const char *condition;
        unsigned nth;
        const char *told;
    } rows[] = {
        {"roster.result=drop", "roster.result", FAULT_DROP, 0, NULL, 0, "roster.result=drop"},
        {"roster.result=drop@2", "roster.result", FAULT_DROP, 0, NULL, 2, "roster.result=drop@2"},
        {"roster.result@2=drop", "roster.result", FAULT_DROP, 0, NULL, 2, "roster.result=drop@2"},
        {"features.sasl=delay:1", "features.sasl", FAULT_DELAY, 1, NULL, 0, "features.sasl=delay:1"},
        {"tls.proceed=delay:3600000@1", "tls.proceed", FAULT_DELAY, 3600000, NULL, 1,
         "tls.proceed=delay:3600000@1"},
        {"stream.open=close", "stream.open", FAULT_CLOSE, 0, NULL, 0, "stream.open=close"},
        {"presence.self=reset", "presence.self", FAULT_RESET, 0, NULL, 0, "presence.self=reset"},
        {"bind.result=malformed", "bind.result", FAULT_MALFORMED, 0, NULL, 0,
         "bind.result=malformed"},
        {"sasl.auth=silent", "sasl.auth", FAULT_SILENT, 0, NULL, 0, "sasl.auth=silent"},
        {"iq.other=error:gone", "iq.other", FAULT_ERROR, 0, "gone", 0, "iq.other=error:gone"},
        {"sasl.success=error:account-disabled@3", "sasl.success", FAULT_ERROR, 0,
         "account-disabled", 3, "sasl.success=error:account-disabled@3"},
        {"stream.open=error:host-unknown", "stream.open", FAULT_ERROR, 0, "host-unknown", 0,
         "stream.open=error:host-unknown"},
        {"tls.request=error:policy-violation", "tls.request", FAULT_ERROR, 0, "policy-violation", 0,
         "tls.request=error:policy-violation"},
        {"compression.request=error:setup-failed", "compression.request", FAULT_ERROR, 0,
         "setup-failed", 0, "compression.request=error:setup-failed"},
        {"sm.enable=error:item-not-found", "sm.enable", FAULT_ERROR, 0, "item-not-found", 0,
         "sm.enable=error:item-not-found"},
    };
    struct error e;
    struct fault f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        e = (struct error){0};
        if (fault_parse(rows[i].text, &f, &e))
            fail_msg("%s: %s", rows[i].text, e.detail);
        assert_string_equal(f.label, rows[i].label);
        assert_int_equal(f.action, rows[i].action);
        assert_int_equal(f.ms, rows[i].ms);
        assert_int_equal(f.nth, rows[i].nth);
        assert_string_equal(f.condition ? f.condition : "", rows[i].condition ? rows[i].condition : "");
        assert_string_equal(f.text, rows[i].told);
    }
}

/* What is wrong is said, with what to give instead. */
static void mistakes_are_told(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "give PHASE=ACTION"},
        {"roster.result", "give PHASE=ACTION"},
        {"=drop", "there is no phase \"\"; docs/labels.md lists"},
        {"rooster.result=drop", "did you mean roster.result?"},
        {"roster=drop", "did you mean roster.push, roster.error or roster.result?"},
        {"roster.x=drop", "did you mean roster.push, roster.error or roster.result?"},
        {"xyzzy.plugh=drop", "there is no phase \"xyzzy.plugh\"; docs/labels.md lists"},
        {"roster.result=explode", "give delay:MS, drop, close, reset, error:CONDITION, malformed or silent"},
        {"roster.result=", "give delay:MS"},
        {"roster.result=drop:1", "give delay:MS"},
        {"roster.result=delay", "give delay:MS"},
        {"roster.result=error", "give delay:MS"},
        {"roster.result=delay:", "in milliseconds"},
        {"roster.result=delay:0", "in milliseconds"},
        {"roster.result=delay:-5", "in milliseconds"},
        {"roster.result=delay:5s", "in milliseconds"},
        {"roster.result=delay:3600001", "in milliseconds"},
        {"roster.result=error:not-founder", "have no condition \"not-founder\""},
        {"roster.result=error:item-not-fund", "did you mean item-not-found?"},
        {"roster.result=error:host-unknown", "RFC 6120 section 8.3.3"},
        {"sasl.auth=error:gone", "RFC 6120 section 6.5"},
        {"features.tls=error:gone", "RFC 6120 section 4.9.3"},
        {"roster.result=drop@", "give @N once"},
        {"roster.result=drop@0", "give @N once"},
        {"roster.result=drop@x", "give @N once"},
        {"roster.result@1=drop@2", "give @N once"},
        {"roster.result@1@2=drop", "give @N once"},
    };
    struct error e;
    struct fault f;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        e = (struct error){0};
        assert_int_equal(fault_parse(rows[i].text, &f, &e), ERR_USAGE);
        if (!strstr(e.detail, rows[i].says) || !strstr(e.detail, rows[i].text))
            fail_msg("%s: %s", rows[i].text, e.detail);
    }
}

/* Each label can be given, and its errors have conditions. */
static void every_phase_has_its_errors(void **state)
{
    const struct label *l;
    struct fault f;
    struct error e;
    char text[200];

    (void)state;
    for (size_t i = 0; (l = label_at(i)) != NULL; i++) {
        snprintf(text, sizeof text, "%s=error:%s", label_id(l),
                 fault_condition_at(fault_kind_of(label_id(l)), 0)->name);
        if (fault_parse(text, &f, &e))
            fail_msg("%s: %s", text, e.detail);
        assert_true(strlen(f.text) < FAULT_TEXT_MAX - 1);
        assert_string_equal(f.text, text);
    }
}

static void what_is_broken_is_not_well_formed(void **state)
{
    static const struct {
        const char *whole, *broken;
    } rows[] = {
        {"<iq id='1'><query xmlns='x'/></iq>", "<iq id='1'><query xmlns='x'/></malformed>"},
        {"<proceed xmlns='x'/>", "<proceed xmlns='x'></malformed>"},
        {"<a b='>'/>", "<a b='>'></malformed>"},
        {"<a></a>", "<a></malformed>"},
        {"<a>x</a >", "<a>x</malformed>"},
        {"<a><![CDATA[</b]]></a>", "<a><![CDATA[</b]]></malformed>"},
        {"</stream:stream>", "</malformed>"},
        {"<?xml version='1.0'?><stream:stream to='a'>",
         "<?xml version='1.0'?><stream:stream to='a' malformed>"},
        {"", ""},
    };
    struct reader *r = reader_new();
    struct reader_stream st;
    const struct item *it;
    struct buf b;

    (void)state;
    reader_stream_init(&st);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_init(&b, 4096);
        assert_int_equal(fault_break(&b, rows[i].whole, strlen(rows[i].whole)), 0);
        assert_int_equal(buf_add(&b, "", 1), 0);
        assert_string_equal(b.p, rows[i].broken);
        if (b.len > 1)
            assert_int_not_equal(reader_item(r, &st, b.p, b.len - 1, &it, NULL), 0);
        buf_free(&b);
    }
    reader_stream_free(&st);
    reader_free(r);
}

#define STANZA_ERROR(type, condition)                                                              \
    "<error type='" type "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"          \
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpptap: a fault that was asked for</text>" \
    "</error>"
#define STREAM_ERROR(condition)                                                                    \
    "<stream:error><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"                   \
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>xmpptap: a fault that was "   \
    "asked for</text></stream:error></stream:stream>"

static void errors_stand_in_for_items(void **state)
{
    static const struct {
        const char *fault;
        enum dir dir;
        const char *item, *domain, *reply; /* item NULL: a header */
        bool back, ends, fails_login;
    } rows[] = {
        {"roster.request=error:forbidden", DIR_C2S, "<iq type='get' id='a&amp;b' to='x.example' from='me@x'/>",
         NULL,
         "<iq xmlns='jabber:client' type='error' id='a&amp;b' from='x.example' to='me@x'>"
         STANZA_ERROR("auth", "forbidden") "</iq>", true, false, false},
        {"roster.result=error:item-not-found", DIR_S2C, "<iq type='result' id='1' to='me@x/1'/>", NULL,
         "<iq xmlns='jabber:client' type='error' id='1' to='me@x/1'>"
         STANZA_ERROR("cancel", "item-not-found") "</iq>", false, false, false},
        {"ping.server.request=error:gone", DIR_S2C, "<iq type='get' id='1' from='x'/>", NULL,
         "<iq xmlns='jabber:client' type='error' id='1' to='x'>" STANZA_ERROR("cancel", "gone")
         "</iq>", true, false, false},
        {"presence.broadcast=error:bad-request", DIR_C2S, "<presence/>", NULL,
         "<presence xmlns='jabber:client' type='error'>" STANZA_ERROR("modify", "bad-request")
         "</presence>", true, false, false},
        {"presence.self=error:bad-request", DIR_S2C, "<presence from='me@x/1' to='me@x/1'/>", NULL,
         "<presence xmlns='jabber:client' type='error' from='me@x/1' to='me@x/1'>"
         STANZA_ERROR("modify", "bad-request") "</presence>", false, false, false},
        {"sasl.auth=error:not-authorized", DIR_C2S, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
         NULL, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>", true,
         false, true},
        {"sasl.success=error:aborted", DIR_S2C, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
         NULL, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><aborted/></failure>", false, false,
         true},
        {"sasl2.success=error:aborted", DIR_S2C, "<success xmlns='urn:xmpp:sasl:2'/>", NULL,
         "<failure xmlns='urn:xmpp:sasl:2'><aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>",
         false, false, true},
        {"tls.request=error:reset", DIR_C2S, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", NULL,
         "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>", true, true, false},
        {"features.tls=error:conflict", DIR_S2C,
         "<features xmlns='http://etherx.jabber.org/streams'/>", NULL, STREAM_ERROR("conflict"), false,
         true, false},
        {"stream.open=error:host-unknown", DIR_C2S, NULL, "x.example",
         "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
         "xmlns:stream='http://etherx.jabber.org/streams' id='xmpptap' from='x.example' version='1.0'>"
         STREAM_ERROR("host-unknown"), true, true, false},
        {"sm.enable=error:unexpected-request", DIR_C2S, "<enable xmlns='urn:xmpp:sm:3'/>", NULL,
         "<failed xmlns='urn:xmpp:sm:3'><unexpected-request "
         "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", true, false, false},
        {"compression.request=error:setup-failed", DIR_C2S,
         "<compress xmlns='http://jabber.org/protocol/compress'/>", NULL,
         "<failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure>", true, false,
         false},
    };
    struct reader *rd = reader_new();
    struct reader_stream st;
    const struct item *it;
    struct fault_reply r;
    struct fault f;
    struct error e;

    (void)state;
    reader_stream_init(&st);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        it = NULL;
        if (fault_parse(rows[i].fault, &f, &e))
            fail_msg("%s: %s", rows[i].fault, e.detail);
        if (rows[i].item)
            assert_int_equal(reader_item(rd, &st, rows[i].item, strlen(rows[i].item), &it, NULL), 0);
        assert_int_equal(fault_reply(&r, &f, rows[i].dir, it, rows[i].domain), 0);
        assert_int_equal(buf_add(&r.bytes, "", 1), 0);
        assert_string_equal(r.bytes.p, rows[i].reply);
        assert_int_equal(r.back, rows[i].back);
        assert_int_equal(r.ends, rows[i].ends);
        assert_int_equal(r.fails_login, rows[i].fails_login);
        fault_reply_free(&r);
    }
    reader_stream_free(&st);
    reader_free(rd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_read),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(every_phase_has_its_errors),
        cmocka_unit_test(what_is_broken_is_not_well_formed),
        cmocka_unit_test(errors_stand_in_for_items),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which parts of an item are masked, and what known secrets become wherever they stand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../decoder/redact.h"
#include "../../decoder/withhold.h"

/* Reads the item, learns from it, and has it masked; what comes out is in `out`, NUL-ended. */
static void redact(struct reader *r, const char *item, struct secrets *s, struct buf *out)
{
    struct reader_stream stream;
    const struct item *it;
    struct error e;

    reader_stream_init(&stream);
    if (reader_item(r, &stream, item, strlen(item), &it, &e))
        fail_msg("%s: %s", item, e.detail);
    redact_learn(it, s);
    out->len = 0;
    assert_int_equal(redact_item(it, s, out), 0);
    if (out->len == 0)
        assert_int_equal(buf_str(out, item), 0);
    assert_int_equal(buf_add(out, "", 1), 0);
    reader_stream_free(&stream);
}

/* ---- places ---- */

#define X "[redacted]"
#define FORM(field) "<x xmlns='jabber:x:data'>" field "</x>"

static const struct {
    const char *item, *kept; /* NULL: nothing is masked */
} places[] = {
    {"<a><b>x</b></a>", NULL},
    {"<a><password/></a>", NULL},
    {"<a><password></password></a>", NULL},
    {"<a><password>x</password><b/></a>", "<a><password>" X "</password><b/></a>"},
    {"<a password='x'/>", "<a password='" X "'/>"},
    {"<a password=\"\"/>", NULL},
    {"<a b='password=' password = \n\"x'>\" c='d'>e</a>",
     "<a b='password=' password = \n\"" X "\" c='d'>e</a>"},
    {"<a xmlns:p='urn:x' p:password='x' passwords='y' mypassword='z'/>",
     "<a xmlns:p='urn:x' p:password='" X "' passwords='y' mypassword='z'/>"},
    {"<a password='x'><password>y<b password='z'/></password></a>",
     "<a password='" X "'><password>" X "</password></a>"},
    {"<token xmlns='urn:xmpp:fast:0' token='x'/>", "<token xmlns='urn:xmpp:fast:0' token='" X "'/>"},
    {"<token xmlns='urn:x' token='x'/>", NULL},
    {FORM("<field var='passwordprotectedroom'><value>1</value></field>"), NULL},
    {FORM("<field var='muc#roomconfig_roomsecret'><value>1</value></field>"),
     FORM("<field var='muc#roomconfig_roomsecret'>" X "</field>")},
    {FORM("<field var='x' type='text-private'><value>1</value></field>"),
     FORM("<field var='x' type='text-private'>" X "</field>")},
    {"<field xmlns='urn:x' var='password'>1</field>", NULL},
    {"<header xmlns='urn:xmpp:http:upload:0' name='Expires'>x</header>", NULL},
    {"<header xmlns='urn:xmpp:http:upload:0' name='AUTHORIZATION'>x</header>",
     "<header xmlns='urn:xmpp:http:upload:0' name='AUTHORIZATION'>" X "</header>"},
};

static void test_places(void **state)
{
    struct reader *r = reader_new();
    struct secrets s;
    struct buf out;

    (void)state;
    buf_init(&out, 1u << 16);
    secrets_init(&s);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        redact(r, places[i].item, &s, &out);
        assert_string_equal(out.p, places[i].kept ? places[i].kept : places[i].item);
    }
    assert_null(s.known); /* all of them are too short to be learnt */
    buf_free(&out);
    reader_free(r);
}

/* An element in a namespace longer than any of the tables' is looked at all the same; more secrets
 * than an item can name are masked together with what lies between them. */
static void test_limits(void **state)
{
    struct reader *r = reader_new();
    char item[4096];
    struct secrets s;
    struct buf out;
    size_t n;

    (void)state;
    buf_init(&out, 1u << 16);
    secrets_init(&s);
    snprintf(item, sizeof item, "<password xmlns='%0300d'>x</password>", 0);
    redact(r, item, &s, &out);
    assert_non_null(strstr(out.p, ">" X "</password>"));
    n = (size_t)snprintf(item, sizeof item, "<a>");
    for (int i = 0; i < 2 * READER_SECRETS; i++)
        n += (size_t)snprintf(item + n, sizeof item - n, "<password>secret%d</password>", i);
    snprintf(item + n, sizeof item - n, "</a>");
    redact(r, item, &s, &out);
    assert_null(strstr(out.p, "secret"));
    assert_non_null(strstr(out.p, X "</password></a>"));
    secrets_free(&s);
    buf_free(&out);
    reader_free(r);
}

/* ---- known secrets ---- */

static const struct {
    const char *item, *kept;
} knowns[] = { /* "hunter<&2" is known */
    {"<a>hunter2</a>", NULL},
    {"<a>hunter&lt;&amp;2</a>", "<a>" X "</a>"},
    {"<a>xhunter&#60;&#x26;2y hunter&lt;&amp;2</a>", "<a>x" X "y " X "</a>"},
    {"<a b='hunter&lt;&amp;2' c=\"&#104;unter&lt;&amp;2\"/>", "<a b='" X "' c=\"" X "\"/>"},
    {"<a><![CDATA[hunter<&2]]></a>", "<a><![CDATA[" X "]]></a>"},
    {"<a>hunt<![CDATA[er<&2 x]]></a>", "<a>" X "<![CDATA[ x]]></a>"},
    {"<a><![CDATA[x hunt]]>er&lt;&amp;2</a>", "<a><![CDATA[x " X "]]></a>"},
    {"<a>hunt<![CDATA[er]]>&lt;&amp;2</a>", "<a>" X "</a>"},
    {"<a><![CDATA[hunter&lt;&amp;2]]></a>", "<a><![CDATA[" X "]]></a>"},
    {"<a><![CDATA[hunt]]><![CDATA[er<]]>&amp;<![CDATA[]]>2</a>", "<a><![CDATA[" X "]]></a>"},
    {"<a b='hunt]]>er&lt;&amp;2'/>", NULL}, /* in a value these are no marks */
    {"<a>hunter</a>", NULL},
    {"<a>hunter&lt;<b>&amp;2</b></a>", NULL},
    {"<a>aHVudGVyPCYy</a>", "<a>" X "</a>"},
    {"<a>eGh1bnRlcjwmMg==</a>", "<a>e" X "==</a>"},
    {"<a>eHhodW50ZXI8JjI=</a>", "<a>eH" X "=</a>"},
    {"<a>68756e7465723c2632 68756E7465723C2632</a>", "<a>" X " " X "</a>"},
    {"<a><password>x</password>hunter&lt;&amp;2</a>", "<a><password>" X "</password>" X "</a>"},
    {"<a password='x'>hunter&lt;&amp;2</a>", "<a password='" X "'>" X "</a>"},
};

static void test_known(void **state)
{
    struct reader *r = reader_new();
    struct secrets s;
    struct buf out;

    (void)state;
    buf_init(&out, 1u << 16);
    secrets_init(&s);
    secrets_learn(NULL, "hunter<&2", 9, true); /* nobody masks */
    secrets_learn(&s, "hunter<&2", 9, true);
    for (size_t i = 0; i < sizeof knowns / sizeof *knowns; i++) {
        redact(r, knowns[i].item, &s, &out);
        assert_string_equal(out.p, knowns[i].kept ? knowns[i].kept : knowns[i].item);
    }
    secrets_free(&s);
    secrets_learn(&s, "message", 7, true); /* names of elements and attributes stand */
    redact(r, "<message message='a message'>message</message>", &s, &out);
    assert_string_equal(out.p, "<message message='a " X "'>" X "</message>");
    secrets_free(&s);
    buf_free(&out);
    reader_free(r);
}

static const char *const logins[] = {
    "<a><password xmlns='jabber:iq:auth'>let me in</password></a>",
    "<a><password xmlns='jabber:iq:register'>let me in</password></a>",
    "<token xmlns='urn:xmpp:fast:0' token='let me in'/>",
    FORM("<field var='password'><value>let me in</value></field>"),
};

/* What was learnt in one place is masked in the same item and in later ones. */
static void test_learnt(void **state)
{
    struct reader *r = reader_new();
    struct secrets s;
    struct buf out;

    (void)state;
    buf_init(&out, 1u << 16);
    secrets_init(&s);
    redact(r, "<a><b>hunter2</b><password>hunter2</password></a>", &s, &out);
    assert_string_equal(out.p, "<a><b>" X "</b><password>" X "</password></a>");
    redact(r, FORM("<field var='password'><desc>Password</desc><value>letmein</value></field>"), &s,
           &out);
    redact(r, "<b>hunter2, letmein, Password</b>", &s, &out);
    assert_string_equal(out.p, "<b>" X ", " X ", Password</b>");
    secrets_free(&s);
    /* A login's is remembered, however many rooms have been joined. */
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
        char room[] = "<x><password>room n</password></x>";

        for (int k = 0; k < SECRETS_MAX; k++) {
            room[18] = (char)('0' + k);
            redact(r, room, &s, &out);
        }
        redact(r, logins[i], &s, &out);
        redact(r, "<b>let me in</b>", &s, &out);
        assert_string_equal(out.p, "<b>" X "</b>");
        secrets_free(&s);
    }
    buf_free(&out);
    reader_free(r);
}

static bool holds(const struct secrets *s, const char *text)
{
    return secrets_hold(s, text, strlen(text));
}

/* A password that is the user's name is no secret elsewhere: there a mask would tell it. */
static void test_name(void **state)
{
    static const char *const items[] = {
        "<a><q xmlns='jabber:iq:register'><username>hunter2</username><password>hunter2</password>"
        "</q></a>",
        "<a><q xmlns='jabber:iq:register'><password>hunter2</password><username>hunter2@h</username>"
        "</q></a>",
    };
    struct reader *r = reader_new();
    struct secrets s;
    struct buf out;

    (void)state;
    buf_init(&out, 1u << 16);
    secrets_init(&s);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        redact(r, items[i], &s, &out);
        assert_non_null(strstr(out.p, "<password>" X "</password>"));
        assert_non_null(strstr(out.p, "<username>hunter2"));
        assert_false(holds(&s, "hunter2@example.org"));
        secrets_free(&s);
    }
    secrets_learn(&s, "hunter2", 7, true);
    secrets_learn(&s, "hunter3", 7, true);
    secrets_name(&s, "hunter2", 7);
    assert_false(holds(&s, "hunter2"));
    assert_true(holds(&s, "hunter3"));
    secrets_free(&s);
    secrets_name(NULL, "hunter2", 7);
    buf_free(&out);
    reader_free(r);
}

static void test_bounds(void **state)
{
    char text[32], longer[400];
    struct secrets s;

    (void)state;
    secrets_init(&s);
    secrets_learn(&s, "short", 5, true);
    secrets_learn(&s, "         ", 9, true);
    assert_null(s.known);
    for (int i = 0; i < SECRETS_MAX; i++)
        secrets_learn(&s, text, (size_t)snprintf(text, sizeof text, "of room %d", i), false);
    secrets_learn(&s, "of room 0", 9, false);
    secrets_learn(&s, "of room 8", 9, false); /* too many */
    assert_true(holds(&s, "of room 0") && holds(&s, "of room 7"));
    assert_false(holds(&s, "of room 8"));
    secrets_learn(&s, "of login", 8, true); /* takes the place of the last */
    assert_true(holds(&s, "of login") && holds(&s, "of room 6"));
    assert_false(holds(&s, "of room 7"));
    for (int i = 0; i < SECRETS_MAX; i++)
        secrets_learn(&s, text, (size_t)snprintf(text, sizeof text, "login %d", i), true);
    assert_true(holds(&s, "of login") && holds(&s, "login 6"));
    assert_false(holds(&s, "login 7") || holds(&s, "of room 0"));
    secrets_free(&s);
    assert_false(holds(&s, "of login"));
    memset(longer, 'x', sizeof longer);
    memcpy(longer + sizeof longer - 8, "the end.", 8);
    secrets_learn(&s, longer, sizeof longer, true); /* its last 256 bytes */
    assert_true(secrets_hold(&s, longer, sizeof longer));
    assert_true(secrets_hold(&s, longer + sizeof longer - 256, 256));
    assert_false(secrets_hold(&s, longer + sizeof longer - 255, 255));
    secrets_free(&s);
}

static void test_facts(void **state)
{
    struct fact_list l;
    struct secrets s;

    (void)state;
    secrets_init(&s);
    fact_init(&l);
    fact_add(&l, "a", "it is hunter2");
    fact_add(&l, "b", "it is not");
    secrets_hide(&s, &l);
    assert_string_equal(l.fact[0].value, "it is hunter2");
    secrets_learn(&s, "hunter2", 7, true);
    secrets_hide(&s, &l);
    assert_string_equal(l.fact[0].value, X);
    assert_string_equal(l.fact[1].value, "it is not");
    secrets_free(&s);
}

/* Bytes made so that each of them looks like the beginning of eight secrets are not searched to
 * their end, and count as if they held one. */
static void test_cost(void **state)
{
    static char body[250000];
    struct secrets_walk w = {.raw = true};
    struct secrets_found found;
    struct secrets s;
    char secret[256];

    (void)state;
    secrets_init(&s);
    memset(secret, 'a', sizeof secret);
    for (char c = '0'; c < '8'; c++) {
        secret[sizeof secret - 1] = c;
        secrets_learn(&s, secret, sizeof secret, true);
    }
    memset(body, 'b', sizeof body);
    assert_false(secrets_find(&s, &w, body, 0, sizeof body, &found));
    assert_false(secrets_lost(&w));
    memset(body, 'a', sizeof body);
    for (size_t i = 200; i + 5 < sizeof body; i += 200)
        memcpy(body + i, "&#97;", 5);
    assert_false(secrets_find(&s, &w, body, 0, sizeof body, &found));
    assert_true(secrets_lost(&w));
    assert_true(secrets_hold(&s, body, sizeof body));
    secrets_free(&s);
}

/* ---- bytes that are no items ---- */

static const struct {
    const char *bytes; /* cut at each place in turn */
    bool named;        /* a password is */
} unreadables[] = {
    {"junk hunter<&2 junk", false},
    {"<hunter<&2/>hunter&lt;&#38;2 aHVudGVyPCYy 68756e7465723c2632", false},
    {"hunter<&", false},
    {"<password>x", true},
    {"my Password: x", true},
};

static void test_unreadable(void **state)
{
    static const char *const secret[] = {"hunter<&2", "hunter&lt;&#38;2", "aHVudGVyPCYy",
                                         "68756e7465723c2632"};
    struct secrets s;
    struct withhold w;
    struct buf out;

    (void)state;
    secrets_init(&s);
    secrets_learn(&s, "hunter<&2", 9, true);
    withhold_init(&w);
    buf_init(&out, 1u << 16);
    for (size_t i = 0; i < sizeof unreadables / sizeof *unreadables; i++) {
        const char *p = unreadables[i].bytes;
        size_t n = strlen(p);

        for (size_t step = 1; step <= n; step++) {
            bool kept = true;

            out.len = 0;
            for (size_t at = 0; at < n; at += step)
                kept = withhold_bytes(&w, &s, at > 0, p + at, n - at < step ? n - at : step, &out);
            assert_int_equal(buf_add(&out, "", 1), 0);
            assert_int_equal(kept, !unreadables[i].named);
            for (size_t k = 0; k < sizeof secret / sizeof *secret; k++)
                assert_null(strstr(out.p, secret[k]));
        }
    }
    out.len = 0;
    assert_true(withhold_bytes(&w, &s, false, "junk hun", 8, &out)); /* one may begin there */
    assert_true(withhold_bytes(&w, &s, true, "k", 1, &out));
    assert_true(withhold_bytes(&w, &s, false, "hu", 2, &out)); /* two letters are no sign */
    assert_true(withhold_bytes(&w, &s, true, "m", 1, &out));
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.p, "junk " X "khum");
    withhold_free(&w);
    buf_free(&out);
    secrets_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_known),  cmocka_unit_test(test_learnt),
        cmocka_unit_test(test_name),   cmocka_unit_test(test_bounds), cmocka_unit_test(test_facts),
        cmocka_unit_test(test_cost),   cmocka_unit_test(test_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* `xmpptap serve --replay`, from outside: what `demo` captured is played to a client of another
 * name, and both sessions are labelled the same; what is wrong with a capture is said. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "peer.h"
#include "records.h"
#include "run.h"

#define LIVE "juliet.example"
#define HEADER                                                                                     \
    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' "        \
    "to='" LIVE "' version='1.0'>"
#define QUERY(id, to, ns, in)                                                                      \
    "<iq type='get' id='" id "'" to "><query xmlns='" ns "'>" in "</query></iq>"

/* What the demo's client says, under another name and other ids, and what it then waits for. */
static const struct {
    const char *say, *wait_for;
    bool tls;
} steps[] = {
    {HEADER, "</stream:features>", false},
    {"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed", true},
    {HEADER, "</stream:features>", false},
    {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyM3Q=</auth>",
     "<success", false},
    {HEADER, "</stream:features>", false},
    {"<iq type='set' id='1'><bind "
     "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>"
     "</iq>",
     "<jid>juliet@" LIVE "/r</jid></bind></iq>", false},
    {"<iq type='set' id='2'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "/>",
     false},
    {QUERY("3", "", "jabber:iq:roster", ""), "</iq>", false},
    {"<presence><priority>50</priority></presence>" QUERY("4", "", "jabber:iq:privacy", "") QUERY(
         "5", "", "jabber:iq:private",
         "<storage xmlns='storage:bookmarks'/>") "<iq type='get' id='6' to='juliet@" LIVE
                                                 "'><vCard xmlns='vcard-temp'/></iq>" QUERY(
                                                     "7", " to='" LIVE "'",
                                                     "http://jabber.org/protocol/disco#info", ""),
     "</iq>", false},
    {QUERY("8", "", "jabber:iq:privacy", "<list name='blocked'/>"), "from=\"" LIVE "\"", false},
    {"<presence type='unavailable'/>", NULL, false},
};

static void wait_for(struct peer *p, const char *text)
{
    struct bytes heard = {0};

    while (!bytes_has(&heard, text) || heard.p[heard.len - 1] != '>')
        PEER_OK(p, peer_some(p, &heard));
    if (strstr(heard.p, DOMAIN))
        fail_msg("it still says whose the capture is: %s", heard.p);
    bytes_free(&heard);
}

static void log_in(struct box *b, int port)
{
    SSL_CTX *ctx = pki_client(box_ca_pem(b), 0);
    struct peer p;

    peer_init(&p, "client");
    PEER_OK(&p, peer_connect(&p, port));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        PEER_OK(&p, peer_sends(&p, steps[i].say));
        if (steps[i].wait_for)
            wait_for(&p, steps[i].wait_for);
        if (steps[i].tls)
            PEER_OK(&p, peer_tls_connect(&p, ctx, LIVE));
    }
    peer_close(&p);
    SSL_CTX_free(ctx);
}

/* The labels of the archive's only session, a line each. */
static void labels(struct box *b, const char *dir, struct bytes *out)
{
    struct records r;

    records_load(&r, b, dir);
    assert_int_equal(records_check(&r), 1);
    for (size_t i = 0; i < r.lines; i++)
        if (record_string(r.line[i], "label", out))
            bytes_str(out, "\n");
    records_free(&r);
}

static struct run *serve(struct box *b, const char *dir, const char *session)
{
    struct run *r = run_start(b,
                              (const char *const[]){NULL, "serve", "-l", "127.0.0.1:0", "-d", dir,
                                                    "--ca-dir", b->ca, "--replay", session, NULL},
                              -1);

    run_listening(r);
    return r;
}

static void test_capture_is_served(void **state)
{
    struct box *b = *state;
    const char *first = box_text(b, "%s/first", b->root),
               *second = box_text(b, "%s/second", b->root);
    struct bytes before = {0}, after = {0};
    struct run *r;

    assert_int_equal(run_program(b, "demo", "-d", first, "--ca-dir", b->ca, NULL)->status, 0);
    r = serve(b, second, first);
    log_in(b, r->port);
    run_says(r, "reason=closed");
    run_stop(r);
    assert_false(bytes_has(&r->err.text, "the capture has no answer"));
    labels(b, first, &before);
    labels(b, second, &after);
    assert_true(bytes_lines(&before) > 25);
    assert_string_equal(after.p, before.p);
    bytes_free(&before);
    bytes_free(&after);
    box_done(b);
}

/* Cut off, it is served as far as it goes, and that is said; without a login it is not. */
static void test_part_of_a_capture(void **state)
{
    struct box *b = *state;
    const char *whole = box_text(b, "%s/whole", b->root), *part = box_text(b, "%s/part", b->root);
    struct records r;
    struct run *s;
    size_t n = 0;

    assert_int_equal(run_program(b, "demo", "-d", whole, "--ca-dir", b->ca, NULL)->status, 0);
    records_load(&r, b, whole);
    for (size_t lines = r.lines - 4; lines; lines = lines > 4 ? 4 : 0) {
        struct bytes text = {0};
        const char *file = box_text(b, "%s-%zu.jsonl.gz", part, n++);

        for (size_t i = 0; i < lines; i++) {
            bytes_str(&text, r.line[i]);
            bytes_str(&text, "\n");
        }
        assert_true(bytes_save(file, text.p, text.len, 0600)); /* plain JSON Lines are read, too */
        bytes_free(&text);
        if (lines > 4) {
            s = serve(b, b->archive, file);
            run_says(s, "this session was cut off");
            run_stop(s);
            continue;
        }
        s = run_program(b, "serve", "-l", "127.0.0.1:0", "--ca-dir", b->ca, "--no-archive",
                        "--replay", file, NULL);
        assert_int_equal(s->status, 1);
        assert_true(bytes_has(&s->err.text, "its client never logged in"));
    }
    records_free(&r);
    box_done(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_capture_is_served, box_setup, box_teardown),
        cmocka_unit_test_setup_teardown(test_part_of_a_capture, box_setup, box_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The command line: what is wrong is said in one line with its cure and leaves nothing behind;
 * help, the CA's commands and the demo do what they say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"
#include "run.h"

#define DOCUMENTED   "tests/data/trace/documented.txt"
#define ARGS         14
#define UP           "tcp://127.0.0.1:%P"
#define WAYS         4 /* spellings of a cure, one of which must be there */

/* ---- bad input ---- */

/* In the arguments: %A archive folder, %C CA folder (good CA inside), %F a regular file, %P a
 * port in use, %W folder with a world-readable CA, %G folder with a garbage CA, %K a key. */
struct row {
    const char *name;
    const char *args[ARGS]; /* NULL behind the last */
    const char *names;      /* what the message names */
    const char *cure[WAYS];
    int status;
};

#define HELP                                                                                       \
    {                                                                                              \
        "--help", "xmpptap help"                                                                   \
    }
#define PROXY(...)                                                                                 \
    {                                                                                              \
        "proxy", "-l", "127.0.0.1:0", __VA_ARGS__                                                  \
    }

static const struct row rows[] = {
    {"no such command", {"frobnicate"}, "frobnicate", HELP, 2},
    {"no such option", {"proxy", "--frobnicate"}, "--frobnicate", HELP, 2},
    {"no such option of show", {"show", "--frobnicate"}, "--frobnicate", HELP, 2},
    {"no such command of ca", {"ca", "frobnicate"}, "frobnicate", {"show", "--help"}, 2},
    {"no such system", {"ca", "help-trust", "plan9"}, "plan9", {"debian, fedora"}, 2},
    {"one system too many", {"ca", "help-trust", "arch", "java"}, "java", {"--help"}, 2},
    {"option without its value", {"proxy", "--labels"}, "--labels", {"--help", "documented"}, 2},
    {"no such labels", {"proxy", "--labels", "klingon"}, "klingon", {"documented"}, 2},
    {"no such secrets", {"proxy", "--secrets", "maybe"}, "maybe", {"redact"}, 2},
    {"listen address without a port",
     {"proxy", "-l", "nonsense", "builtin:"},
     "nonsense",
     {"ADDR:PORT", "--help"},
     2},
    {"listen port too high",
     {"proxy", "-l", "127.0.0.1:70000", "builtin:"},
     "127.0.0.1:70000",
     {"ADDR:PORT", "65535", "--help"},
     2},
    {"no such way to be transparent",
     {"proxy", "--transparent=magic"},
     "magic",
     {"redirect|tproxy|tproxy-spoof"},
     2},
    {"no such PROXY protocol",
     {"proxy", "--send-proxy-protocol=v3", "tcp://127.0.0.1:%P"},
     "v3",
     {"v2|v1"},
     2},
    {"PROXY protocol for the embedded server",
     {"proxy", "--send-proxy-protocol", "builtin:"},
     "--send-proxy-protocol",
     {"server elsewhere"},
     2},
    {"balancer that is no CIDR",
     {"proxy", "--accept-proxy-protocol", "192.0.2.1/24", "builtin:"},
     "192.0.2.1/24",
     {"CIDR"},
     2},
    {"no such phase", {"serve", "--fault", "rooster.result=drop"}, "rooster.result",
     {"roster.result"}, 2},
    {"no such fault", {"proxy", "--fault", "roster.result=explode"}, "roster.result=explode",
     {"malformed or silent"}, 2},
    {"no such condition", {"proxy", "--fault", "roster.result=error:gnoe"}, "gnoe", {"gone"}, 2},
    {"no such kind of upstream",
     {"proxy", "ftp://example.org"},
     "ftp://example.org",
     {"tcp://", "--help"},
     2},
    {"upstream without a port that is one",
     {"proxy", "tcp://127.0.0.1:many"},
     "many",
     {"tcp://", "PORT", "--help"},
     2},
    {"two upstreams",
     {"proxy", "builtin:", "tcp://127.0.0.1:5222"},
     "tcp://127.0.0.1:5222",
     {"--help", "one"},
     2},
    {"port in use",
     {"proxy", "-l", "127.0.0.1:%P", "-d", "%A", "--ca-dir", "%C", "builtin:"},
     "127.0.0.1:%P",
     {"-l", "--listen"},
     1},
    {"CA that others can read",
     PROXY("-d", "%A", "--ca-dir", "%W", "builtin:"),
     "%W",
     {"chmod"},
     1},
    {"ca show of a CA that others can read", {"ca", "show", "--ca-dir", "%W"}, "%W", {"chmod"}, 1},
    {"garbage for a CA",
     PROXY("-d", "%A", "--ca-dir", "%G", "builtin:"),
     "%G",
     {"--ca-dir", "remove", "delete", "move"},
     1},
    {"archive below a file",
     PROXY("-d", "%F/archive", "--ca-dir", "%C", "builtin:"),
     "%F/archive",
     {"-d", "--archive-dir", "--no-archive"},
     1},
    {"archive where nothing can be made",
     PROXY("-d", "/proc/xmpptap", "--ca-dir", "%C", "builtin:"),
     "/proc/xmpptap",
     {"-d", "--archive-dir", "--no-archive"},
     1},
    {"CA below a file",
     PROXY("-d", "%A", "--ca-dir", "%F/ca", "builtin:"),
     "%F/ca",
     {"--ca-dir"},
     1},
    {"CA where nothing can be made",
     {"ca", "show", "--ca-dir", "/proc/xmpptap"},
     "/proc/xmpptap",
     {"--ca-dir"},
     1},
    {"missing upstream CA",
     PROXY("-d", "%A", "--ca-dir", "%C", "--upstream-ca", "%F.pem", "tcp://127.0.0.1:%P"),
     "%F.pem",
     {"--upstream-ca", "PEM"},
     1},
    {"garbage for an upstream CA",
     PROXY("-d", "%A", "--ca-dir", "%C", "--upstream-ca", "%F", "tcp://127.0.0.1:%P"),
     "%F",
     {"--upstream-ca", "PEM"},
     1},
    {"server's key without its certificate",
     PROXY("-d", "%A", "--ca-dir", "%C", "--server-key", "%F", "builtin:"),
     "--server-key",
     {"--server-cert"},
     2},
    {"client's key without its certificate",
     PROXY("-d", "%A", "--ca-dir", "%C", "--client-key", "%F", "builtin:"),
     "--client-key",
     {"--client-cert"},
     2},
    {"missing server certificate",
     PROXY("-d", "%A", "--ca-dir", "%C", "--server-cert", "%F.pem", "builtin:"),
     "%F.pem",
     {"--server-cert"},
     1},
    {"garbage for a server certificate",
     PROXY("-d", "%A", "--ca-dir", "%C", "--server-cert", "%F", "builtin:"),
     "%F",
     {"--server-cert"},
     1},
    {"garbage for a client's key",
     PROXY("-d", "%A", "--ca-dir", "%C", "--client-cert", "%C/ca.pem", "--client-key", "%F", UP),
     "%F",
     {"--client-key"},
     1},
    {"a key that is not the certificate's",
     PROXY("-d", "%A", "--ca-dir", "%C", "--server-cert", "%C/ca.pem", "--server-key", "%K", UP),
     "%K",
     {"--server-key"},
     1},
    {"a server's key that everybody can read",
     PROXY("-d", "%A", "--ca-dir", "%C", "--server-cert", "%W/ca.pem", "builtin:"),
     "%W/ca.pem",
     {"chmod 600"},
     1},
    {"a key log that others can read",
     PROXY("-d", "%A", "--ca-dir", "%C", "--keylog", "%W/ca.pem", "builtin:"),
     "%W/ca.pem",
     {"chmod 600"},
     1},
    {"a key log below a file",
     PROXY("-d", "%A", "--ca-dir", "%C", "--keylog", "%F/keys", "builtin:"),
     "%F/keys",
     {"--keylog"},
     1},
    {"a size with a unit that is none",
     {"proxy", "--queue-bytes", "32q", "builtin:"},
     "--queue-bytes 32q",
     {"64k"},
     2},
    {"a size that is too small", {"proxy", "--wait-bytes", "1", "builtin:"}, "1", {"64k"}, 2},
    {"a size that is too large", {"proxy", "--item-bytes", "17179869185g", "builtin:"}, "g", {"1g"}, 2},
    {"no workers", {"proxy", "--workers", "0", "builtin:"}, "--workers 0", {"1 to 64"}, 2},
    {"too many workers", {"serve", "--workers", "65"}, "--workers 65", {"1 to 64"}, 2},
    {"workers without a number", {"proxy", "--workers", "2x", "builtin:"}, "2x", {"1 to 64"}, 2},
    {"a mechanism that is none",
     {"serve", "--mechanisms", "PLAIN,SCRAM-MD5"},
     "SCRAM-MD5",
     {"SCRAM-SHA-512-PLUS, SCRAM-SHA-256-PLUS, ", "PLAIN, ANONYMOUS"},
     2},
    {"SCRAM alone, and no passwords",
     {"serve", "--profile", "modern", "--mechanisms", "SCRAM-SHA-1,SCRAM-SHA-256-PLUS"},
     "SCRAM needs passwords",
     {"--accounts FILE"},
     2},
    {"no mechanism at all", {"serve", "--mechanisms", ""}, "mechanism", {"such as PLAIN"}, 2},
    {"a profile of nothing",
     {"serve", "--profile", "/dev/null"},
     "nobody can log in",
     {"mechanisms = PLAIN"},
     2},
    {"a profile that is not there", {"serve", "--profile", "moderm"}, "moderm", {"modern"}, 1},
    {"SASL2 for a server elsewhere",
     {"proxy", "--modern", "tcp://127.0.0.1:%P"},
     "--modern",
     {"builtin:"},
     2},
    {"no time for a login", {"proxy", "--negotiation-timeout", "0", "builtin:"}, "0", {"1 to"}, 2},
    {"transcript into a folder that is none",
     PROXY("-d", "%A", "--ca-dir", "%C", "-o", "%F/o", "builtin:"),
     "%F/o",
     {"-o"},
     1},
    {"a capture that is not there",
     {"serve", "-l", "127.0.0.1:0", "-d", "%A", "--ca-dir", "%C", "--replay", "%F.gz"},
     "%F.gz",
     {"file or folder"},
     1},
    {"what is no capture",
     {"serve", "-l", "127.0.0.1:0", "-d", "%A", "--ca-dir", "%C", "--replay", "%F"},
     "%F",
     {"archive", ".jsonl.gz"},
     1},
    {"a capture's name that nothing has",
     {"serve", "-l", "127.0.0.1:0", "-d", "%A", "--ca-dir", "%C", "--replay", "x.jsonl.gz"},
     "no file x.jsonl.gz",
     {"xmpptap list"},
     1},
    {"a captured session that is not there",
     {"serve", "-l", "127.0.0.1:0", "-d", "%A", "--ca-dir", "%C", "--replay", "%A#nobody"},
     "nobody",
     {"xmpptap list"},
     1},
    {"no such speed",
     {"serve", "-l", "127.0.0.1:0", "--replay", "%F", "--speed", "0"},
     "--speed 0",
     {"max"},
     2},
    {"speed of nothing", {"serve", "--speed", "2"}, "--speed", {"--replay"}, 2},
    {"a capture and a profile",
     {"serve", "--replay", "%F", "--profile", "modern"},
     "--profile",
     {"one of them"},
     2},
    {"a capture for a server elsewhere",
     {"proxy", "--replay", "%F", UP},
     "--replay",
     {"builtin:"},
     2},
    {"show of what is not there",
     {"show", "-d", "%A", "no-such-session"},
     "no-such-session",
     {"xmpptap list", "list"},
     1},
    {"list of what is not there",
     {"list", "-d", "%A", "x.jsonl.gz"},
     "no file or folder x.jsonl.gz",
     {"xmpptap show SESSION"},
     1},
    {"show of what is no archive", {"show", "%F"}, "%F", {"archive", ".jsonl.gz", "list"}, 1},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* What the rows' arguments stand for. */
struct ground {
    const char *file, *world, *garbage, *key;
    int listener, port;
};

static void ground_init(struct ground *g, struct box *b)
{
    struct bytes pem = {0};
    g->file = box_text(b, "%s/regular-file", b->root);
    g->world = box_text(b, "%s/world", b->root);
    g->garbage = box_text(b, "%s/garbage", b->root);
    g->listener = peer_listen(&g->port);
    assert_true(g->listener >= 0);
    assert_int_equal(run_program(b, "ca", "show", "--ca-dir", b->ca, NULL)->status, 0);
    assert_int_equal(mkdir(b->archive, 0700), 0);
    assert_int_equal(mkdir(g->world, 0700), 0);
    assert_int_equal(mkdir(g->garbage, 0700), 0);
    assert_true(bytes_save(g->file, "not it\n", 7, 0600));
    assert_true(bytes_file(&pem, box_text(b, "%s/ca.pem", b->ca)));
    assert_true(bytes_save(box_text(b, "%s/ca.pem", g->world), pem.p, pem.len, 0644));
    assert_true(bytes_save(box_text(b, "%s/ca.pem", g->garbage), "garbage\n", 8, 0600));
    g->key = box_text(b, "%s/key.pem", b->root);
    pki_save_identity(&b->pki, DOMAIN, box_text(b, "%s/cert.pem", b->root), g->key);
    bytes_free(&pem);
}

/* `s` with its %-letters replaced. */
static const char *fill_in(struct box *b, const struct ground *g, const char *s)
{
    const char *mark = strchr(s, '%');
    if (!mark)
        return s;
    const char *value = mark[1] == 'A'   ? b->archive
                        : mark[1] == 'C' ? b->ca
                        : mark[1] == 'F' ? g->file
                        : mark[1] == 'W' ? g->world
                        : mark[1] == 'G' ? g->garbage
                        : mark[1] == 'K' ? g->key
                                         : box_text(b, "%d", g->port);
    return box_text(b, "%.*s%s%s", (int)(mark - s), s, value, mark + 2);
}

static void assert_message(struct run *r, const char *names, const char *const *cure)
{
    bool cured = false;
    if (bytes_lines(&r->err.text) != 1)
        fail_msg("not one line: %s", r->err.text.p);
    if (!bytes_has(&r->err.text, names))
        fail_msg("does not name %s: %s", names, r->err.text.p);
    for (int i = 0; i < WAYS && cure[i]; i++)
        cured |= bytes_has(&r->err.text, cure[i]);
    if (!cured)
        fail_msg("names no cure (%s ...): %s", cure[0], r->err.text.p);
}

static void test_bad_input(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    const char *argv[ARGS + 1] = {NULL};
    struct ground g;
    struct bytes before = {0}, after = {0};
    ground_init(&g, b);
    for (int i = 0; i < ARGS && row->args[i]; i++)
        argv[i + 1] = fill_in(b, &g, row->args[i]);
    box_listing(b, &before);
    struct run *r = run_start(b, argv, -1);
    run_wait(r, RUN_STOP_MS);
    assert_int_equal(r->status, row->status);
    assert_int_equal(r->out.text.len, 0);
    assert_message(r, fill_in(b, &g, row->names), row->cure);
    box_listing(b, &after);
    assert_string_equal(after.p, before.p); /* nothing is left behind */
    bytes_free(&before);
    bytes_free(&after);
    close(g.listener);
    box_done(b);
}

/* ---- help ---- */

static void test_help(void **state)
{
    static const struct {
        const char *command, *options[24];
    } commands[] = {
        {"proxy",
         {"-l", "--listen", "-d", "--archive-dir", "--no-archive", "--ca-dir", "--upstream-ca",
          "--insecure", "--keylog", "--labels", "--secrets", "--handshake-timeout", "-o", "-q", "--quiet", "-v",
          "--server-cert", "--client-cert", "--no-tls-resumption", "--help", "builtin:", "tcp://"}},
        {"serve", {"--listen", "--archive-dir", "--labels", "--secrets", "--help"}},
        {"show", {"-d", "--archive-dir", "--labels", "--help"}},
        {"list", {"-d", "--archive-dir", "--help"}},
        {"replay", {"--to", "--account", "--password-file", "--wait", "--json", "-d", "--upstream-ca",
                    "--insecure", "FILE[#SESSION]", "--help"}},
        {"ca", {"show", "export", "help-trust", "--ca-dir", "--help"}},
        {"demo", {"--help"}},
    };
    struct box *b = *state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct run *r = run_program(b, commands[i].command, "--help", NULL);
        if (r->status != 0 || r->err.text.len)
            fail_msg("%s --help: status %d, %s", commands[i].command, r->status, r->err.text.p);
        for (const char *const *o = commands[i].options; *o; o++)
            if (!bytes_has(&r->out.text, *o))
                fail_msg("%s --help does not name %s", commands[i].command, *o);
    }
    struct run *r = run_program(b, "--help", NULL);
    assert_int_equal(r->status, 0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!bytes_has(&r->out.text, commands[i].command))
            fail_msg("--help does not name %s", commands[i].command);
    struct run *none = run_start(b, (const char *const[]){NULL, NULL}, -1);
    run_wait(none, RUN_STOP_MS);
    assert_int_equal(none->status, 2);
    assert_true(none->err.text.len > 0);
    box_done(b);
}

/* ---- the CA's commands ---- */

static void test_ca(void **state)
{
    struct box *b = *state;
    struct stat st;
    const char *path = box_text(b, "%s/ca.pem", b->ca);
    struct run *show = run_program(b, "ca", "show", "--ca-dir", b->ca, NULL);
    assert_int_equal(show->status, 0);
    if (!bytes_has(&show->out.text, path))
        fail_msg("ca show does not name %s: %s", path, show->out.text.p);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    const char *pem = box_ca_pem(b);
    assert_null(strstr(pem, "PRIVATE KEY"));
    X509 *ca = pki_parse(pem);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_verify(ca, X509_get0_pubkey(ca)), 1);
    X509_free(ca);
    assert_string_equal(box_ca_pem(b), pem); /* made once */
    box_done(b);
}

/* The commands stand there as a shell takes them, whatever the folder is called; what they copy is
 * the certificate without the key. */
static void test_help_trust(void **state)
{
    static const char *const systems[] = {"debian", "fedora",  "arch", "macos",         "windows",
                                          "firefox", "java", "psi",  "conversations", "gajim"};
    struct box *b = *state;
    const char *dir = box_text(b, "%s/it's a $HOME", b->root);
    struct bytes pem = {0};
    struct stat st;
    struct run *all = run_program(b, "ca", "--ca-dir", dir, "help-trust", NULL);
    assert_int_equal(all->status, 0);
    for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
        struct run *one = run_program(b, "ca", "--ca-dir", dir, "help-trust", systems[i], NULL);
        assert_int_equal(one->status, 0);
        if (!bytes_has(&all->out.text, box_text(b, "(%s)", systems[i])) ||
            !bytes_has(&one->out.text, "xmpptap-ca.crt") || !bytes_has(&one->out.text, "undo:") ||
            one->out.text.len > all->out.text.len / 2)
            fail_msg("help-trust %s: %s", systems[i], one->out.text.p);
    }
    char *line = strstr(all->out.text.p, "mkdir -p ~/");
    assert_non_null(line);
    run_command(b, "sh", "-c",
                box_text(b, "HOME=%s; %.*s", b->root, (int)strcspn(line, "\n"), line), NULL);
    assert_true(bytes_file(&pem, box_text(b, "%s/.local/share/psi/certs/xmpptap.crt", b->root)));
    struct run *export = run_program(b, "ca", "export", "--ca-dir", dir, NULL);
    assert_string_equal(pem.p, export->out.text.p);
    assert_false(bytes_has(&pem, "PRIVATE KEY"));
    assert_int_equal(stat(box_text(b, "%s/xmpptap-ca.crt", dir), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    bytes_free(&pem);
    box_done(b);
}

/* ---- the demo ---- */

/* The command that the demo names, run as it stands, prints what the demo printed. */
static void assert_shown_again(struct run *demo)
{
    static const char lead[] = "Show it again:  ";
    const char *line = strstr(demo->err.text.p, lead);
    struct bytes shown = {0};
    char command[1024], part[4096];
    size_t n;
    assert_non_null(line);
    line += sizeof(lead) - 1;
    snprintf(command, sizeof(command), "%.*s", (int)strcspn(line, "\n"), line);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        bytes_add(&shown, part, n);
    assert_int_equal(pclose(f), 0);
    assert_string_equal(shown.p, demo->out.text.p);
    bytes_free(&shown);
}

static void test_demo(void **state)
{
    struct box *b = *state;
    struct bytes file = {0}, want = {0}, got = {0};
    struct run *demo = run_program(b, "demo", NULL);
    assert_int_equal(demo->status, 0);
    assert_true(bytes_file(&file, DOCUMENTED));
    bytes_without_blank_lines(&file, &want);
    bytes_without_blank_lines(&demo->out.text, &got);
    /* The documented first section comes last on the wire. */
    size_t first = (size_t)(strstr(want.p, "\n####") + 1 - want.p);
    if (want.p[want.len - 1] != '\n')
        bytes_str(&want, "\n");
    bytes_add(&want, want.p, first);
    bytes_drop(&want, first);
    assert_string_equal(got.p, want.p);
    assert_true(bytes_has(&demo->err.text, ".jsonl.gz"));
    assert_shown_again(demo);
    bytes_free(&file);
    bytes_free(&want);
    bytes_free(&got);
    box_done(b);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name, box_setup, box_teardown, NULL                                                 \
    }

static const struct CMUnitTest others[] = {
    TEST(test_help),
    TEST(test_ca),
    TEST(test_help_trust),
    TEST(test_demo),
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
    struct CMUnitTest tests[OTHERS + ROWS];
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < ROWS; i++)
        tests[OTHERS + i] = (struct CMUnitTest){rows[i].name, test_bad_input, box_setup,
                                                box_teardown, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

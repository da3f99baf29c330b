/* The embedded server's plain files: settings, profiles, accounts, and what is wrong in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../proxy/server/accounts.h"
#include "../../proxy/server/settings.h"

/* A file of this text; its name is borrowed until the next one. */
static const char *file_of(const char *text)
{
    static char name[64];
    int fd;

    snprintf(name, sizeof name, "%s", "/tmp/xmpptap-test-XXXXXX");
    fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return name;
}

static int append(void *arg, const struct setting *s, struct error *e)
{
    (void)e;
    return buf_printf(arg, "%u:%s|%s|%s\n", s->line, s->section, s->key ? s->key : "",
                      s->value);
}

static void test_settings(void **state)
{
    char text[] = "a = 1\n# no\n\n [ sec tion ]\r\n  b=\" x \"\n;c = d\nc = d = e\nempty =";
    struct error e = {0};
    struct buf got;

    (void)state;
    buf_init(&got, 4096);
    assert_int_equal(settings_read(text, "x", append, &got, &e), 0);
    assert_int_equal(buf_add(&got, "", 1), 0);
    assert_string_equal(got.p, "1:|a|1\n4:sec tion||\n5:sec tion|b| x \n7:sec tion|c|d = e\n"
                               "8:sec tion|empty|\n");
    buf_free(&got);
}

static void test_words(void **state)
{
    char text[] = "  one \"two words\"three  \"\" \"open";
    static const char *const wanted[] = {"one", "two words", "three", "", "\"open"};
    char *p = text;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_string_equal(settings_word(&p), wanted[i]);
    assert_null(settings_word(&p));
}

static void test_built_in(void **state)
{
    static const char *const names[] = {"documented", "modern"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct error e = {0};
        struct profile *p = profile_open(names[i], &e);

        if (!p)
            fail_msg("%s", e.detail);
        assert_true(profile_has(p, FEATURE_STARTTLS));
        assert_int_equal(p->starttls_required, i == 1);
        assert_non_null(p->mechanism[0]);
        assert_true(p->domain_info.len > 100);
        profile_free(p);
    }
}

/* What is wrong is said with the file's name, the line, and what to do. */
static void test_bad_profiles(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"name = a\nnonsense = 1\n", "line 2: a profile has no setting nonsense"},
        {"[section]\n", "no section section"},
        {"name\n", "line 1: this is no `key = value`"},
        {"[open\n", "a section's name ends with ]"},
        {"starttls = maybe\n", "maybe is not one of its values, which are optional, required"},
        {"features = bind nothing\n", "nothing is no feature"},
        {"mechanisms =\n", "give one mechanism at least, such as PLAIN"},
        {"vcard = <a>\n", "no well-formed XML: <a>"},
        {"domain-info = <a b=c/>\n", "no well-formed XML"},
        {"privacy-list = <list name='a'><item action='deny' order='1'/></list>\n"
         "privacy-list = <lits/>\n",
         "line 2: no privacy list"},
        {"privacy-list = <list name='a'/>\n", "line 1: no privacy list with items"},
        {"privacy-default = a\n", "no privacy-list has the name of privacy-default, a"},
        {"privacy-active = b\nprivacy-list = <list name='a'><item action='deny' order='1'/></list>\n",
         "no privacy-list has the name of privacy-active, b"},
        {"contact = a@b\n", "a contact is `JID SUBSCRIPTION [NAME]`"},
        {"contact = a@b all\n", "all is no subscription"},
        {"contact-resource = x\n", "no contact stands above it"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = file_of(rows[i].text);
        struct error e = {0};

        assert_null(profile_open(name, &e));
        unlink(name);
        if (!strstr(e.detail, rows[i].says) || !strstr(e.detail, name))
            fail_msg("%s: %s", rows[i].text, e.detail);
    }
}

static void test_no_file(void **state)
{
    struct error e = {0};

    (void)state;
    assert_null(profile_open("/nonexistent/x", &e));
    assert_string_equal(e.detail, "cannot read /nonexistent/x: No such file or directory");
    assert_int_equal(e.code, ERR_IO);
}

static struct world *new_world(void)
{
    struct profile *p = profile_open("modern", NULL);

    assert_non_null(p);
    return world_new(p);
}

static void free_world(struct world *w)
{
    struct profile *p = (struct profile *)w->profile;

    world_free(w);
    profile_free(p);
}

static void test_accounts(void **state)
{
    struct world *w = new_world();
    const char *name = file_of("[Ann@Example.ORG]\npassword = \" pass word\"\n"
                               "roster = BOB@example.org both \"Bob B\" Friends \"The Band\"\n"
                               "[bob@example.org]\npassword=x\n");
    const struct roster_item *i;
    const struct user *u;
    struct error e = {0};

    (void)state;
    if (accounts_load(w, name, &e))
        fail_msg("%s", e.detail);
    unlink(name);
    u = world_find(w, "ann@example.org");
    assert_non_null(u);
    assert_true(credentials_allow(&u->credentials, " pass word"));
    assert_false(credentials_allow(&u->credentials, "pass word"));
    assert_false(credentials_allow(&u->credentials, ""));
    i = roster_find(&u->roster, "bob@example.org");
    assert_non_null(i);
    assert_int_equal(i->subscription, SUB_TO | SUB_FROM);
    assert_string_equal(i->name, "Bob B");
    assert_string_equal(i->group[1], "The Band");
    assert_null(i->group[2]);
    assert_true(w->closed);
    assert_true(world_serves(w, "example.org"));
    assert_false(world_serves(w, "example.com"));
    free_world(w);
}

static void test_bad_accounts(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "has no accounts"},
        {"password = x\n", "line 1: whose password is this?"},
        {"[ann]\n", "[ann] is no account; give [LOCALPART@DOMAIN]"},
        {"[ann@b/c]\n", "is no account"},
        {"[a@b]\n[A@B]\n", "line 2: [A@B] stands there twice"},
        {"[a@b]\npassword =\n", "line 2: the password is empty"},
        {"[a@b]\nroster = c@d maybe\n", "a roster's entry is"},
        {"[a@b]\nroster = c@@d both\n", "a roster's entry is"},
        {"[a@b]\nshoe = 41\n", "an account has no setting shoe"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = file_of(rows[i].text);
        struct world *w = new_world();
        struct error e = {0};

        assert_int_equal(accounts_load(w, name, &e), ERR_USAGE);
        unlink(name);
        if (!strstr(e.detail, rows[i].says))
            fail_msg("%s: %s", rows[i].text, e.detail);
        free_world(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_words),
        cmocka_unit_test(test_built_in), cmocka_unit_test(test_bad_profiles),
        cmocka_unit_test(test_no_file),  cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_bad_accounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Writes docs/labels.md from the label table (make docs). */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { C2S = 1, S2C = 2, BOTH = C2S | S2C };
enum phase { ANY, OPEN, TLS, BOUND };
enum when { ALWAYS, FIRST, BROADCAST, HOME, SERVER, SELF, NOBODY, EMPTY };

struct row {
    const char *section; /* a heading; the rest is then empty */
    const char *id;
    int dir;
    enum phase phase;
    const char *element, *type, *payload, *inner;
    enum when when;
    const char *request;
    bool bare;
    const char *zh, *en;
};

static const char HEADER[] = "a stream header, or the features behind it";
static const char CLOSE[] = "`</stream:stream>`";

#define ROW(id, dir, phase, element, type, payload, inner, when, request, bare, zh, en)            \
    {NULL, id, dir, phase, element, type, payload, inner, when, request, bare, zh, en},
#define SECTION(title) {.section = title},

static const struct row rows[] = {
#include "../../decoder/labels.def"
};

static const char *const directions[] = {[C2S] = "client", [S2C] = "server", [BOTH] = "both"};
static const char *const phases[] = {
    [ANY] = "",
    [OPEN] = "; before TLS",
    [TLS] = "; between TLS and login",
    [BOUND] = "; after the login",
};
static const char *const whens[] = {
    [ALWAYS] = "",
    [FIRST] = "; the first of its direction",
    [BROADCAST] = "; without `to`",
    [HOME] = "; without `to`, or to the own account",
    [SERVER] = "; without `to`, or to the own domain",
    [SELF] = "; from the own account",
    [NOBODY] = "; without `<body/>`",
    [EMPTY] = "; empty",
};

static const char head[] =
    "# Labels\n"
    "\n"
    "Every phase that a transcript names, made from `decoder/labels.def` by `make docs`. The id "
    "is\n"
    "what an archive carries, the texts are those of `--labels`: `documented` and `zh` are the "
    "same\n"
    "but for rows marked *bare*, which `documented` leaves without a label where they follow an\n"
    "item of their own direction. The first row that fits is taken. `*` at the end of a namespace\n"
    "or a value stands for any rest but none. How labels are used: [transcript.md](transcript.md).\n"
    "\n"
    "An answer is named by its request (RFC 6120 §8.2.3); one that nobody asked for, or whose\n"
    "request has no row, is `iq.other`.\n";

/* "NS", "NS name" or "NS name attribute=value" of `len` bytes, as one would write it. */
static void print_term(const char *p, int len)
{
    int ns = (int)strcspn(p, " "), name;

    if (ns >= len) {
        printf("anything of `%.*s`", len, p);
        return;
    }
    name = (int)strcspn(p + ns + 1, " ");
    printf("`<%.*s xmlns='%.*s'", name, p + ns + 1, ns, p);
    if (ns + 1 + name < len) {
        const char *attr = p + ns + 1 + name + 1;
        int key = (int)strcspn(attr, "=");

        printf(" %.*s='%.*s'", key, attr, (int)(p + len - attr) - key - 1, attr + key + 1);
    }
    printf(">`");
}

static void print_pattern(const char *p)
{
    for (;;) {
        const char *both = strstr(p, " & "), *either = strstr(p, " | ");
        const char *end = both && (!either || both < either) ? both : either;

        print_term(p, end ? (int)(end - p) : (int)strlen(p));
        if (!end)
            return;
        printf("%s", end == both ? " and " : " or ");
        p = end + 3;
    }
}

static void print_match(const struct row *r)
{
    if (r->request)
        printf("%s of `%s`", r->type, r->request);
    else if (!r->element)
        printf("any other element");
    else if (r->element != HEADER && r->element != CLOSE && strchr(r->element, ' '))
        print_pattern(r->element);
    else
        printf("%s%s%s", r->element, r->type ? " " : "",
               r->type ? *r->type ? r->type : "without type" : "");
    if (r->payload) {
        printf(", holding ");
        print_pattern(r->payload);
    }
    if (r->inner) {
        printf(", in it ");
        print_pattern(r->inner);
    }
    printf("%s%s%s", whens[r->when], phases[r->phase], r->bare ? "; *bare*" : "");
}

int main(void)
{
    fputs(head, stdout);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];

        if (r->section) {
            printf("\n## %s\n\n| id | from | what it is | documented, zh | en |\n"
                   "| --- | --- | --- | --- | --- |\n",
                   r->section);
            continue;
        }
        printf("| `%s` | %s | ", r->id, directions[r->dir]);
        print_match(r);
        printf(" | %s | %s |\n", r->zh ? r->zh : "(made)", r->en ? r->en : "(made)");
    }
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}

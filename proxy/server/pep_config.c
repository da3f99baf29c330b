#include "pep_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "ns.h"

enum kind { TEXT, LIST, BOOL, NUMBER };

static const struct option {
    const char *name;
    enum kind kind;
    unsigned initial;
    const char *values; /* of a list, a blank between them */
    const char *label;
} options[PEP_OPTIONS] = {
#define PEP_OPTION(id, name, kind, initial, values, label) {name, kind, initial, values, label},
#include "pep_options.def"
#undef PEP_OPTION
};

void pep_config_init(struct pep_config *c)
{
    *c = (struct pep_config){.value = {0}};
    for (int o = 0; o < PEP_OPTIONS; o++)
        c->value[o] = options[o].initial;
}

/* ---- values ---- */

static bool take_list(const char *words, const char *value, unsigned *place)
{
    for (*place = 0; *words; ++*place) {
        size_t n = strcspn(words, " ");

        if (strlen(value) == n && memcmp(words, value, n) == 0)
            return true;
        words += n + strspn(words + n, " ");
    }
    return false;
}

static bool take_number(const char *value, unsigned *number)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (strcmp(value, "max") == 0) {
        *number = PEP_ITEMS;
        return true;
    }
    if (*value < '0' || *value > '9' || *end || n == 0 || n > PEP_ITEMS)
        return false;
    *number = (unsigned)n;
    return true;
}

static bool take_bool(const char *value, unsigned *b)
{
    *b = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    return *b || strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
}

static bool take_value(struct pep_config *c, int o, const char *value)
{
    unsigned *to = &c->value[o], taken = 0;
    bool ok = false;

    switch (options[o].kind) {
    case TEXT:
        if (strlen(value) > PEP_TEXT)
            return false;
        strcpy(c->text[o], value);
        return true;
    case LIST:
        ok = take_list(options[o].values, value, &taken);
        break;
    case BOOL:
        ok = take_bool(value, &taken);
        break;
    case NUMBER:
        ok = take_number(value, &taken);
        break;
    }
    if (ok)
        *to = taken;
    return ok;
}

/* ---- the form ---- */

static int find_option(const char *var)
{
    static const char prefix[] = "pubsub#";

    if (strncmp(var, prefix, sizeof prefix - 1) != 0)
        return -1;
    for (int o = 0; o < PEP_OPTIONS; o++)
        if (strcmp(options[o].name, var + sizeof prefix - 1) == 0)
            return o;
    return -1;
}

/* The text of field `i`'s first value. */
static const char *value_of(const struct item *form, unsigned i)
{
    for (unsigned k = i + 1; k < form->nodes && form->node[k].depth > 2; k++)
        if (form->node[k].depth == 3 && item_is(form, k, NS_FORM, "value"))
            return form->node[k].text;
    return "";
}

bool pep_config_take(struct pep_config *c, const struct item *form, bool strict)
{
    if (form->lacks)
        return false;
    for (unsigned i = 1; i < form->nodes; i++) {
        const char *var = item_attr(form, i, "var");
        int o;

        if (form->node[i].depth != 2 || !item_is(form, i, NS_FORM, "field") || !var ||
            strcmp(var, "FORM_TYPE") == 0)
            continue;
        o = find_option(var);
        if (o < 0 ? strict : !take_value(c, o, value_of(form, i)))
            return false;
    }
    return true;
}

bool pep_config_equal(const struct pep_config *a, const struct pep_config *b)
{
    for (int i = 0; i < PEP_TEXTS; i++)
        if (strcmp(a->text[i], b->text[i]) != 0)
            return false;
    return memcmp(a->value, b->value, sizeof a->value) == 0;
}

const char *pep_config_word(const struct pep_config *c, enum pep_option o, char out[32])
{
    const char *words = options[o].values;

    for (unsigned i = 0; i < c->value[o]; i++)
        words += strcspn(words, " ") + 1;
    snprintf(out, 32, "%.*s", (int)strcspn(words, " "), words);
    return out;
}

static int put_choices(struct buf *out, const char *words)
{
    int err = 0;

    while (!err && words && *words) {
        int n = (int)strcspn(words, " ");

        err = buf_printf(out, "<option><value>%.*s</value></option>", n, words);
        words += n + (words[n] == ' ');
    }
    return err;
}

static int put_value(const struct pep_config *c, int o, struct buf *out)
{
    char word[32];

    switch (options[o].kind) {
    case TEXT:
        return markup_escape(out, c->text[o]);
    case LIST:
        return buf_str(out, pep_config_word(c, (enum pep_option)o, word));
    case BOOL:
    case NUMBER:
        break;
    }
    return buf_printf(out, "%u", c->value[o]);
}

int pep_config_put(const struct pep_config *c, struct buf *out)
{
    static const char *const types[] = {"text-single", "list-single", "boolean", "text-single"};
    int err = buf_str(out, "<x xmlns=\"" NS_FORM "\" type=\"form\"><field var=\"FORM_TYPE\" "
                           "type=\"hidden\"><value>" NS_PUBSUB "#node_config</value></field>");

    for (int o = 0; o < PEP_OPTIONS && !err; o++) {
        err = buf_printf(out, "<field var=\"pubsub#%s\" type=\"%s\" label=\"%s\"><value>",
                         options[o].name, types[options[o].kind], options[o].label);
        if (!err)
            err = put_value(c, o, out);
        if (!err)
            err = buf_str(out, "</value>");
        if (!err)
            err = put_choices(out, options[o].values);
        if (!err)
            err = buf_str(out, "</field>");
    }
    return err ? err : buf_str(out, "</x>");
}

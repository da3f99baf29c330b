#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 100
#define BYTES_MIN (4u << 10)
#define BYTES_MAX (1u << 30)
#define HELP     1000 /* a value that no letter has */

int usage_error(const struct command *c, const char *fmt, ...)
{
    va_list ap;

    fputs("xmpptap: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "; see `xmpptap%s%s --help`\n", c ? " " : "", c ? c->name : "");
    return 2;
}

static void print_help(const struct command *c)
{
    printf("Usage: xmpptap %s %s\n%s\n\n", c->name, c->usage, c->help);
    for (const struct option_row *r = c->rows; r->name; r++) {
        char left[64];
        bool optional = r->type == OPTION_OPTIONAL;

        snprintf(left, sizeof left, "%c%c%c --%s%s%s%s", r->letter ? '-' : ' ',
                 r->letter ? r->letter : ' ', r->letter ? ',' : ' ', r->name,
                 optional ? "[=" : r->arg ? " " : "", r->arg ? r->arg : "", optional ? "]" : "");
        if (strlen(left) > 30)
            printf("  %s\n  %-30s %s\n", left, "", r->help);
        else
            printf("  %-30s %s\n", left, r->help);
    }
    printf("  %-30s %s\n", "    --help", "print this and exit");
}

static int choice_index(const char *choices, const char *value)
{
    size_t n = strlen(value);
    int i = 0;

    for (const char *p = choices; p; i++) {
        size_t len = strcspn(p, "|");

        if (len == n && memcmp(p, value, n) == 0)
            return i;
        p = p[len] ? p + len + 1 : NULL;
    }
    return -1;
}

static int add_string(const struct command *c, const struct option_row *r, const char **list,
                      const char *value)
{
    int i = 0;

    while (list[i])
        i++;
    if (i == OPTION_STRINGS_MAX - 1)
        return usage_error(c, "--%s is given more than %d times", r->name, i);
    list[i] = value;
    return 0;
}

static bool parse_bytes(const char *value, size_t *bytes)
{
    static const char units[] = "kmg";
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;

    if (*value < '0' || *value > '9' || n > BYTES_MAX || (*end && (!unit || end[1])))
        return false;
    if (unit)
        n <<= 10 * (unit - units + 1);
    *bytes = (size_t)n;
    return n >= BYTES_MIN && n <= BYTES_MAX;
}

/* 0, or 2 with the error said. */
static int set_value(const struct command *c, const struct option_row *r, void *at,
                     const char *value)
{
    char *end;
    unsigned long n;
    int i;

    switch (r->type) {
    case OPTION_FLAG:
        *(bool *)at = true;
        break;
    case OPTION_UNFLAG:
        *(bool *)at = false;
        break;
    case OPTION_STRING:
        *(const char **)at = value;
        break;
    case OPTION_STRINGS:
        return add_string(c, r, at, value);
    case OPTION_SECONDS:
        n = strtoul(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || n < 1 || n > 86400)
            return usage_error(c, "--%s %s: give whole seconds, 1 to 86400", r->name, value);
        *(unsigned *)at = (unsigned)n;
        break;
    case OPTION_COUNT:
        n = strtoul(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || n < 1 || n > OPTION_COUNT_MAX)
            return usage_error(c, "--%s %s: give a whole number, 1 to %d", r->name, value,
                               OPTION_COUNT_MAX);
        *(unsigned *)at = (unsigned)n;
        break;
    case OPTION_BYTES:
        if (!parse_bytes(value, at))
            return usage_error(c, "--%s %s: give a size from 4k to 1g, such as 64k or 32m", r->name,
                               value);
        break;
    case OPTION_CHOICE:
    case OPTION_OPTIONAL:
        i = value ? choice_index(r->arg, value) : 0;
        if (i < 0)
            return usage_error(c, "--%s %s: give one of %s", r->name, value, r->arg);
        *(int *)at = i + (r->type == OPTION_OPTIONAL);
        break;
    }
    return 0;
}

static void build(const struct command *c, struct option *longs, char *shorts)
{
    size_t n = 0, s = 0;

    shorts[s++] = ':'; /* we say the errors ourselves */
    for (const struct option_row *r = c->rows; r->name && n < ROWS_MAX; r++, n++) {
        bool takes = r->type != OPTION_FLAG && r->type != OPTION_UNFLAG;
        int how = r->type == OPTION_OPTIONAL ? optional_argument
                  : takes                    ? required_argument
                                             : no_argument;

        longs[n] = (struct option){r->name, how, NULL,
                                   r->letter ? r->letter : HELP + 1 + (int)n};
        if (r->letter) {
            shorts[s++] = r->letter;
            if (takes)
                shorts[s++] = ':';
        }
    }
    longs[n++] = (struct option){"help", no_argument, NULL, HELP};
    longs[n] = (struct option){0};
    shorts[s] = '\0';
}

int options_parse(const struct command *c, int argc, char **argv, void *into, int *rest)
{
    struct option longs[ROWS_MAX + 2];
    char shorts[2 * ROWS_MAX + 2];
    int got;

    build(c, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const struct option_row *r = c->rows;

        if (got == HELP) {
            print_help(c);
            return 0;
        }
        if (got == '?' || got == ':') {
            const char *what = argv[optind - 1];

            return got == ':' ? usage_error(c, "%s needs a value", what)
                              : usage_error(c, "unknown option %s", what);
        }
        for (int n = 0; r->name && r->letter != got && HELP + 1 + n != got; n++)
            r++;
        if (r->name && set_value(c, r, (char *)into + r->offset, optarg))
            return 2;
    }
    *rest = optind;
    return OPTIONS_OK;
}

const char *default_dir(const char *name, const char *fallback, char *out, size_t size)
{
    const char *base = getenv(name), *home = getenv("HOME");

    out[0] = '\0';
    if (base && *base == '/')
        snprintf(out, size, "%s/xmpptap", base);
    else if (home && *home)
        snprintf(out, size, "%s/%s/xmpptap", home, fallback);
    return out;
}

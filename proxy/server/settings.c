#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1u << 20)
#define BLANKS   " \t\r"

static char *trim(char *p)
{
    char *end = p + strlen(p);

    while (end > p && strchr(BLANKS, end[-1]))
        *--end = '\0';
    return p + strspn(p, BLANKS);
}

/* A value that is in quotes as a whole may begin and end with blanks. */
static char *unquote(char *p)
{
    size_t n = strlen(p);

    if (n < 2 || p[0] != '"' || p[n - 1] != '"' || memchr(p + 1, '"', n - 2))
        return p;
    p[n - 1] = '\0';
    return p + 1;
}

/* One line, trimmed, not empty, to `s`. */
static int read_line(char *p, struct setting *s, struct error *e)
{
    char *end = strchr(p, '='), *close = p + strlen(p) - 1;

    if (*p == '[') {
        if (*close != ']')
            return error_set(e, ERR_USAGE, "a section's name ends with ]");
        *close = '\0';
        s->section = trim(p + 1);
        s->key = NULL;
        s->value = close;
        return 0;
    }
    if (!end)
        return error_set(e, ERR_USAGE, "this is no `key = value`"); /* it may be a password */
    *end = '\0';
    s->key = trim(p);
    s->value = unquote(trim(end + 1));
    return 0;
}

int settings_read(char *text, const char *name,
                  int (*take)(void *arg, const struct setting *s, struct error *e), void *arg,
                  struct error *e)
{
    struct setting s = {.section = ""};
    struct error why = {0};
    int err = 0;

    while (text && !err) {
        char *line = trim(strsep(&text, "\n"));

        s.line++;
        if (!*line || *line == '#' || *line == ';')
            continue;
        err = read_line(line, &s, &why);
        if (!err)
            err = take(arg, &s, &why);
    }
    return err ? error_set(e, why.code, "%.100s, line %u: %.300s", name, s.line, why.detail) : 0;
}

static char *read_all(FILE *f, const char *file, struct error *e)
{
    char *text = malloc(FILE_MAX + 1);
    size_t n;

    if (!text) {
        error_set(e, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    n = fread(text, 1, FILE_MAX + 1, f);
    if (ferror(f))
        error_set(e, ERR_IO, "cannot read %.150s: %s", file, strerror(errno));
    else if (n > FILE_MAX || memchr(text, '\0', n))
        error_set(e, ERR_USAGE, "%.150s is no file of settings: plain text of at most 1 MiB", file);
    else {
        text[n] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

char *settings_load(const char *file, struct error *e)
{
    FILE *f = fopen(file, "re");
    char *text;

    if (!f) {
        error_set(e, ERR_IO, "cannot read %.150s: %s", file, strerror(errno));
        return NULL;
    }
    text = read_all(f, file, e);
    fclose(f);
    return text;
}

char *settings_word(char **p)
{
    char *word = *p + strspn(*p, BLANKS);

    if (!*word)
        return NULL;
    if (*word == '"' && strchr(word + 1, '"')) {
        *p = word + 1;
        return strsep(p, "\"");
    }
    *p = word;
    word = strsep(p, BLANKS);
    if (!*p)
        *p = word + strlen(word);
    return word;
}

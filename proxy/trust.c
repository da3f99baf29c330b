#include "trust.h"

#include <string.h>

static const struct row {
    const char *name, *title, *how, *undo;
} rows[] = {
#define TRUST(name, title, how, undo) {name, title, how, undo},
#include "trust.def"
};

#define ROWS (sizeof rows / sizeof *rows)

static bool plain(const char *s)
{
    return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@%:,")] ==
           '\0';
}

/* As one word of a shell. */
static void put_word(FILE *to, const char *s)
{
    if (plain(s)) {
        fputs(s, to);
        return;
    }
    putc('\'', to);
    for (; *s; s++)
        if (*s == '\'')
            fputs("'\\''", to);
        else
            putc(*s, to);
    putc('\'', to);
}

/* What a {word} at `p` stands for, and its length with the braces; NULL: it is none. */
static const char *placeholder(const char *p, const struct trust_facts *f, size_t *len)
{
    const struct {
        const char *word, *value;
    } words[] = {{"{ca}", f->file}, {"{file}", f->file}, {"{sha1}", f->sha1}, {"{name}", f->name}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        *len = strlen(words[i].word);
        if (strncmp(p, words[i].word, *len) == 0)
            return words[i].value;
    }
    return NULL;
}

static void put_text(FILE *to, const char *text, const struct trust_facts *f)
{
    size_t len;

    for (const char *p = text; *p; p++) {
        const char *value = placeholder(p, f, &len);

        if (p == text || p[-1] == '\n')
            fputs("  ", to);
        if (!value) {
            putc(*p, to);
            continue;
        }
        if (strncmp(p, "{ca}", len) == 0)
            put_word(to, value);
        else
            fputs(value, to);
        p += len - 1;
    }
}

bool trust_knows(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(name, rows[i].name) == 0)
            return true;
    return false;
}

void trust_print(FILE *to, const char *name, const struct trust_facts *f)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (name && strcmp(name, rows[i].name) != 0)
            continue;
        fprintf(to, "\n%s (%s)\n", rows[i].title, rows[i].name);
        put_text(to, rows[i].how, f);
        fputs("  undo:\n", to);
        put_text(to, rows[i].undo, f);
    }
}

const char *trust_names(char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ROWS && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", rows[i].name);
    return out;
}

#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
} errors[ERR_COUNT] = {
    [ERR_NONE] = {"none", "no error"},
#define ERR(code, name, text) [ERR_##code] = {name, text},
#include "errors.def"
#undef ERR
};

const char *error_name(enum error_code code)
{
    return errors[code].name;
}

const char *error_text(enum error_code code)
{
    return errors[code].text;
}

enum error_code error_by_name(const char *name)
{
    for (int i = 1; i < ERR_COUNT; i++)
        if (strcmp(errors[i].name, name) == 0)
            return (enum error_code)i;
    return ERR_NONE;
}

int error_set(struct error *e, enum error_code code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        e->code = code;
        e->kind = NULL;
        va_start(ap, fmt);
        vsnprintf(e->detail, sizeof e->detail, fmt, ap);
        va_end(ap);
    }
    return (int)code;
}

#include "served.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../logs/message.h"
#include "reading.h"
#include "server/login.h"
#include "server/script.h"

#define SPEED_MIN 0.01
#define SPEED_MAX 1000

/* False: it is none. */
static bool read_speed(const char *text, double *speed)
{
    char *end;

    *speed = 0;
    if (!text || strcmp(text, "max") == 0)
        return true;
    *speed = strtod(text, &end);
    return end != text && !*end && isfinite(*speed) && *speed >= SPEED_MIN && *speed <= SPEED_MAX;
}

/* The session's events. 0, or 1 with the error said. */
static int read_session(struct script *s, const struct capture_options *o)
{
    const struct reading_options reading = {.archive_dir = o->archive_dir};
    struct store_session *one;
    struct error e = {0};
    struct store st;
    int err = 0;

    store_init(&st);
    one = reading_one(&st, &reading, o->serving.replay);
    if (one)
        err = store_read(&st, &one, 1, script_event, s, &e);
    if (one && !err && !one->ended)
        message(LEVEL_WARN, PAIRS("session", one->id),
                "this session was cut off: it is served as far "
                "as it was recorded");
    if (err)
        message(LEVEL_ERROR, PAIRS("reason", error_name((enum error_code)err)), "%s",
                *e.detail ? e.detail : error_text((enum error_code)err));
    store_free(&st);
    return !one || err;
}

/* What is played, and whether its client can log in as it did. */
static void tell(const struct script *s)
{
    const struct plan *p = &s->plan;

    message(LEVEL_INFO, PAIRS("session", p->session),
            "its server is played, for the client of %s that logged in with %s%s",
            *p->names.bare ? p->names.bare : p->names.domain,
            *p->mechanism ? p->mechanism : "jabber:iq:auth",
            p->gap ? "; bytes of it were not recorded" : "");
    if (*p->mechanism && !login_knows(p->mechanism))
        message(LEVEL_INFO, PAIRS("session", p->session),
                "%s is not offered, for it is none that xmpptap knows; the capture's others are, "
                "or PLAIN",
                p->mechanism);
}

int served_open(const struct command *c, struct capture_options *o, struct script **script)
{
    struct script *s = script_new();
    struct error e = {.detail = "no memory to start"};
    double speed;
    int status = 1;

    *script = NULL;
    if (!read_speed(o->serving.speed, &speed)) {
        status = usage_error(c, "--speed %s: give max, or how many times as fast, 0.01 to 1000",
                             o->serving.speed);
    } else if (!s) {
        message(LEVEL_ERROR, NULL, "%s", e.detail);
    } else if (read_session(s, o) == 0) {
        s->speed = speed;
        if (script_ready(s, &e) == 0) {
            tell(s);
            *script = s;
            return 0;
        }
        message(LEVEL_ERROR, PAIRS("reason", error_name(e.code)), "%s", e.detail);
    }
    script_free(s);
    return status;
}

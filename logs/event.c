#include "event.h"

#include <string.h>
#include <time.h>

static const char *const kind_names[EVENT_KINDS] = {
    [EVENT_SESSION] = "session",     [EVENT_TLS] = "tls",     [EVENT_STREAM] = "stream",
    [EVENT_STANZA] = "stanza",       [EVENT_SPACE] = "space", [EVENT_EDIT] = "edit",
    [EVENT_VIOLATION] = "violation", [EVENT_GAP] = "gap",     [EVENT_END] = "end",
};

const char *dir_name(enum dir dir)
{
    return dir == DIR_C2S ? "c2s" : "s2c";
}

const char *side_name(enum side side)
{
    switch (side) {
    case SIDE_CLIENT:
        return "client";
    case SIDE_SERVER:
        return "server";
    case SIDE_PROXY:
        break;
    }
    return "proxy";
}

const char *event_name(enum event_kind kind)
{
    return (unsigned)kind < EVENT_KINDS ? kind_names[kind] : "unknown";
}

const char *event_fact(const struct event *ev, const char *name)
{
    for (unsigned i = 0; i < ev->facts; i++)
        if (strcmp(ev->fact[i].name, name) == 0)
            return ev->fact[i].value;
    return NULL;
}

bool event_delayed(const struct event_edit *edit)
{
    return edit->sent_len > 0 &&
           strncmp(edit->reason, EVENT_EDIT_FAULT, strlen(EVENT_EDIT_FAULT)) == 0 &&
           strstr(edit->reason, "=delay:") && !strchr(edit->reason, ';');
}

int64_t event_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

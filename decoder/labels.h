/* labels.h: what an item is called. The table is labels.def; docs/labels.md is made from it.
 *
 * Labels describe; they steer nothing. Ids are dotted and stable. Read-only data: any thread.
 */
#ifndef XMPPTAP_LABELS_H
#define XMPPTAP_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "../logs/event.h"
#include "reader.h"

enum label_language { LABELS_DOCUMENTED, LABELS_ZH, LABELS_EN };

/* Where the session stands when an item comes; the decoder keeps it from the marks. */
enum label_phase {
    PHASE_OPEN = 1,  /* the connection's first stream, before authentication, TLS not negotiated */
    PHASE_TLS = 2,   /* streams after TLS, before authentication */
    PHASE_BOUND = 4, /* streams after authentication */
    PHASE_ANY = 7
};

struct label; /* one row */

/* The row for an item of `dir`. `answers`: the id of the request this iq answers, or NULL.
 * `account`: the session's bare JID, or NULL. Never NULL: what no rule names is "*.other". */
const struct label *label_for(const struct item *it, enum dir dir, enum label_phase phase,
                              const char *answers, const char *account);
/* The row for a stream header (`first`: the direction's first one) and for </stream:stream>. */
const struct label *label_for_header(enum dir dir, enum label_phase phase, bool first);
const struct label *label_for_close(enum dir dir);

/* The row with this id, NULL if there is none (an archive from a later version). */
const struct label *label_by_id(const char *id);

const char *label_id(const struct label *l);

/* The text after `####`. In LABELS_DOCUMENTED it is the documented one; for a row that the trace
 * leaves bare, the text of LABELS_ZH. `*.other` rows: see label_other_text(). */
const char *label_text(const struct label *l, enum label_language lang);

/* In LABELS_DOCUMENTED the trace leaves this item bare where it follows one of its direction. */
bool label_bare(const struct label *l);

/* `*.other`: the text is made from kind, type and payload namespace. Writes at most `size` bytes
 * with the NUL; returns `out`. `type` and `ns` may be NULL. */
bool label_is_other(const struct label *l);
const char *label_other_text(const struct label *l, enum dir dir, const char *type, const char *ns,
                             enum label_language lang, char *out, size_t size);

/* Every row, for docs and tests: NULL behind the last. */
const struct label *label_at(size_t i);

#endif

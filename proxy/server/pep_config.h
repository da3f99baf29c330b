/* pep_config.h: how a node of PEP is configured, and the data form that says so (XEP-0060 §8.2,
 * XEP-0004; pep_options.def).
 *
 * A value; copied by assignment. Any thread.
 */
#ifndef XMPPTAP_PEP_CONFIG_H
#define XMPPTAP_PEP_CONFIG_H

#include <stdbool.h>

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"

#define PEP_TEXTS 3
#define PEP_TEXT  255 /* bytes of one */
#define PEP_ITEMS 512 /* max_items at most, which "max" means */

enum pep_option {
#define PEP_OPTION(id, name, kind, initial, values, label) PEP_##id,
#include "pep_options.def"
#undef PEP_OPTION
    PEP_OPTIONS
};

/* Of PEP_ACCESS. A roster's groups cannot be named: it is as PEP_PRESENCE. */
enum pep_access { PEP_ACCESS_PRESENCE, PEP_ACCESS_OPEN, PEP_ACCESS_WHITELIST, PEP_ACCESS_ROSTER };

/* Of PEP_SEND_LAST. */
enum pep_last { PEP_LAST_NEVER, PEP_LAST_SUB, PEP_LAST_PRESENCE };

struct pep_config {
    unsigned value[PEP_OPTIONS]; /* a list's: the value's place in it */
    char text[PEP_TEXTS][PEP_TEXT + 1];
};

void pep_config_init(struct pep_config *c);

/* Takes the fields of `form`, whose first element is the <x/>. `strict`: also false where it has
 * one that is unknown. False: a value that cannot be; `c` has some of them then. */
bool pep_config_take(struct pep_config *c, const struct item *form, bool strict) MUST_CHECK;

bool pep_config_equal(const struct pep_config *a, const struct pep_config *b);

/* The value's own word, of a list. */
const char *pep_config_word(const struct pep_config *c, enum pep_option o, char out[32]);

/* Appends <x type='form'/>. Errors: ERR_NOMEM, ERR_CAP. */
int pep_config_put(const struct pep_config *c, struct buf *out) MUST_CHECK;

#endif

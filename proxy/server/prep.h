/* prep.h: addresses as they are compared and stored (RFC 6122, by libidn's stringprep).
 *
 * Pure; any thread. What is returned is prepared: two addresses are the same if their text is.
 */
#ifndef XMPPTAP_PREP_H
#define XMPPTAP_PREP_H

#include <stdbool.h>
#include <stddef.h>

#define JID_PART_MAX 1023 /* bytes, RFC 7622 §3 */
#define JID_MAX      (3 * JID_PART_MAX + 2)

struct jid {
    char local[JID_PART_MAX + 1];    /* "": none; so is the resource */
    char domain[JID_PART_MAX + 1];
    char resource[JID_PART_MAX + 1];
};

/* n bytes at `p` as a localpart (nodeprep), domain (nameprep) or resource (resourceprep). False: it
 * is empty, too long, no UTF-8, or has what the profile or XML forbids; `out` is "" then. */
bool prep_local(const char *p, size_t n, char out[JID_PART_MAX + 1]);
bool prep_domain(const char *p, size_t n, char out[JID_PART_MAX + 1]);
bool prep_resource(const char *p, size_t n, char out[JID_PART_MAX + 1]);

/* [LOCAL@]DOMAIN[/RESOURCE]. False: it is no JID. */
bool prep_jid(const char *text, struct jid *out);

/* "LOCAL@DOMAIN", or "DOMAIN". Returns `out`. */
const char *prep_bare(const struct jid *j, char out[JID_MAX + 1]);

#endif

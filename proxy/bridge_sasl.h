/* bridge_sasl.h: SASL's elements (RFC 6120 §6.4), read and written. Pure; only the bridge uses it.
 */
#ifndef XMPPTAP_BRIDGE_SASL_H
#define XMPPTAP_BRIDGE_SASL_H

#include "../decoder/reader.h"

#define SASL_NS  "urn:ietf:params:xml:ns:xmpp-sasl"
#define SASL2_NS "urn:xmpp:sasl:2"
#define SASL_TEXT_MAX 3072 /* what 4 KiB of base64 hold, the most the reader keeps of a text */

/* Appends <name mechanism='...'>data in base64</name>. `mechanism` may be NULL; without data the
 * element is empty, which in <success/>, <challenge/> and <response/> says the same. */
int sasl_put(struct buf *out, const char *name, const char *mechanism, const void *p, size_t n)
    MUST_CHECK;

/* Appends <failure xmlns='ns'><condition/></failure>. */
int sasl_put_failure(struct buf *out, const char *ns, const char *condition) MUST_CHECK;

/* The data in the item's text to `out`, and its length; 0 also where there is none (`*none`) or it
 * says "=". -1: it is no base64, or too long. */
long sasl_get(const struct item *it, char *out, size_t size, bool *none);

#endif

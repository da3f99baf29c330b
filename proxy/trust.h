/* trust.h: how to trust the CA, system by system, for `xmpptap ca help-trust`. The texts are a
 * table, trust.def. One thread.
 */
#ifndef XMPPTAP_TRUST_H
#define XMPPTAP_TRUST_H

#include <stdbool.h>
#include <stdio.h>

struct trust_facts {
    const char *file; /* the certificate's, absolute */
    const char *sha1; /* its fingerprint, hex */
    const char *name; /* its common name, printable */
};

/* Prints the row called `name`, all rows where it is NULL. */
void trust_print(FILE *to, const char *name, const struct trust_facts *f);
bool trust_knows(const char *name);

/* "debian, fedora, ...". Returns `out`. */
const char *trust_names(char *out, size_t size);

#endif

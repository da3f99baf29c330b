#include "saslprep.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <stringprep.h>

/* Printable ASCII stays as it is. */
static bool is_plain(const char *in)
{
    for (; *in; in++)
        if ((unsigned char)*in < 0x20 || (unsigned char)*in >= 0x7f)
            return false;
    return true;
}

bool saslprep(const char *in, char *out, size_t size, bool stored)
{
    size_t n = strnlen(in, SASLPREP_MAX + 1);
    /* NFKC makes at most 18 code points of one (U+FDFA), of at most 4 bytes each. */
    char work[72 * SASLPREP_MAX + 1];
    bool good = n > 0 && n <= SASLPREP_MAX;

    if (good && is_plain(in)) {
        good = n < size;
        if (good)
            memcpy(out, in, n + 1);
        return good;
    }
    if (good) {
        memcpy(work, in, n + 1);
        good = stringprep(work, sizeof work, stored ? STRINGPREP_NO_UNASSIGNED : 0,
                          stringprep_saslprep) == STRINGPREP_OK;
        n = good ? strlen(work) : 0;
        good = good && n > 0 && n < size;
        if (good)
            memcpy(out, work, n + 1);
        OPENSSL_cleanse(work, sizeof work);
    }
    if (!good && size)
        out[0] = '\0';
    return good;
}

/* fuzz_json: any line, read straight into its fields and through jansson, is the same event, or is
 * refused both ways. lines.h says exactly what that means.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[2048];

    if (lines_agree((const char *)data, size, why, sizeof why))
        return 0;
    fprintf(stderr, "%s\n", why);
    abort();
}

/* replay: a fuzzer's main() without libFuzzer. Each file of its corpus (tests/fuzz/corpus/NAME for
 * fuzz_NAME, or the files that are named as arguments) is given to it once; what it finds ends the
 * process, and the last line says in which file. Prints what tests/run-tests counts.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns owned, of exactly the file's size, so that a sanitizer sees who reads on. */
static uint8_t *load(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX), *exact = NULL;

    *size = f && data ? fread(data, 1, INPUT_MAX, f) : 0;
    if (*size)
        exact = malloc(*size);
    if (exact)
        memcpy(exact, data, *size);
    free(data);
    if (f)
        fclose(f);
    return exact;
}

static int replay(const char *path, int number)
{
    size_t size;
    uint8_t *data = load(path, &size);

    printf("# %s\n", path);
    fflush(stdout);
    if (data)
        LLVMFuzzerTestOneInput(data, size);
    printf("%s %d - %s\n", data ? "ok" : "not ok", number, path);
    free(data);
    return data == NULL;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_input, alphasort), failed = n <= 0;

    printf("1..%d\n", n > 0 ? n : 1);
    for (int i = 0; i < n; i++) {
        char path[2048];

        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        failed |= replay(path, i + 1);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    const char *name = strstr(argv[0], "fuzz_");
    char folder[1024];
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i], i);
    if (argc > 1)
        return failed;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name ? name + strlen("fuzz_") : "");
    return replay_folder(folder);
}

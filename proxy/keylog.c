#include "keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../logs/message.h"
#include "../logs/out.h"

#define LINE_MAX_BYTES 512 /* label, client random, secret: RFC 9850; 64-byte secrets take 260 */
#define GOODBYE_MS     1000

struct keylog {
    pthread_mutex_t lock; /* workers write whole lines; each takes what a memcpy takes */
    struct out *out;      /* under the lock, as the next */
    unsigned long lost;   /* lines */
};

static int index_made; /* once, for the life of the program */

static void make_index(void)
{
    index_made = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int keylog_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_index);
    return index_made;
}

static int open_file(const char *path, struct error *e)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        error_set(e, ERR_IO, "cannot write %s: %s; give another file with --keylog", path,
                  strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 077)) {
        error_set(e, ERR_IO, "%s is open to others (mode %04o), and TLS secrets would stand in it: "
                  "chmod 600 %s", path, st.st_mode & 07777u, path);
        close(fd);
        return -1;
    }
    return fd;
}

struct keylog *keylog_open(const char *path, struct error *e)
{
    int fd = open_file(path, e);
    struct keylog *k;

    if (fd < 0)
        return NULL;
    k = calloc(1, sizeof *k);
    if (k)
        k->out = out_new(fd, true, OUT_BOUNDED, OUT_BUFFER_BYTES);
    if (!k || !k->out) {
        error_set(e, ERR_NOMEM, "no memory to start");
        close(fd);
        free(k);
        return NULL;
    }
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

static void on_line(const SSL *ssl, const char *line)
{
    struct keylog *k = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keylog_index());
    char text[LINE_MAX_BYTES];
    int n = snprintf(text, sizeof text, "%s\n", line), err;
    struct error e = {0};
    bool first;

    if (!k || n < 0 || (size_t)n >= sizeof text)
        return;
    pthread_mutex_lock(&k->lock);
    err = out_write(k->out, text, (size_t)n, &e);
    first = err == ERR_CAP && k->lost++ == 0;
    pthread_mutex_unlock(&k->lock);
    OPENSSL_cleanse(text, sizeof text);
    if (first)
        message(LEVEL_WARN, PAIRS("reason", error_name(ERR_CAP)),
                "the disk is too slow for --keylog: secrets are being left out of it");
    else if (e.code)
        message(LEVEL_ERROR, PAIRS("reason", error_name(e.code)),
                "--keylog: %s; no more secrets are written", e.detail);
}

void keylog_watch(struct keylog *k, SSL_CTX *ctx)
{
    if (!k || SSL_CTX_get_ex_data(ctx, keylog_index()) == k)
        return;
    SSL_CTX_set_ex_data(ctx, keylog_index(), k);
    SSL_CTX_set_keylog_callback(ctx, on_line);
}

void keylog_close(struct keylog *k)
{
    if (!k)
        return;
    if (k->lost)
        message(LEVEL_WARN, PAIRS("reason", error_name(ERR_CAP)),
                "--keylog lacks %lu lines: the disk was too slow", k->lost);
    out_close(k->out, GOODBYE_MS);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

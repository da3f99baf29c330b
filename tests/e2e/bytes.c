#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

static void reserve(struct bytes *b, size_t n)
{
    if (b->len + n < b->cap)
        return;
    size_t cap = b->cap ? b->cap : 256;
    while (cap <= b->len + n)
        cap *= 2;
    char *p = realloc(b->p, cap);
    if (!p) {
        fprintf(stderr, "the test is out of memory\n");
        abort();
    }
    b->p = p;
    b->cap = cap;
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->p + b->len, p, n);
    b->len += n;
    b->p[b->len] = '\0';
}

void bytes_str(struct bytes *b, const char *s)
{
    bytes_add(b, s, strlen(s));
}

void bytes_fill(struct bytes *b, char c, size_t n)
{
    reserve(b, n);
    memset(b->p + b->len, c, n);
    b->len += n;
    b->p[b->len] = '\0';
}

void bytes_drop(struct bytes *b, size_t n)
{
    if (!n)
        return;
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
    b->p[b->len] = '\0';
}

bool bytes_file(struct bytes *b, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char part[65536];
    ssize_t n;
    bytes_add(b, "", 0);
    while ((n = read(fd, part, sizeof(part))) > 0)
        bytes_add(b, part, (size_t)n);
    close(fd);
    return n == 0;
}

bool bytes_save(const char *path, const void *p, size_t n, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return false;
    bool ok = fchmod(fd, mode) == 0;
    for (size_t done = 0; ok && done < n;) {
        ssize_t w = write(fd, (const char *)p + done, n - done);
        if (w < 0 && errno != EINTR)
            ok = false;
        if (w > 0)
            done += (size_t)w;
    }
    return close(fd) == 0 && ok;
}

bool bytes_has(const struct bytes *b, const char *text)
{
    return b->p && memmem(b->p, b->len, text, strlen(text));
}

bool bytes_are(const struct bytes *b, const void *p, size_t n)
{
    return b->len == n && (n == 0 || memcmp(b->p, p, n) == 0);
}

size_t bytes_lines(const struct bytes *b)
{
    size_t lines = 0;
    for (size_t i = 0; i < b->len; i++)
        lines += b->p[i] == '\n';
    return lines;
}

void bytes_without_blank_lines(const struct bytes *from, struct bytes *to)
{
    bytes_add(to, "", 0);
    for (size_t i = 0; i < from->len;) {
        const char *nl = memchr(from->p + i, '\n', from->len - i);
        size_t n = nl ? (size_t)(nl - (from->p + i)) + 1 : from->len - i;
        if (!(n == 1 && nl))
            bytes_add(to, from->p + i, n);
        i += n;
    }
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

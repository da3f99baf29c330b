#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <zlib.h>

#include "../decoder/buf.h"
#include "archive_member.h"
#include "inflater.h"
#include "json.h"

#define INPUT_BYTES (256u * 1024) /* a member of ours is hardly ever longer */
#define WHOLE_BYTES (1u << 20)    /* of text: a longer member is inflated piece by piece */
#define TEXT_PIECE  INPUT_BYTES       /* plain input is handed on as it is */

enum reader_state {
    READER_BETWEEN, /* a gzip member may begin at the next input byte */
    READER_MEMBER,  /* inside one */
    READER_PLAIN,   /* the file is not compressed */
    READER_DAMAGED, /* to be reported once the whole lines before are read */
    READER_ENDED
};

struct archive_reader {
    int fd;
    char *path;
    enum reader_state state;
    bool plain; /* the file is not compressed */
    bool cut;   /* DAMAGED because the file ended inside a member */
    bool torn;
    bool skipping; /* the line now read is over its cap */

    unsigned char in[INPUT_BYTES];
    size_t in_pos, in_len;
    int64_t in_at; /* the file's offset of in[0] */
    z_stream z;
    struct inflater *inflater; /* NULL: there is none */
    int64_t member_at; /* where the last member begun begins; plain: where reading began */

    struct buf text; /* from the line at `pos` on; at most a piece more than one line */
    size_t pos;
    size_t searched;     /* text before it has no newline from `pos` on */
    unsigned long lines; /* read since member_at */

    struct error damage;
    struct json_record record;
    const char *line; /* the record's */
    size_t line_bytes;
    struct buf needle;
};

/* ---- input ---- */

static int64_t input_at(const struct archive_reader *r)
{
    return r->in_at + (int64_t)r->in_pos;
}

static void input_reset(struct archive_reader *r, int64_t at)
{
    r->in_at = at;
    r->in_pos = r->in_len = 0;
}

/* Reads on behind what is left of the input. The bytes read; 0 at the end; -1 with errno. */
static ssize_t input_more(struct archive_reader *r)
{
    ssize_t n;

    r->in_len -= r->in_pos;
    memmove(r->in, r->in + r->in_pos, r->in_len);
    r->in_at += (int64_t)r->in_pos;
    r->in_pos = 0;
    do
        n = read(r->fd, r->in + r->in_len, sizeof r->in - r->in_len);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        r->in_len += (size_t)n;
    return n;
}

static int input_failed(struct archive_reader *r, struct error *e)
{
    r->state = READER_ENDED;
    error_set(e, ERR_IO, "%s: %s", r->path, strerror(errno));
    return -1;
}

/* ---- members ---- */

static bool find_member(struct archive_reader *r)
{
    for (; r->in_len - r->in_pos >= MEMBER_MARK; r->in_pos++)
        if (member_begins(r->in + r->in_pos))
            return true;
    return false;
}

/* Reports the damage (-1), and goes on at the next member of ours. A broken one may have swallowed
 * all that is behind it: the search begins right behind its own header. A cut one with none behind
 * it is no damage but torn: 0. */
static int resync(struct archive_reader *r, struct error *e)
{
    ssize_t n = 0;
    bool found;

    error_set(e, r->damage.code, "%s", r->damage.detail);
    r->text.len = r->pos = r->searched = 0;
    r->skipping = false;
    if (lseek(r->fd, r->member_at + 1, SEEK_SET) >= 0)
        input_reset(r, r->member_at + 1);
    do
        found = find_member(r);
    while (!found && (n = input_more(r)) > 0);
    if (n < 0)
        return input_failed(r, e);
    r->state = found ? READER_BETWEEN : READER_ENDED;
    r->torn |= r->cut && !found;
    return r->cut && !found ? 0 : -1;
}

/* A power cut can leave a file longer than what was written, the rest being zeros. */
static bool only_zeros_left(struct archive_reader *r)
{
    do {
        for (; r->in_pos < r->in_len; r->in_pos++)
            if (r->in[r->in_pos])
                return false;
    } while (input_more(r) > 0);
    return true;
}

/* 1: inside a member; 0: the file ends; -1: `e`. */
static int begin_member(struct archive_reader *r, struct error *e)
{
    ssize_t n = r->in_pos == r->in_len ? input_more(r) : 1;

    if (n < 0)
        return input_failed(r, e);
    r->member_at = input_at(r);
    r->lines = 0;
    if (n > 0 && r->in[r->in_pos] == 0 && only_zeros_left(r)) {
        r->torn = true;
        n = 0;
    }
    inflateReset(&r->z);
    r->state = n == 0 ? READER_ENDED : READER_MEMBER;
    return n > 0;
}

static void damaged(struct archive_reader *r, const char *why)
{
    error_set(&r->damage, ERR_FORMAT, "%s: damaged at byte %lld, in the member at byte %lld: %s",
              r->path, (long long)input_at(r), (long long)r->member_at, why ? why : "not gzip");
    r->cut = false;
    r->state = READER_DAMAGED;
}

/* Have we `n` bytes of input, or can we? */
static bool input_has(struct archive_reader *r, size_t n)
{
    while (r->in_len - r->in_pos < n)
        if (n > sizeof r->in || input_more(r) <= 0)
            return false;
    return true;
}

/* A member as we make them, inflated at one go. False: whatever is here, it was left as it was. */
static bool whole_member(struct archive_reader *r)
{
    struct archive_member m;
    const unsigned char *p;

    if (!r->inflater || !input_has(r, MEMBER_HEADER) || !member_begins(r->in + r->in_pos))
        return false;
    member_sizes(r->in + r->in_pos, &m);
    if (m.size < MEMBER_HEADER + MEMBER_TRAILER || m.text > WHOLE_BYTES || !input_has(r, m.size) ||
        buf_reserve(&r->text, m.text))
        return false;
    p = r->in + r->in_pos + m.size - MEMBER_TRAILER;
    if (member_get(p + 4, 4) != m.text ||
        !inflater_whole(r->inflater, r->in + r->in_pos + MEMBER_HEADER,
                        m.size - MEMBER_HEADER - MEMBER_TRAILER, r->text.p + r->text.len, m.text,
                        (unsigned)member_get(p, 4)))
        return false;
    r->member_at = input_at(r);
    r->lines = 0;
    r->text.len += m.text;
    r->in_pos += m.size;
    return true;
}

/* Inflates up to one piece of the member's text, or to its end. The header's sizes are not looked
 * at: they may lie. */
static int inflate_piece(struct archive_reader *r, struct error *e)
{
    ssize_t n;
    int rc;

    r->z.next_out = (Bytef *)r->text.p + r->text.len;
    r->z.avail_out = TEXT_PIECE;
    while (r->z.avail_out > 0 && r->state == READER_MEMBER) {
        if (r->in_pos == r->in_len) {
            n = input_more(r);
            if (n < 0)
                return input_failed(r, e);
            if (n == 0) {
                damaged(r, "cut short");
                r->cut = true;
                break;
            }
        }
        r->z.next_in = r->in + r->in_pos;
        r->z.avail_in = (uInt)(r->in_len - r->in_pos);
        rc = inflate(&r->z, Z_NO_FLUSH);
        r->in_pos = r->in_len - r->z.avail_in;
        if (rc == Z_STREAM_END)
            r->state = READER_BETWEEN;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            damaged(r, rc == Z_MEM_ERROR ? "no memory" : r->z.msg);
    }
    r->text.len += TEXT_PIECE - r->z.avail_out;
    return 1;
}

static int read_plain(struct archive_reader *r, struct error *e)
{
    ssize_t n = r->in_pos == r->in_len ? input_more(r) : 1;

    if (n < 0)
        return input_failed(r, e);
    if (n == 0) {
        r->state = READER_ENDED;
        return 0;
    }
    memcpy(r->text.p + r->text.len, r->in + r->in_pos, r->in_len - r->in_pos);
    r->text.len += r->in_len - r->in_pos;
    r->in_pos = r->in_len;
    return 1;
}

/* More text behind what there is: 1 (perhaps nothing yet); the file ends: 0; -1: `e`. */
static int more_text(struct archive_reader *r, struct error *e)
{
    int rc = 1;

    if (r->state == READER_BETWEEN && whole_member(r))
        return 1;
    if (r->state == READER_BETWEEN)
        rc = begin_member(r, e);
    if (r->state == READER_ENDED)
        return rc < 0 ? -1 : 0;
    if (r->state == READER_DAMAGED)
        return resync(r, e);
    if (buf_reserve(&r->text, TEXT_PIECE)) {
        errno = ENOMEM;
        return input_failed(r, e);
    }
    return r->state == READER_PLAIN ? read_plain(r, e) : inflate_piece(r, e);
}

/* ---- lines ---- */

static int bad_line(const struct archive_reader *r, enum error_code code, const char *why,
                    struct error *e)
{
    error_set(e, code, "%s: line %lu from byte %lld: %s", r->path, r->lines,
              (long long)r->member_at, why);
    return -1;
}

/* Text that ends here without a newline: the last line, as far as it goes. */
static int last_line(struct archive_reader *r, const char **line, size_t *n)
{
    *line = r->text.p + r->pos;
    *n = r->text.len - r->pos;
    r->pos = r->searched = r->text.len;
    r->lines++;
    return *n > 0 && !r->skipping;
}

/* Takes the line that ends at `end`; false: it is the rest of one that was over its cap. */
static bool take_line(struct archive_reader *r, const char *end, const char **line, size_t *n)
{
    bool rest = r->skipping;

    *line = r->text.p + r->pos;
    *n = (size_t)(end - *line);
    r->pos = r->searched = (size_t)(end + 1 - r->text.p);
    r->lines += !rest;
    r->skipping = false;
    return !rest;
}

/* The next line, without its newline: 1; at the end: 0; -1: `e`. `*last`: it has no newline. */
static int next_line(struct archive_reader *r, const char **line, size_t *n, bool *last,
                     struct error *e)
{
    const char *end;
    bool over;
    int rc;

    *last = false;
    for (;;) {
        end = NULL;
        if (r->searched < r->text.len)
            end = memchr(r->text.p + r->searched, '\n', r->text.len - r->searched);
        if (end && take_line(r, end, line, n))
            return 1;
        if (end)
            continue;
        buf_drop(&r->text, r->pos);
        r->pos = 0;
        over = !r->skipping && r->text.len > ARCHIVE_LINE_BYTES;
        r->skipping |= over;
        if (r->skipping)
            r->text.len = 0;
        r->searched = r->text.len;
        if (over) {
            r->lines++;
            return bad_line(r, ERR_CAP, "longer than 64 MiB, left out", e);
        }
        rc = more_text(r, e);
        if (rc < 0)
            return -1;
        *last = rc == 0;
        if (*last)
            return last_line(r, line, n);
    }
}

static bool has(const struct buf *needle, const char *line, size_t n)
{
    return needle->len == 0 || memmem(line, n, needle->p, needle->len) != NULL;
}

static bool blank(const char *line, size_t n)
{
    while (n > 0 && memchr(" \t\r", line[n - 1], 3))
        n--;
    return n == 0;
}

int archive_reader_next(struct archive_reader *r, const char *session, struct event *ev,
                        struct error *e)
{
    struct error why = {0};
    const char *line;
    bool last;
    size_t n;
    int rc, err;

    r->needle.len = 0;
    if (session && json_string_write(&r->needle, session, strlen(session))) {
        error_set(e, ERR_NOMEM, "%s: no memory for a session's id", r->path);
        return -1;
    }
    for (;;) {
        rc = next_line(r, &line, &n, &last, e);
        if (rc <= 0)
            return rc;
        if (blank(line, n) || (!last && !has(&r->needle, line, n)))
            continue;
        err = json_event_read(&r->record, line, n, &why);
        if (err == ERR_FORMAT && last) {
            r->torn = true;
            return 0;
        }
        if (err)
            return bad_line(r, (enum error_code)err, why.detail, e);
        if (r->record.event.kind == EVENT_KINDS ||
            (session && strcmp(session, r->record.event.session) != 0))
            continue;
        *ev = r->record.event;
        r->line = line;
        r->line_bytes = n;
        return 1;
    }
}

const char *archive_reader_line(const struct archive_reader *r, size_t *n)
{
    *n = r->line_bytes;
    return r->line;
}

int archive_reader_next_line(struct archive_reader *r, const char **line, size_t *n,
                             struct error *e)
{
    bool last;
    int rc;

    do
        rc = next_line(r, line, n, &last, e);
    while (rc > 0 && blank(*line, *n));
    return rc;
}

/* ---- the file ---- */

bool archive_reader_torn(const struct archive_reader *r)
{
    return r->torn;
}

int64_t archive_reader_tell(const struct archive_reader *r)
{
    if (r->plain)
        return input_at(r) - (int64_t)(r->text.len - r->pos);
    /* Text is left over from the last member begun only. */
    return r->pos < r->text.len || r->state == READER_MEMBER ? r->member_at : input_at(r);
}

static void restart(struct archive_reader *r, int64_t offset)
{
    r->state = r->plain ? READER_PLAIN : READER_BETWEEN;
    r->text.len = r->pos = r->searched = 0;
    r->member_at = offset;
    r->lines = 0;
    r->skipping = false;
}

int archive_reader_seek(struct archive_reader *r, int64_t offset, struct error *e)
{
    if (lseek(r->fd, (off_t)offset, SEEK_SET) < 0)
        return error_set(e, ERR_IO, "%s: %s", r->path, strerror(errno));
    input_reset(r, offset);
    restart(r, offset);
    return 0;
}

/* Is the file worth reading, judged by its first bytes? */
static int recognise(struct archive_reader *r, struct error *e)
{
    const unsigned char *p = r->in;
    bool found;
    ssize_t n = input_more(r);

    if (n < 0)
        return error_set(e, ERR_IO, "%s: %s", r->path, strerror(errno));
    if (n == 0 || (p[0] == 0x1f && (n == 1 || p[1] == 0x8b)))
        return 0;
    r->plain = memchr("{ \t\r\n", p[0], 5) != NULL;
    if (r->plain)
        return 0;
    found = find_member(r); /* the first one's header is broken */
    r->in_pos = 0;
    if (found)
        return 0;
    return error_set(e, ERR_FORMAT, "%s: neither gzip nor JSON Lines; name an archive "
                  "(*.jsonl.gz) or a folder of them", r->path);
}

struct archive_reader *archive_reader_open(const char *path, struct error *e)
{
    struct archive_reader *r = calloc(1, sizeof *r);

    if (!r) {
        error_set(e, ERR_NOMEM, "%s: no memory to read it", path);
        return NULL;
    }
    r->fd = -1;
    buf_init(&r->text, ARCHIVE_LINE_BYTES + TEXT_PIECE);
    buf_init(&r->needle, 1u << 20);
    r->inflater = inflater_new();
    r->path = strdup(path);
    if (!r->path || inflateInit2(&r->z, MAX_WBITS + 16 /* gzip */) != Z_OK) {
        error_set(e, ERR_NOMEM, "%s: no memory to read it", path);
        goto fail;
    }
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (recognise(r, e))
        goto fail;
    restart(r, 0);
    return r;
fail:
    archive_reader_close(r);
    return NULL;
}

void archive_reader_close(struct archive_reader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    inflateEnd(&r->z);
    inflater_free(r->inflater);
    json_record_free(&r->record);
    buf_free(&r->text);
    buf_free(&r->needle);
    free(r->path);
    free(r);
}

/* run.h: the program under test as a child, in a box of its own folders.
 *
 * A box is a test's temporary folder (archive, CA, HOME and XDG inside) and all programs started
 * in it; cmocka's setup makes it, teardown kills what still runs, prints what it said if the test
 * did not reach box_done(), and removes the folder. The program is $XMPPTAP, or ./xmpptap; tests
 * run in the repository's root. Functions fail the running test: main thread only.
 */
#ifndef XMPPTAP_E2E_RUN_H
#define XMPPTAP_E2E_RUN_H

#include <pthread.h>
#include <sys/types.h>

#include "bytes.h"
#include "pki.h"

#define BOX_RUNS  128
#define BOX_TEXTS 512
#define RUN_ARGS  48
#define BOX_ENDS  16
#define BOX_PATH  200

#define RUN_TIMEOUT_MS 60000 /* of a command that ends by itself */
#define RUN_STOP_MS    10000 /* from SIGTERM to the end */

/* One output of the program; its thread collects it. */
struct collector {
    int fd;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    struct bytes text; /* under `lock` while the program runs */
};

struct run {
    struct box *box;
    pid_t pid;  /* 0: never started, or its end has been seen */
    int status; /* exit status; 128 + signal if it was killed */
    int port;   /* where it listens */
    struct collector out, err;
};

struct box {
    char root[BOX_PATH]; /* all of the below is in it */
    char archive[BOX_PATH + 16], ca[BOX_PATH + 16], upstream_ca[BOX_PATH + 16];
    struct pki pki;
    struct run run[BOX_RUNS];
    int runs;
    char *text[BOX_TEXTS];
    int texts;
    struct {
        void (*call)(void *arg);
        void *arg;
    } end[BOX_ENDS];
    int ends;
    const void *row; /* the test's row, where a table gives cmocka the state; borrowed */
    bool done;
};

int box_setup(void **state);
int box_teardown(void **state);
void box_done(struct box *b); /* the test's last line */

/* Calls `end` in the teardown, when all programs are gone, last come first: for threads and what
 * they use, which a failed test's stack must not hold. */
void box_at_end(struct box *b, void (*end)(void *arg), void *arg);

/* A text that lives as long as the box: for arguments and paths. */
const char *box_text(struct box *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Every path below the box's root, sorted, one a line: to see what was left behind. */
void box_listing(const struct box *b, struct bytes *list);

/* Starts `argv` (NULL-ended) with both outputs collected, or standard output on `out_fd` if that
 * is not -1. `argv[0]` NULL: the program under test. */
struct run *run_start(struct box *b, const char *const *argv, int out_fd);

/* Runs the program under test to its end; the arguments end with NULL. Whatever its status. */
struct run *run_program(struct box *b, ...);
/* The same for a command of the system, which must succeed. */
struct run *run_command(struct box *b, ...);

/* `xmpptap proxy` in front of 127.0.0.1:upstream_port with the box's folders and trusted CA, and
 * what else is given, listening. The arguments end with NULL. */
struct run *run_proxy(struct box *b, int upstream_port, ...);
/* Waits until the started proxy listens. */
void run_listening(struct run *r);

/* Waits until standard error contains `text`. */
void run_says(struct run *r, const char *text);

/* Waits for the end; kills the program and fails the test if it takes longer. Sanitizer reports
 * fail the test, too. */
void run_wait(struct run *r, int ms);
/* SIGTERM, and it ends in time with status 0. */
void run_stop(struct run *r);
void run_kill(struct run *r); /* SIGKILL */
bool run_lives(struct run *r);

/* What the system says of it. */
int run_fds(struct run *r);
int run_sockets(struct run *r);
long run_rss_kib(struct run *r);
long run_peak_kib(struct run *r); /* its most so far */

/* PEM of the CA that clients are to trust (made if missing). Lives as long as the box. */
const char *box_ca_pem(struct box *b);

/* Under sanitizers memory is not measured. */
bool sanitized(void);

#endif

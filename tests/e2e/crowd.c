#include "crowd.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define LOGIN_MS 10000

/* Clients that log in, one after the other each, until `left` is used up. */
struct crowd {
    int port;
    SSL_CTX *ctx;
    atomic_int left, failed, slow;
    atomic_long slowest_ms;
    pthread_mutex_t lock;
    char error[400]; /* the first failure's, under `lock` */
};

static void *clients(void *arg)
{
    struct crowd *c = arg;
    while (c->left-- > 0) {
        struct peer p;
        int64_t start = now_ms();
        peer_init(&p, "client");
        if (peer_connect(&p, c->port) || login_client(&p, c->ctx) || login_leave(&p)) {
            if (c->failed++ == 0) {
                pthread_mutex_lock(&c->lock);
                snprintf(c->error, sizeof(c->error), "%s", p.error);
                pthread_mutex_unlock(&c->lock);
            }
        }
        peer_close(&p);
        long ms = (long)(now_ms() - start);
        c->slow += ms > LOGIN_MS;
        if (ms > c->slowest_ms)
            c->slowest_ms = ms;
    }
    return NULL;
}

void crowd_log_in(int port, SSL_CTX *ctx, int logins, int at_a_time)
{
    struct crowd c = {.port = port, .ctx = ctx, .left = logins};
    pthread_t thread[CROWD_MAX];
    int64_t start = now_ms();
    pthread_mutex_init(&c.lock, NULL);
    for (int i = 0; i < at_a_time; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, clients, &c), 0);
    for (int i = 0; i < at_a_time; i++)
        pthread_join(thread[i], NULL);
    if (c.failed)
        fail_msg("%d of %d logins failed, the first: %s", c.failed, logins, c.error);
    assert_int_equal(c.slow, 0);
    print_message("%d logins, %d at a time: %lld ms, slowest %ld ms\n", logins, at_a_time,
                  (long long)(now_ms() - start), c.slowest_ms);
}

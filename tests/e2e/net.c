#include "net.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DNSMASQ   "/usr/sbin/dnsmasq"
#define DNS_TRIES 5
#define DNS_MS    10000

/* ---- ports ---- */

int net_bound(int family, int type, int *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, a, len) || getsockname(fd, a, &len)) {
        close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

int net_free_port(void)
{
    for (int i = 0; i < 50; i++) {
        int port = 0, udp = net_bound(AF_INET, SOCK_DGRAM, &port);
        int tcp = net_bound(AF_INET, SOCK_STREAM, &port);

        close(udp);
        if (tcp >= 0)
            close(tcp);
        if (tcp >= 0)
            return port;
    }
    fail_msg("no free port");
    return 0;
}

/* ---- the DNS server ---- */

/* `%0`, `%1`, `%2` and `%D` become ports. */
static void write_zone(const struct net *n, const char *path, const char *zone)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f, "port=%d\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
               "local=/test/\nlocal=/local/\n", n->dns_port);
    for (const char *p = zone; *p; p++) {
        if (*p != '%')
            fputc(*p, f);
        else if (*++p == 'D')
            fprintf(f, "%d", n->deaf_port);
        else
            fprintf(f, "%d", n->port[*p - '0']);
    }
    assert_int_equal(fclose(f), 0);
}

static bool answers(const struct net *n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)n->dns_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

    close(fd);
    return yes;
}

/* Somebody else may take the port before it does: then another one. */
static void dns_start(struct box *b, struct net *n, const char *zone)
{
    const char *path = box_text(b, "%s/dnsmasq.conf", b->root);
    const char *const argv[] = {DNSMASQ, "-d", "-C", path, NULL};

    for (int i = 0; i < DNS_TRIES; i++) {
        int64_t deadline = now_ms() + DNS_MS;

        n->dns_port = net_free_port();
        write_zone(n, path, zone);
        n->dns = run_start(b, argv, -1);
        while (run_lives(n->dns) && now_ms() < deadline) {
            if (answers(n) && run_lives(n->dns))
                return;
            poll(NULL, 0, 5);
        }
    }
    fail_msg("%s did not start", DNSMASQ);
}

/* ---- everything beside the proxy ---- */

void net_start(struct box *b, struct net *n, const char *zone)
{
    *n = (struct net){.deaf = -1};
    n->deaf = net_bound(AF_INET, SOCK_STREAM, &n->deaf_port);
    assert_true(n->deaf >= 0);
    for (int i = 0; i < SERVERS; i++) {
        n->listener[i] = net_bound(i == 2 ? AF_INET6 : AF_INET, SOCK_STREAM, &n->port[i]);
        assert_true(i == 2 || n->listener[i] >= 0);
        if (n->listener[i] >= 0)
            assert_int_equal(listen(n->listener[i], 64), 0);
    }
    if (zone)
        dns_start(b, n, zone);
}

void net_stop(struct net *n)
{
    if (n->dns)
        run_stop(n->dns);
    for (int i = 0; i < SERVERS; i++)
        close(n->listener[i]);
    close(n->deaf);
}

struct run *net_proxy(struct box *b, const struct net *n, const char *upstream)
{
    return net_proxy_tls(b, n, "auto", upstream);
}

struct run *net_proxy_tls(struct box *b, const struct net *n, const char *client_tls,
                          const char *upstream)
{
    const char *const argv[] = {NULL, "proxy", "-l", "127.0.0.1:0", "-d", b->archive, "--ca-dir",
                                b->ca, "--resolver",
                                box_text(b, "127.0.0.1:%d", n->dns_port), "--connect-timeout", "3",
                                "--upstream-ca", b->upstream_ca, "--client-tls", client_tls, upstream,
                                NULL};
    struct run *r = run_start(b, argv, -1);

    run_listening(r);
    return r;
}

int net_dialled(const struct net *n)
{
    struct pollfd p[SERVERS];

    for (int i = 0; i < SERVERS; i++)
        p[i] = (struct pollfd){.fd = n->listener[i], .events = POLLIN};
    if (poll(p, SERVERS, PEER_TIMEOUT_MS) <= 0)
        return -1;
    for (int i = 0; i < SERVERS; i++)
        if (p[i].revents & POLLIN)
            return i;
    return -1;
}

int net_accept(struct peer *server, const struct net *n)
{
    int got = net_dialled(n);

    PEER_OK(server, peer_accept(server, n->listener[got < 0 ? 0 : got]));
    return got;
}

#include "transparent.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__

#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST of the kernel's netfilter */

int transparent_mark(int fd, int family, struct error *e)
{
    const int on = 1;
    int is = 0;
    socklen_t len = sizeof is;
    int err = family == AF_INET6
                  ? setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &on, sizeof on)
                  : setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof on);

    if (!err)
        return 0;
    if (getsockopt(fd, SOL_IP, IP_TRANSPARENT, &is, &len) == 0 && is)
        return 0; /* whoever opened it had the right: systemd's Transparent=yes */
    return error_set(e, ERR_IO, "--transparent=tproxy cannot mark a socket as transparent: %s; "
                     "start as root or with the capability CAP_NET_RAW (docs/transparent.md), or "
                     "take --transparent=redirect, which needs none", strerror(errno));
}

int transparent_check(enum transparent mode, struct error *e)
{
    int fd, err;

    if (mode != TRANSPARENT_TPROXY_SPOOF)
        return 0; /* the listeners will tell, or there is nothing to be told */
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(e, ERR_IO, "cannot make a socket: %s", strerror(errno));
    err = transparent_mark(fd, AF_INET, e);
    close(fd);
    return err;
}

void transparent_original(int fd, struct sockaddr_storage *to)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;

    /* A socket for both families asks at the level of the address, not of the socket. */
    if (getsockopt(fd, SOL_IP, ORIGINAL_DST, &a, &len)) {
        len = sizeof a;
        if (getsockopt(fd, SOL_IPV6, ORIGINAL_DST, &a, &len))
            return;
    }
    *to = a;
}

#else

int transparent_mark(int fd, int family, struct error *e)
{
    (void)fd;
    (void)family;
    return transparent_check(TRANSPARENT_TPROXY, e);
}

int transparent_check(enum transparent mode, struct error *e)
{
    if (mode == TRANSPARENT_OFF)
        return 0;
    return error_set(e, ERR_IO, "--transparent works on Linux only; elsewhere give UPSTREAM and "
                                "point the client here");
}

void transparent_original(int fd, struct sockaddr_storage *to)
{
    (void)fd;
    (void)to;
}

#endif

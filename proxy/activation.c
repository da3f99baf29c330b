#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool number(const char *name, unsigned long *n)
{
    const char *text = getenv(name);
    char *end = NULL;

    if (!text || *text < '0' || *text > '9')
        return false;
    *n = strtoul(text, &end, 10);
    return !*end;
}

static int check(int fd, struct error *e)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a, int_len = sizeof(int);
    int listening = 0, type = 0;
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC))
        return error_set(e, ERR_USAGE, "LISTEN_FDS names descriptor %d, which is not open; let "
                         "systemd start the program, or unset LISTEN_FDS", fd);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_len) || !listening ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&a, &len) ||
        (a.ss_family != AF_INET && a.ss_family != AF_INET6))
        return error_set(e, ERR_USAGE, "descriptor %d of LISTEN_FDS is no listening TCP socket; "
                         "the .socket unit needs ListenStream=ADDR:PORT and Accept=no", fd);
    return 0;
}

int activation_take(unsigned *count, unsigned max, struct error *e)
{
    unsigned long pid, fds;
    bool ours = number("LISTEN_PID", &pid) && pid == (unsigned long)getpid() &&
                number("LISTEN_FDS", &fds);
    int err = 0;

    *count = 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!ours)
        return 0;
    if (fds > max)
        return error_set(e, ERR_USAGE, "LISTEN_FDS gives %lu sockets, more than the %u that are "
                         "listened on; take lines out of the .socket unit", fds, max);
    for (unsigned i = 0; i < fds && !err; i++)
        err = check(ACTIVATION_FIRST + (int)i, e);
    *count = (unsigned)fds;
    return err;
}

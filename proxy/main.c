/* main.c: finds the command and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

static const struct command *const commands[] = {
    &cmd_proxy, &cmd_serve, &cmd_demo, &cmd_list, &cmd_show, &cmd_explain, &cmd_replay, &cmd_ca,
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(void)
{
    puts("Usage: xmpptap COMMAND [OPTIONS] ...\n"
         "Stands between an XMPP client and its server, and writes down what they say.\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-7s %s\n", commands[i]->name, commands[i]->help);
    puts("\n`xmpptap COMMAND --help` tells the options of each.");
}

/* Whoever started us may have closed them: no socket must get their numbers, and what is written
 * to them must still fail. */
static void open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* gets this number */
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    open_standard_streams();
    signal(SIGPIPE, SIG_IGN); /* writing tells */
    signal(SIGXFSZ, SIG_IGN);
    if (strcmp(name, "--version") == 0) {
        puts("xmpptap " XMPPTAP_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i]->run(argc - 1, argv + 1, commands[i]);
    if (!*name)
        return usage_error(NULL, "no command given");
    return usage_error(NULL, "unknown command %s", name);
}

#include "bridge_options.h"

#include <sys/prctl.h>

#include "../logs/message.h"
#include "account.h"

static int run_with(const struct command *c, struct capture_options *o, struct capture *cap)
{
    struct account *account = NULL;
    struct error e;
    int status;

    /* Passwords pass through in clear: this process leaves no core, and nobody else of the same
     * user can look into it. */
    prctl(PR_SET_DUMPABLE, 0);
    if (o->account) {
        account = account_open(o->account, o->password_file, &e);
        if (!account && e.code == ERR_USAGE)
            return usage_error(c, "%s", e.detail);
        if (!account) {
            message(LEVEL_ERROR, PAIRS("reason", error_name(e.code)), "%s", e.detail);
            return 1;
        }
    }
    o->proxy.account = account;
    status = capture_run(o, NULL, NULL, cap);
    account_free(account);
    return status;
}

int bridge_run(const struct command *c, struct capture_options *o, struct capture *cap)
{
    bool bridge = o->proxy.channel_binding == CHANNEL_BINDING_BRIDGE;

    if (!bridge && (o->account || o->password_file))
        return usage_error(c, "--account and --password-file are for --channel-binding bridge");
    if (!o->account != !o->password_file)
        return usage_error(c, "--account and --password-file go together");
    return bridge ? run_with(c, o, cap) : capture_run(o, NULL, NULL, cap);
}

// What the load generator's two ends say: a whole login (stream header, features, STARTTLS where it
// is in the clear, SCRAM-SHA-1, restart, bind, session), always the same bytes. The SCRAM is a
// recorded exchange: who relays it cannot tell.
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "conn.h"

// Sends `say`, then waits for `until`. The server's rows are the other way round.
struct step {
    const char *say;
    const char *until;
    bool then_tls; // after `until` (the server: after `say`) TLS begins
};

// Each ends with a row of NULLs; behind TLS the `_tls` ones come.
extern const struct step client_clear[], client_tls[], server_clear[], server_tls[];

extern const char closing_tag[];

// A ping (XEP-0199), `%u` its number, and its answer, `%s` the id.
extern const char ping_request[], ping_answer[];

// Asks the server for a use of the session: `%s` sink or source, `%zu` the bytes of a stanza and
// `%llu` how many of them (source). Its answer holds `use_answer`.
extern const char use_request[], use_answer[];

#endif

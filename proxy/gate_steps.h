/* gate_steps.h: what a gate does with one whole item, by a table of phase, direction and item; and
 * how it ends: it steps aside, or the session does.
 *
 * Inside the gate (gate.c); sans-I/O, loop thread. The user may be called, and may come back to
 * this gate: look at `stopped` and `phase` again behind each call.
 */
#ifndef XMPPTAP_GATE_STEPS_H
#define XMPPTAP_GATE_STEPS_H

#include "gate.h"

#define TLS_HANDSHAKE 0x16 /* the first byte of a ClientHello's record (RFC 8446 §5.1) */

/* What is still to be decided. */
const char *gate_bytes(const struct gate_way *w);
size_t gate_left(const struct gate_way *w);
void gate_drop(struct gate_way *w, size_t n);             /* decided */
size_t gate_space(const struct gate_way *w, size_t from); /* bytes of white space from there on */
/* The direction's bytes from `at` on, for a user that may come back to this gate while it reads
 * them. Returns owned. */
struct buf gate_cut(struct gate_way *w, size_t *at);

void gate_pass(struct gate *g, enum dir dir, size_t n);
void gate_refuse(struct gate *g); /* the client's: plaintext where TLS must begin */
void gate_restart(struct gate *g, enum label_phase phase);
void gate_name(struct gate *g, const char *domain); /* that the client asks for */
void gate_learn_domain(struct gate *g, const struct item *header); /* the client's */
void gate_item(struct gate *g, enum dir dir, enum scan_what what, size_t n);

/* Where the server's name is still to be checked, it is now, before the client's first `n` bytes go
 * on: false if they may. */
bool gate_misnamed(struct gate *g, size_t n);

/* What passes here unread would pass by --client-tls required, or by the bridge. */
bool gate_stays(const struct gate *g);

/* For good, because of `e`, code 0: the login is over. Where the gate must stay the session ends. */
void gate_step_aside(struct gate *g, enum dir dir, const struct error *e);

#endif

/* limits.h: how long a session may take to log in, and how long it may be silent.
 *
 * Embedded in its session, loop thread. One timer serves both: it runs to the earlier deadline and
 * looks then whether it is one, so bytes only note the time. While our own recorder holds the
 * session up nobody is to blame: then a limit begins anew. A login has all the time that a person
 * needs to type a password or to accept a certificate, so its default is five minutes; a gate that
 * stepped aside reads no more, and knows no end of a login.
 */
#ifndef XMPPTAP_LIMITS_H
#define XMPPTAP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct session;

struct limits {
    uv_timer_t timer;  /* its data: the session */
    bool running;
    bool negotiated;   /* no login is waited for any more */
    bool held_up;      /* the recorder held the session up while the timer ran */
    uint64_t began_ms; /* the loop's time */
    uint64_t heard_ms; /* of the last byte, or of one that a slow reader took */
};

void limits_init(struct session *s);
void limits_begin(struct session *s);      /* the session's first byte */
void limits_heard(struct session *s);      /* something moves */
void limits_negotiated(struct session *s); /* the gate is aside */

#endif

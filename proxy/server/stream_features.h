/* stream_features.h: the stream's header, and <stream:features/> as the profile orders them (RFC 6120
 * §4.2, §4.3.2). Pure. */
#ifndef XMPPTAP_STREAM_FEATURES_H
#define XMPPTAP_STREAM_FEATURES_H

#include "profile.h"

/* Where the stream is. */
struct stream_state {
    bool tls, authenticated, compressed;
    bool bound;
    bool starttls;      /* TLS can be had */
    bool accounts;      /* passwords are known: SCRAM can be offered */
    unsigned bindings;  /* bits by enum cb_type */
};

int stream_features_put(struct buf *out, const struct profile *p, const struct stream_state *s)
    MUST_CHECK;

/* This element alone, whether it is to be shown now or not. */
int stream_features_put_one(struct buf *out, enum feature f, const struct profile *p,
                            const struct stream_state *s) MUST_CHECK;

/* Is this mechanism on offer now? */
bool stream_features_offers(const struct profile *p, const struct stream_state *s,
                            const char *mechanism);

int stream_header_put(struct buf *out, const char *domain, const char *id) MUST_CHECK;

#endif

#include "verify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "cert.h"

/* `struct error` holds 320 bytes and cuts what is longer. The cure stands last and must not be
 * what is cut, so names get only this much. */
#define NAME_SHOWN_MAX  64
#define NAMES_SHOWN     4
#define NAMES_SHOWN_MAX 112

/* Everything but whom it trusts. */
static SSL_CTX *bare_context(struct error *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
        cert_error(e, "no TLS towards the server");
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* it is still checked: verify_peer() looks */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    return ctx;
}

SSL_CTX *verify_context(const char *ca_file, struct error *e)
{
    SSL_CTX *ctx = bare_context(e);

    if (!ctx)
        return NULL;
    if (!ca_file && !SSL_CTX_set_default_verify_paths(ctx)) {
        cert_error(e, "cannot open the system's CAs; name a PEM file with --upstream-ca");
        goto fail;
    }
    if (ca_file && access(ca_file, R_OK)) {
        error_set(e, ERR_CA, "cannot read %s: %s; give --upstream-ca a readable PEM file", ca_file,
                  strerror(errno));
        goto fail;
    }
    if (ca_file && !SSL_CTX_load_verify_file(ctx, ca_file)) {
        error_set(e, ERR_CA,
                  "%s: no certificates in it; give --upstream-ca a file of CA "
                  "certificates in PEM",
                  ca_file);
        goto fail;
    }
    if (ca_file) /* a server's own certificate, given as trusted, is trusted */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    ERR_clear_error();
    return ctx;
fail:
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}

SSL_CTX *verify_context_like(SSL_CTX *of, struct error *e)
{
    SSL_CTX *ctx = bare_context(e);
    X509 *cert = SSL_CTX_get0_certificate(of);
    STACK_OF(X509) *chain = NULL;

    if (!ctx)
        return NULL;
    SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(of));
    SSL_CTX_get0_chain_certs(of, &chain);
    if (X509_VERIFY_PARAM_set1(SSL_CTX_get0_param(ctx), SSL_CTX_get0_param(of)) &&
        (!cert || SSL_CTX_use_cert_and_key(ctx, cert, SSL_CTX_get0_privatekey(of), chain, 1)))
        return ctx;
    cert_error(e, "no TLS towards the server");
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- the chain ---- */

static const char *show_name(const X509_NAME *name, char out[NAME_SHOWN_MAX])
{
    return cert_name(name, out, NAME_SHOWN_MAX);
}

/* The chain as far as it could be built; NULL in a resumed session. Borrowed from `ssl`. */
static STACK_OF(X509) * chain_of(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

    return chain ? chain : SSL_get_peer_cert_chain(ssl);
}

/* The first certificate of the chain, from the server's upwards, that is out of its time. */
static X509 *out_of_time(SSL *ssl, bool expired)
{
    STACK_OF(X509) *chain = chain_of(ssl);

    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *x = sk_X509_value(chain, i);

        if (expired ? X509_cmp_current_time(X509_get0_notAfter(x)) <= 0
                    : X509_cmp_current_time(X509_get0_notBefore(x)) >= 0)
            return x;
    }
    return SSL_get0_peer_certificate(ssl);
}

static int refuse(struct error *e, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int refuse(struct error *e, const char *kind, const char *fmt, ...)
{
    va_list ap;

    e->code = ERR_CERTIFICATE;
    e->kind = kind;
    va_start(ap, fmt);
    vsnprintf(e->detail, sizeof e->detail, fmt, ap);
    va_end(ap);
    return ERR_CERTIFICATE;
}

static int time_error(SSL *ssl, bool expired, struct error *e)
{
    X509 *x = out_of_time(ssl, expired);
    char date[CERT_DATE_MAX], name[NAME_SHOWN_MAX], who[NAME_SHOWN_MAX + 32] = "";

    if (x != SSL_get0_peer_certificate(ssl) && X509_cmp(x, SSL_get0_peer_certificate(ssl)) != 0)
        snprintf(who, sizeof who, "'s CA \"%s\"", show_name(X509_get_subject_name(x), name));
    if (expired)
        return refuse(e, "expired",
                         "the server's certificate%s expired on %s; the server's owner must renew "
                         "it (or fix the clock of this machine), or go on anyway with --insecure",
                         who, cert_date(X509_get0_notAfter(x), date));
    return refuse(e, "not-yet-valid",
                     "the server's certificate%s is not valid before %s; fix the clock of this "
                     "machine, or go on anyway with --insecure",
                     who, cert_date(X509_get0_notBefore(x), date));
}

static int issuer_error(SSL *ssl, struct error *e)
{
    STACK_OF(X509) *chain = chain_of(ssl);
    int n = sk_X509_num(chain);
    X509 *last = n > 0 ? sk_X509_value(chain, n - 1) : SSL_get0_peer_certificate(ssl);
    char name[NAME_SHOWN_MAX];

    return refuse(e, "unknown-issuer",
                     "the server's certificate goes back to an unknown issuer, \"%s\"; give that "
                     "CA's certificate with --upstream-ca FILE (or the server's owner completes "
                     "the chain it sends), or go on anyway with --insecure",
                     show_name(X509_get_issuer_name(last), name));
}

static int chain_error(SSL *ssl, long result, struct error *e)
{
    char name[NAME_SHOWN_MAX];

    switch (result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return refuse(
            e, "self-signed",
            "the server's certificate \"%s\" is self-signed, nobody vouches for it; if it is the "
            "right one, give it with --upstream-ca FILE, or go on anyway with --insecure",
            show_name(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), name));
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return issuer_error(ssl, e);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return time_error(ssl, true, e);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return time_error(ssl, false, e);
    default:
        return refuse(e, "untrusted",
                         "the server's certificate cannot be trusted: %s; the server's owner must "
                         "replace it, or go on anyway with --insecure",
                         X509_verify_cert_error_string(result));
    }
}

/* ---- the name ---- */

/* The text of an otherName that XMPP knows, and its kind; NULL for others. */
static const ASN1_STRING *xmpp_name(const GENERAL_NAME *g, int *nid)
{
    const ASN1_TYPE *value;

    if (g->type != GEN_OTHERNAME)
        return NULL;
    *nid = OBJ_obj2nid(g->d.otherName->type_id);
    value = g->d.otherName->value;
    if (*nid == NID_SRVName && value->type == V_ASN1_IA5STRING)
        return value->value.ia5string;
    if (*nid == NID_XmppAddr && value->type == V_ASN1_UTF8STRING)
        return value->value.utf8string;
    return NULL;
}

static bool same_text(const char *p, size_t n, const char *domain, size_t domain_len)
{
    return n == domain_len && strncasecmp(p, domain, n) == 0;
}

/* Is it `_xmpp-client.DOMAIN` as SRVName, or DOMAIN as xmppAddr? */
static bool xmpp_name_matches(const GENERAL_NAME *g, const char *domain, size_t domain_len)
{
    static const size_t prefix = sizeof SRV_PREFIX - 1;
    int nid = NID_undef;
    const ASN1_STRING *s = xmpp_name(g, &nid);
    char bare[1024], jid[1024];
    const char *p;
    size_t n;

    if (!s)
        return false;
    p = (const char *)ASN1_STRING_get0_data(s);
    n = (size_t)ASN1_STRING_length(s);
    if (nid == NID_XmppAddr) { /* in U-labels, whatever TLS has been told */
        snprintf(bare, sizeof bare, "%.*s", (int)domain_len, domain);
        cert_u_labels(bare, jid, sizeof jid);
        return same_text(p, n, domain, domain_len) || same_text(p, n, jid, strlen(jid));
    }
    return n > prefix && strncasecmp(p, SRV_PREFIX, prefix) == 0 &&
           same_text(p + prefix, n - prefix, domain, domain_len);
}

/* Has the SAN a name of a kind that we read? Then the subject counts no more: RFC 6125 §6.4.4. */
static bool has_known_name(const GENERAL_NAMES *names)
{
    int nid;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

        if (g->type == GEN_DNS || g->type == GEN_IPADD || xmpp_name(g, &nid))
            return true;
    }
    return false;
}

static bool name_matches(X509 *cert, const GENERAL_NAMES *names, const char *domain)
{
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    size_t n = strlen(domain);
    char bare[256];

    if (n > 1 && domain[n - 1] == '.')
        n--;
    if (n == 0 || domain[0] == '.') /* which X509_check_host() takes for "any name below" */
        return false;
    if (n > 2 && n < sizeof bare && domain[0] == '[' && domain[n - 1] == ']') {
        memcpy(bare, domain + 1, n - 2);
        bare[n - 2] = '\0';
        return X509_check_ip_asc(cert, bare, 0) == 1;
    }
    if (X509_check_ip_asc(cert, domain, 0) == 1)
        return true;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (xmpp_name_matches(sk_GENERAL_NAME_value(names, i), domain, n))
            return true;
    if (has_known_name(names))
        flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    return X509_check_host(cert, domain, n, flags, NULL) == 1;
}

/* One SAN as a person would write it. False: of a kind that is nothing to us. */
static bool show_san(const GENERAL_NAME *g, char out[NAME_SHOWN_MAX])
{
    int nid = NID_undef;
    const ASN1_STRING *s = g->type == GEN_DNS ? g->d.dNSName : xmpp_name(g, &nid);

    if (s) {
        cert_printable(out, NAME_SHOWN_MAX, (const char *)ASN1_STRING_get0_data(s),
                       (size_t)ASN1_STRING_length(s));
        return true;
    }
    if (g->type != GEN_IPADD)
        return false;
    s = g->d.iPAddress;
    return (ASN1_STRING_length(s) == 4 &&
            inet_ntop(AF_INET, ASN1_STRING_get0_data(s), out, NAME_SHOWN_MAX)) ||
           (ASN1_STRING_length(s) == 16 &&
            inet_ntop(AF_INET6, ASN1_STRING_get0_data(s), out, NAME_SHOWN_MAX));
}

/* "a, b, c, d and 7 more", or the subject's name. */
static const char *show_names(X509 *cert, const GENERAL_NAMES *names, char out[NAMES_SHOWN_MAX])
{
    char one[NAME_SHOWN_MAX];
    int shown = 0, more = 0;
    size_t len = 0, room = NAMES_SHOWN_MAX - sizeof " and 2147483647 more";

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (!show_san(sk_GENERAL_NAME_value(names, i), one))
            continue;
        if (more || shown == NAMES_SHOWN || len + strlen(one) + 2 > room) {
            more++;
            continue;
        }
        len += (size_t)snprintf(out + len, NAMES_SHOWN_MAX - len, "%s%s", shown ? ", " : "", one);
        shown++;
    }
    if (more)
        snprintf(out + len, NAMES_SHOWN_MAX - len, " and %d more", more);
    if (!shown)
        snprintf(out, NAMES_SHOWN_MAX, "%s", show_name(X509_get_subject_name(cert), one));
    return out;
}

bool verify_names(X509 *cert, const char *domain)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool named = name_matches(cert, names, domain);

    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return named;
}

static int check_name(X509 *cert, const char *domain, struct error *e)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char list[NAMES_SHOWN_MAX], wanted[NAME_SHOWN_MAX];
    int err = 0;

    if (!names && X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) >= 0)
        err = refuse(e, "wrong-name",
                        "the names in the server's certificate cannot be read; the server's owner "
                        "must replace it, or go on anyway with --insecure");
    else if (!name_matches(cert, names, domain))
        err = refuse(e, "wrong-name",
                        "the server's certificate is for %s, not for \"%s\"; check UPSTREAM and "
                        "the client's domain (or the server's owner adds the name), or go on "
                        "anyway with --insecure",
                        show_names(cert, names, list),
                        cert_printable(wanted, sizeof wanted, domain, strlen(domain)));
    GENERAL_NAMES_free(names);
    return err;
}

int verify_peer(SSL *ssl, const char *domain, struct error *e)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    long result = SSL_get_verify_result(ssl);
    int err;

    if (!cert)
        err = refuse(e, "no-certificate",
                        "the server showed no certificate; the server's owner must give it one, "
                        "or go on anyway with --insecure");
    else if (result != X509_V_OK)
        err = chain_error(ssl, result, e);
    else
        err = domain ? check_name(cert, domain, e) : 0;
    ERR_clear_error();
    return err;
}

/* ---- broken handshakes ---- */

enum peer { CLIENT, SERVER };

#define TRUST_US    "install our CA in the client: `xmpptap ca export` prints its certificate"
#define TRUST_MAYBE "if it does not trust us yet, " TRUST_US
#define CLIENT_LOG  "the client's own log may tell more"
#define SERVER_LOG  "the server's own log may tell more"
#define CLIENT_CERT \
    "give a client certificate that it accepts with --client-cert FILE --client-key FILE, or turn " \
    "that off there"
#define UPDATE      "update it, or allow TLS 1.2 there"

/* "the PEER WHAT (alert NAME); CURE". RFC 8446 §6, RFC 5246 §7.2. */
static const struct alert {
    int code;
    const char *name;
    const char *what[2]; /* by enum peer; one alone holds for both */
    const char *cure[2];
} alerts[] = {
    {SSL_AD_CLOSE_NOTIFY, "close_notify", {"gave up the TLS handshake"}, {TRUST_MAYBE, SERVER_LOG}},
    {SSL_AD_UNEXPECTED_MESSAGE,
     "unexpected_message",
     {"did not expect our message"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_BAD_RECORD_MAC,
     "bad_record_mac",
     {"could not decrypt our data"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_HANDSHAKE_FAILURE,
     "handshake_failure",
     {"has no cipher or curve in common with us"},
     {"allow ECDHE-ECDSA ciphers and P-256 in the client",
      "update it, or turn off client certificates there"}},
    {SSL_AD_BAD_CERTIFICATE,
     "bad_certificate",
     {"does not accept our certificate", "does not accept us without a certificate"},
     {TRUST_US, CLIENT_CERT}},
    {SSL_AD_UNSUPPORTED_CERTIFICATE,
     "unsupported_certificate",
     {"cannot use our certificate (ECDSA, P-256)", "does not accept us without a certificate"},
     {"update the client", CLIENT_CERT}},
    {SSL_AD_CERTIFICATE_REVOKED,
     "certificate_revoked",
     {"takes our certificate for revoked", "does not accept us without a certificate"},
     {TRUST_US, CLIENT_CERT}},
    {SSL_AD_CERTIFICATE_EXPIRED,
     "certificate_expired",
     {"takes our certificate for expired", "does not accept us without a certificate"},
     {"set the clocks of the client and of this machine", CLIENT_CERT}},
    {SSL_AD_CERTIFICATE_UNKNOWN,
     "certificate_unknown",
     {"does not accept our certificate", "does not accept us without a certificate"},
     {TRUST_US, CLIENT_CERT}},
    {SSL_AD_ILLEGAL_PARAMETER,
     "illegal_parameter",
     {"does not accept our handshake"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_UNKNOWN_CA,
     "unknown_ca",
     {"does not trust our CA", "does not accept us without a certificate"},
     {TRUST_US, CLIENT_CERT}},
    {SSL_AD_ACCESS_DENIED, "access_denied", {"denies access"}, {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_DECODE_ERROR,
     "decode_error",
     {"could not read our handshake"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_DECRYPT_ERROR,
     "decrypt_error",
     {"could not check our signature"},
     {TRUST_US, SERVER_LOG}},
    {SSL_AD_PROTOCOL_VERSION,
     "protocol_version",
     {"speaks neither TLS 1.2 nor 1.3"},
     {UPDATE, UPDATE}},
    {SSL_AD_INSUFFICIENT_SECURITY,
     "insufficient_security",
     {"wants stronger ciphers"},
     {"allow ECDHE-ECDSA ciphers in the client", "update OpenSSL on this machine"}},
    {SSL_AD_INTERNAL_ERROR, "internal_error", {"failed inside itself"}, {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_INAPPROPRIATE_FALLBACK,
     "inappropriate_fallback",
     {"could speak a later TLS version"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_USER_CANCELLED,
     "user_canceled",
     {"cancelled the TLS handshake"},
     {TRUST_MAYBE, SERVER_LOG}},
    {SSL_AD_MISSING_EXTENSION,
     "missing_extension",
     {"misses an extension"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_UNSUPPORTED_EXTENSION,
     "unsupported_extension",
     {"does not accept an extension"},
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_AD_UNRECOGNIZED_NAME,
     "unrecognized_name",
     {"does not know the name in the SNI"},
     {CLIENT_LOG, "check the client's domain and UPSTREAM: that server does not serve it"}},
    {SSL_AD_CERTIFICATE_REQUIRED,
     "certificate_required",
     {"wants another certificate", "does not accept us without a certificate"},
     {CLIENT_LOG, CLIENT_CERT}},
    {SSL_AD_NO_APPLICATION_PROTOCOL,
     "no_application_protocol",
     {"speaks no protocol of our ALPN", "does not speak XMPP there (ALPN)"},
     {CLIENT_LOG, "check UPSTREAM's port: XMPP's direct TLS is mostly on 5223"}},
};

#define BROKEN_OFF "closed the connection in the middle of the TLS handshake"
#define NO_CIPHER  "offers no cipher that our certificate (ECDSA, P-256) can use"
#define OLD_TLS    "speaks only TLS older than 1.2"
#define WEAK       "uses a key or a signature too weak for this machine's OpenSSL"
#define CURE_OURS  "allow ECDHE-ECDSA ciphers and P-256 there"
#define CURE_RENEW "its owner must renew it (2048 bits RSA or P-256, SHA-256)"

/* What we found ourselves: "the PEER WHAT; CURE". */
static const struct failure {
    int reason; /* SSL_R_..., 0: the connection ended */
    const char *kind;
    const char *what;
    const char *cure[2]; /* by enum peer */
} failures[] = {
    {0, "handshake-ended", BROKEN_OFF, {TRUST_MAYBE, SERVER_LOG}},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "handshake-ended", BROKEN_OFF, {TRUST_MAYBE, SERVER_LOG}},
    {SSL_R_NO_SHARED_CIPHER, "no-cipher", NO_CIPHER, {CURE_OURS, CURE_OURS}},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no-cipher", NO_CIPHER, {CURE_OURS, CURE_OURS}},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no-cipher", NO_CIPHER, {CURE_OURS, CURE_OURS}},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no-curve", "has no curve in common with us", {CURE_OURS, CURE_OURS}},
    {SSL_R_NO_SHARED_GROUPS, "no-curve", "has no curve in common with us", {CURE_OURS, CURE_OURS}},
    {SSL_R_UNSUPPORTED_PROTOCOL, "old-tls", OLD_TLS, {UPDATE, UPDATE}},
    {SSL_R_UNKNOWN_PROTOCOL, "old-tls", OLD_TLS, {UPDATE, UPDATE}},
    {SSL_R_VERSION_TOO_LOW, "old-tls", OLD_TLS, {UPDATE, UPDATE}},
    {SSL_R_WRONG_SSL_VERSION, "old-tls", OLD_TLS, {UPDATE, UPDATE}},
    {SSL_R_WRONG_VERSION_NUMBER, "not-tls",
     "did not speak TLS",
     {"set the client to STARTTLS or to direct TLS, this port takes both",
      "check UPSTREAM: tcp://HOST:PORT is for STARTTLS (5222), tls:// for direct TLS (5223)"}},
    {SSL_R_HTTP_REQUEST, "http",
     "sent HTTP, not TLS",
     {"XMPP over HTTP (BOSH, WebSocket) is not read here: set the client to TCP",
      "check UPSTREAM's port"}},
    {SSL_R_HTTPS_PROXY_REQUEST, "http",
     "sent a request to an HTTP proxy, not TLS",
     {"xmpptap is no HTTP proxy: set the client to TCP", "check UPSTREAM's port"}},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "bad-data",
     "sent data that does not decrypt",
     {CLIENT_LOG, SERVER_LOG}},
    {SSL_R_DH_KEY_TOO_SMALL, "weak", WEAK, {UPDATE, CURE_RENEW}},
    {SSL_R_EE_KEY_TOO_SMALL, "weak", WEAK, {UPDATE, CURE_RENEW}},
    {SSL_R_CA_KEY_TOO_SMALL, "weak", WEAK, {UPDATE, CURE_RENEW}},
    {SSL_R_CA_MD_TOO_WEAK, "weak", WEAK, {UPDATE, CURE_RENEW}},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, "old-tls",
     "knows no secure renegotiation (RFC 5746)",
     {UPDATE, UPDATE}},
};

static const struct alert *find_alert(int code)
{
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
        if (alerts[i].code == code)
            return &alerts[i];
    return NULL;
}

static const struct failure *find_failure(int reason)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i].reason == reason)
            return &failures[i];
    return NULL;
}

/* Words for one error of the queue. False if the tables do not know it. */
static bool tell(unsigned long err, const char *peer, enum peer who, struct error *e)
{
    int reason = ERR_GET_REASON(err);
    const struct alert *a;
    const struct failure *f;

    if (ERR_GET_LIB(err) != ERR_LIB_SSL || ERR_SYSTEM_ERROR(err))
        return false;
    a = reason >= SSL_AD_REASON_OFFSET ? find_alert(reason - SSL_AD_REASON_OFFSET) : NULL;
    f = a ? NULL : find_failure(reason);
    if (a)
        error_set(e, ERR_TLS, "the %s %s (alert %s); %s", peer,
                  a->what[who] ? a->what[who] : a->what[CLIENT], a->name, a->cure[who]);
    else if (f)
        error_set(e, ERR_TLS, "the %s %s; %s", peer, f->what, f->cure[who]);
    if (a || f)
        e->kind = a ? a->name : f->kind;
    return a || f;
}

void verify_handshake_error(SSL *ssl, const char *peer, struct error *e)
{
    enum peer who = strcmp(peer, "client") == 0 ? CLIENT : SERVER;
    unsigned long err, first = ERR_peek_error();
    bool told = false;

    if (first == 0 && ssl && (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN))
        told = tell(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET), peer, who, e);
    else if (first == 0)
        told = tell(ERR_PACK(ERR_LIB_SSL, 0, 0), peer, who, e);
    while ((err = ERR_get_error()) != 0 && !told)
        told = tell(err, peer, who, e);
    if (!told) {
        const char *why = ERR_reason_error_string(first);

        error_set(e, ERR_TLS, "the TLS handshake with the %s failed: %s; %s", peer,
                  why ? why : "OpenSSL gives no reason", who == CLIENT ? CLIENT_LOG : SERVER_LOG);
    }
    ERR_clear_error();
}

#include "client_cert.h"

#include <pthread.h>

#define SESSION_CONTEXT "xmpptap, asking" /* RFC 5077 tickets of other handshakes are not taken */

static int index_made; /* once, for the life of the program */

static void make_index(void)
{
    index_made = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int asked_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_index);
    return index_made;
}

/* Called when, and only when, the server sends a CertificateRequest. */
static int on_asked(SSL *ssl, void *arg)
{
    static char yes;

    (void)arg;
    SSL_set_ex_data(ssl, asked_index(), &yes);
    return 1;
}

void client_cert_watch(SSL_CTX *upstream)
{
    asked_index();
    SSL_CTX_set_cert_cb(upstream, on_asked, NULL);
}

bool client_cert_asked(SSL *server)
{
    return server && SSL_get_ex_data(server, asked_index());
}

/* Whom it belongs to is for the server to judge. */
static int take_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

bool client_cert_ask(SSL *client, SSL *server)
{
    const STACK_OF(X509_NAME) * names;
    STACK_OF(X509_NAME) * copy;

    if (!client_cert_asked(server))
        return true;
    names = SSL_get0_peer_CA_list(server);
    if (names) {
        copy = SSL_dup_CA_list(names);
        if (!copy)
            return false;
        SSL_set0_CA_list(client, copy);
    }
    SSL_set_verify(client, SSL_VERIFY_PEER, take_any);
    return SSL_set_session_id_context(client, (const unsigned char *)SESSION_CONTEXT,
                                      sizeof SESSION_CONTEXT - 1) == 1;
}

X509 *client_cert_shown(SSL *client)
{
    return client ? SSL_get0_peer_certificate(client) : NULL;
}

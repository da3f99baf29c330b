#include "pair.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

void pair_init(struct pair *p)
{
    *p = (struct pair){0};
    p->listener = peer_listen(&p->port);
    assert_true(p->listener >= 0);
    peer_init(&p->client, "client");
    peer_init(&p->server, "server");
}

void pair_init_tls(struct pair *p, struct box *b, const char *pem, enum pki_leaf leaf, int version)
{
    pair_init(p);
    p->client_ctx = pki_client(pem, version);
    p->server_ctx = pki_server(&b->pki, leaf, version);
}

void pair_again(struct pair *p)
{
    peer_close(&p->client);
    peer_close(&p->server);
    peer_init(&p->client, "client");
    peer_init(&p->server, "server");
}

void pair_free(struct pair *p)
{
    peer_close(&p->client);
    peer_close(&p->server);
    SSL_CTX_free(p->client_ctx);
    SSL_CTX_free(p->server_ctx);
    close(p->listener);
}

void pair_play(struct pair *p, int proxy_port, login_part *client, login_part *server)
{
    const struct login_end c = {&p->client, client, p->client_ctx};
    const struct login_end s = {&p->server, server, p->server_ctx};
    PEER_OK(&p->client, peer_connect(&p->client, proxy_port));
    if (login_pair(&c, &s, p->listener) != 0)
        fail_msg("client: %s; server: %s", p->client.error, p->server.error);
}

void pair_login(struct pair *p, int proxy_port)
{
    pair_play(p, proxy_port, login_client, login_server);
}

void pair_meet(struct pair *p, const char *says, const char *gets)
{
    PEER_OK(&p->client, peer_sends(&p->client, says));
    PEER_OK(&p->server, peer_accept(&p->server, p->listener));
    PEER_OK(&p->server, peer_expects(&p->server, gets));
}

void pair_says(struct peer *from, struct peer *to, const char *bytes)
{
    PEER_OK(from, peer_sends(from, bytes));
    PEER_OK(to, peer_expects(to, bytes));
}

void pair_leave(struct pair *p)
{
    pair_says(&p->client, &p->server, STREAM_CLOSE);
    pair_says(&p->server, &p->client, STREAM_CLOSE);
}

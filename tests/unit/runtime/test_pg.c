#include "runtime/clock.h"
#include "runtime/pg.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define PATIENCE_MS 100

/* A PostgreSQL that lets anybody in, takes one script, and then reads on without another word. */
static void *serve(void *context)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I",
                      done[] = "C\0\0\0\10SET\0Z\0\0\0\5I";
    const int listener = *(const int *)context;
    int client = accept(listener, NULL, NULL);
    char heard[4096];

    if (read(client, heard, sizeof heard) > 0 && write(client, welcome, sizeof welcome - 1) > 0 &&
        read(client, heard, sizeof heard) > 0 && write(client, done, sizeof done - 1) > 0)
        while (read(client, heard, sizeof heard) > 0)
            ;
    close(client);
    return NULL;
}

static int listen_anywhere(char *conninfo, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    snprintf(conninfo, size,
             "host=127.0.0.1 port=%d user=u dbname=d sslmode=disable gssencmode=disable",
             ntohs(address.sin_port));
    return listener;
}

static enum err_kind ask_script(struct pg *pg, struct err *err)
{
    return pg_script(pg, "select 1", err);
}

static enum err_kind ask_statement(struct pg *pg, struct err *err)
{
    static const struct pg_statement one = {"one", "select 1"};

    return pg_run(pg, &one, NULL, NULL, err);
}

Test(pg, a_server_that_goes_silent_is_given_up, .timeout = 30)
{
    enum err_kind (*const ways[])(struct pg *, struct err *) = {ask_script, ask_statement};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        AUTO(pg_close) struct pg *pg = NULL;
        struct err err = {0};
        char conninfo[128];
        pthread_t server;
        int listener = listen_anywhere(conninfo, sizeof conninfo);

        pthread_create(&server, NULL, serve, &listener);
        cr_assert_eq(pg_open(&pg, conninfo, "test", &err), ERR_OK, "%s", err.text);
        pg_wait_at_most(pg, PATIENCE_MS);

        cr_expect_eq(ways[i](pg, &err), ERR_RETRY);
        cr_expect(err.text[0] != '\0');
        close(listener);
        pthread_join(server, NULL);
    }
}

/* Fuzz: what a mail server says. The first byte says whether STARTTLS is tried; then come the
 * answers, a NUL between one and the next. Each is said when something was heard, or when the
 * client is silent; behind the last one the server hangs up. Two mails are sent to it.
 *
 * A mail counts as sent only if the server has heard it to its end and ever said yes, and as
 * refused only if it has ever said no for good. */
#include "runtime/smtp.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#define MAILS 2
#define TIMEOUT_MS 5000
#define SILENCE_MS 1

static const struct mail MAIL = {.message_id = "1.confirmed@shop.test",
                                 .from = "shop@shop.test",
                                 .to = "ada@shop.test",
                                 .subject = "Your order",
                                 .text = "It is on its way.\n.\nThat was a line with a dot.\n",
                                 .date_us = 1};

struct server {
    int listening, over; /* over: a byte comes when nobody connects any more */
    struct view answers; /* that are left */
    bool said_yes, said_no;
    size_t mails; /* heard to their end */
};

static char url[64];
static int listening;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    (void)argc;
    (void)argv;
    listening = socket(AF_INET, SOCK_STREAM, 0);
    HOLDS(bind(listening, (struct sockaddr *)&address, size) == 0 && listen(listening, 4) == 0,
          "no port");
    HOLDS(getsockname(listening, (struct sockaddr *)&address, &size) == 0, "no port");
    snprintf(url, sizeof url, "smtp://127.0.0.1:%d", ntohs(address.sin_port));
    return 0;
}

/* --- The server ------------------------------------------------------------------------------- */

static bool comes(int from, int within_ms)
{
    struct pollfd readable = {.fd = from, .events = POLLIN};

    return poll(&readable, 1, within_ms) > 0;
}

/* line_start: what was said before ends a line. Gives the same for what is said next. */
static bool say(struct server *server, int to, bool line_start)
{
    struct view text = fuzz_until_nul(&server->answers);

    for (size_t i = 0; i < text.size; i++) {
        server->said_yes = server->said_yes || (line_start && text.data[i] == '2');
        server->said_no = server->said_no || (line_start && text.data[i] == '5');
        line_start = text.data[i] == '\n';
    }
    if (text.size > 0)
        send(to, text.data, text.size, MSG_NOSIGNAL);
    return line_start;
}

/* end: how much of CR LF dot CR LF was heard last. False: the client has gone. */
static bool hear(struct server *server, int from, size_t *end)
{
    static const char END[] = "\r\n.\r\n";
    char text[4096];
    ssize_t size = recv(from, text, sizeof text, 0);

    for (ssize_t i = 0; i < size; i++) {
        if (text[i] != END[*end])
            *end = 0;
        *end += text[i] == END[*end];
        if (*end == sizeof END - 1) {
            server->mails++;
            *end = 0;
        }
    }
    return size > 0;
}

static void talk(struct server *server, int client)
{
    bool line_start = true, is_there = true;
    size_t end = 0;

    while (is_there && server->answers.size > 0) {
        line_start = say(server, client, line_start);
        if (comes(client, SILENCE_MS))
            is_there = hear(server, client, &end);
    }
    shutdown(client, SHUT_WR);
    while (is_there)
        is_there = hear(server, client, &end);
    close(client);
}

static void *serve(void *context)
{
    struct server *server = context;
    struct pollfd doors[] = {{.fd = server->listening, .events = POLLIN},
                             {.fd = server->over, .events = POLLIN}};

    while (poll(doors, 2, -1) > 0 && doors[1].revents == 0)
        talk(server, accept(server->listening, NULL, NULL));
    return NULL;
}

/* --- The client ------------------------------------------------------------------------------- */

static size_t send_mails(const char *tls, bool *refused)
{
    AUTO(smtp_close) struct smtp *smtp = NULL;
    struct err err = {0};
    size_t sent = 0;

    HOLDS(smtp_open(&smtp, url, tls, TIMEOUT_MS, 1, &err) == ERR_OK, err.text);
    for (int i = 0; i < MAILS; i++) {
        struct smtp_answer answer = {0};

        HOLDS(smtp_begin(smtp, &MAIL, NULL, &err) == ERR_OK, err.text);
        HOLDS(smtp_answered(smtp, &answer, 2 * TIMEOUT_MS), "no answer");
        sent += answer.kind == ERR_OK;
        *refused = *refused || answer.kind == ERR_REJECT;
        HOLDS(answer.kind == ERR_OK || answer.kind == ERR_RETRY || answer.kind == ERR_REJECT,
              answer.err.text);
        HOLDS(answer.kind == ERR_OK ||
                  (answer.err.kind == answer.kind && answer.err.text[0] != '\0'),
              "no reason");
    }
    return sent;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server server = {.listening = listening};
    bool refused = false;
    pthread_t thread;
    int over[2];
    size_t sent;

    if (size == 0)
        return -1;
    server.answers = view_of((const char *)data + 1, size - 1);
    HOLDS(pipe(over) == 0, "no pipe");
    server.over = over[0];
    HOLDS(pthread_create(&thread, NULL, serve, &server) == 0, "no thread");
    sent = send_mails(data[0] & 1 ? "may" : "never", &refused);
    HOLDS(write(over[1], "", 1) == 1, "no pipe");
    pthread_join(thread, NULL);
    close(over[0]);
    close(over[1]);
    HOLDS(server.mails <= MAILS, "a mail that ends before its end");
    HOLDS(sent <= server.mails, "a mail that was not sent to its end");
    HOLDS(sent == 0 || server.said_yes, "sent, and nobody said yes");
    HOLDS(!refused || server.said_no, "refused, and nobody said no");
    return 0;
}

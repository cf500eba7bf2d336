#include "runtime/smtp.h"

#include <criterion/criterion.h>

#include <stdio.h>

static struct mail plain_mail(void)
{
    return (struct mail){
        .message_id = "orders.7.42.confirmed@tradewind.example",
        .from = "shop@tradewind.example",
        .to = "ada@example.com",
        .subject = "Your order",
        .text = "Thank you.\n",
        .date_us = INT64_C(1291191960000000),
    };
}

Test(mail, plain_text_is_one_part)
{
    static const char *const extra[] = {"X-Order-Id: 42", "Auto-Submitted: auto-generated", NULL};
    AUTO(buf_clear) struct buf out = {0};
    struct mail mail = plain_mail();
    struct err err = {0};

    mail.headers = extra;
    cr_assert_eq(mail_write(&out, &mail, &err), ERR_OK, "%s", err.text);

    cr_expect_str_eq(buf_cstr(&out), "Date: Wed, 01 Dec 2010 08:26:00 +0000\r\n"
                                     "From: shop@tradewind.example\r\n"
                                     "To: ada@example.com\r\n"
                                     "Message-ID: <orders.7.42.confirmed@tradewind.example>\r\n"
                                     "Subject: Your order\r\n"
                                     "X-Order-Id: 42\r\n"
                                     "Auto-Submitted: auto-generated\r\n"
                                     "MIME-Version: 1.0\r\n"
                                     "Content-Type: text/plain; charset=utf-8\r\n"
                                     "Content-Transfer-Encoding: quoted-printable\r\n"
                                     "\r\n"
                                     "Thank you.\r\n");
}

Test(mail, text_and_html_are_alternatives)
{
    AUTO(buf_clear) struct buf out = {0};
    AUTO(buf_clear) struct buf again = {0};
    struct mail mail = plain_mail();
    char boundary[64] = "";
    const char *at;
    struct err err = {0};

    mail.html = "<p>Thank you.</p>";
    cr_assert_eq(mail_write(&out, &mail, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(mail_write(&again, &mail, &err), ERR_OK, "%s", err.text);

    cr_expect_str_eq(buf_cstr(&out), buf_cstr(&again), "the same mail has the same bytes");
    at = strstr(out.data, "\r\nContent-Type: multipart/alternative; boundary=\"");
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(strstr(at, "\"") + 1, "%63[^\"]", boundary), 1);
    buf_reset(&again);
    buf_printf(&again,
               "\"\r\n\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\nThank you.\r\n"
               "--%s\r\nContent-Type: text/html; charset=utf-8\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Thank you.</p>\r\n--%s--\r\n",
               boundary, boundary, boundary);
    cr_expect_str_eq(strstr(at, "\"\r\n"), buf_cstr(&again));
}

Test(mail, a_header_is_encoded_when_it_must_be)
{
    static const struct {
        const char *name, *subject, *expected;
    } cases[] = {
        {NULL, "Plain", "To: ada@example.com\r\n|Subject: Plain\r\n"},
        {"", "", "To: ada@example.com\r\n|Subject: \r\n"},
        {"Ada \"the\\first\"", "=?utf-8?Q?x?=",
         "To: \"Ada \\\"the\\\\first\\\"\"\r\n <ada@example.com>\r\n|"
         "Subject: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?=\r\n"},
        {"Zo\xc3\xab", "\xe2\x82\xac 5",
         "To: =?utf-8?B?Wm/Dqw==?=\r\n <ada@example.com>\r\n|Subject: =?utf-8?B?4oKsIDU=?=\r\n"},
        /* 38 bytes and then a euro of 3: it goes whole into the second word */
        {NULL, "12345678901234567890123456789012345678\xe2\x82\xac",
         "To: ada@example.com\r\n|"
         "Subject: =?utf-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?=\r\n"
         " =?utf-8?B?4oKs?=\r\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf out = {0};
        struct mail mail = plain_mail();
        const char *bar = strchr(cases[i].expected, '|');
        char to[200];
        struct err err = {0};

        mail.to_name = cases[i].name;
        mail.subject = cases[i].subject;
        cr_assert_eq(mail_write(&out, &mail, &err), ERR_OK, "%s", err.text);
        snprintf(to, sizeof to, "%.*s", (int)(bar - cases[i].expected), cases[i].expected);
        cr_expect(strstr(buf_cstr(&out), to) != NULL, "case %zu: %s", i, out.data);
        cr_expect(strstr(out.data, bar + 1) != NULL, "case %zu: %s", i, out.data);
    }
}

Test(mail, text_is_quoted_printable)
{
    static const struct {
        const char *text, *encoded;
    } cases[] = {
        {"", ""},
        {"a", "a\r\n"},
        {"a\nb\r\nc\n", "a\r\nb\r\nc\r\n"},
        {"\n\n", "\r\n\r\n"},
        {"1+1=2", "1+1=3D2\r\n"},
        {"\xe2\x82\xac", "=E2=82=AC\r\n"},
        {"end \nof\t\nline ", "end=20\r\nof=09\r\nline=20\r\n"},
        {"bare\rreturn", "bare=0Dreturn\r\n"},
        {".\n..\n", ".\r\n..\r\n"},
        {"123456789012345678901234567890123456789012345678901234567890123456789012345",
         "123456789012345678901234567890123456789012345678901234567890123456789012345\r\n"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123456",
         "123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n6\r\n"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123\xc3\xa9",
         "1234567890123456789012345678901234567890123456789012345678901234567890123=\r\n"
         "=C3=A9\r\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf out = {0};
        struct mail mail = plain_mail();
        struct err err = {0};

        mail.text = cases[i].text;
        cr_assert_eq(mail_write(&out, &mail, &err), ERR_OK, "%s", err.text);
        cr_expect_str_eq(strstr(buf_cstr(&out), "\r\n\r\n") + 4, cases[i].encoded, "case %zu: %s",
                         i, out.data);
    }
}

Test(mail, what_would_break_out_of_its_field_is_refused)
{
    static const char *const injected[] = {"Evil: 1", "X-A: b\r\nBcc: eve@example.com", NULL};
    static const char *const ours[] = {"bcc: eve@example.com", NULL};
    static const char *const bare[] = {"no colon", NULL};
    const struct {
        const char *field;
        struct mail change; /* its fields that are set are taken */
    } cases[] = {
        {"subject", {.subject = "a\r\nBcc: eve@example.com"}},
        {"subject", {.subject = "a\nb"}},
        {"subject", {.subject = "a\xff"}},
        {"subject", {.subject = "a\x7f"}},
        {"name", {.to_name = "Ada\r\nBcc: eve@example.com"}},
        {"name", {.to_name = "\xc3"}},
        {"to", {.to = "ada@example.com\r\nRCPT TO:<eve@example.com>"}},
        {"to", {.to = "ada@example.com> <eve@example.com"}},
        {"to", {.to = "ada@example.com,eve@example.com"}},
        {"to", {.to = "ada"}},
        {"to", {.to = "@example.com"}},
        {"to", {.to = "ada@"}},
        {"to", {.to = ""}},
        {"to", {.to = "a@b@c"}},
        {"to", {.to = "zo\xc3\xab@example.com"}},
        {"to", {.to = "a b@example.com"}},
        {"from", {.from = "shop@tradewind.example SIZE=1"}},
        {"message id", {.message_id = "1@a>\r\nX: <"}},
        {"text", {.text = "\xed\xa0\x80"}},
        {"html", {.html = "\xc0\xaf"}},
        {"extra header X-A", {.headers = injected}},
        {"extra header bcc", {.headers = ours}},
        {"extra header", {.headers = bare}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf out = {0};
        const struct mail *change = &cases[i].change;
        struct mail mail = plain_mail();
        struct err err = {0};

        mail.subject = change->subject != NULL ? change->subject : mail.subject;
        mail.to_name = change->to_name;
        mail.to = change->to != NULL ? change->to : mail.to;
        mail.from = change->from != NULL ? change->from : mail.from;
        mail.message_id = change->message_id != NULL ? change->message_id : mail.message_id;
        mail.text = change->text != NULL ? change->text : mail.text;
        mail.html = change->html;
        mail.headers = change->headers;
        cr_expect_eq(mail_write(&out, &mail, &err), ERR_REJECT, "case %zu", i);
        cr_expect(strstr(err.text, cases[i].field) != NULL, "case %zu: %s", i, err.text);
        cr_expect_eq(out.size, 0, "case %zu", i);
    }
}

Test(smtp, a_url_or_tls_of_another_form_is_named)
{
    static const struct {
        const char *url, *tls, *reason;
    } cases[] = {
        {"http://127.0.0.1:25", "never", "smtp url http://127.0.0.1:25"},
        {"127.0.0.1:25", "never", "smtp url 127.0.0.1:25"},
        {"smtp://127.0.0.1:25", "yes", "smtp tls yes: want never, may or must"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smtp *smtp = NULL;
        struct err err = {0};

        cr_expect_eq(smtp_open(&smtp, cases[i].url, cases[i].tls, 1000, 2, &err), ERR_STOP);
        cr_expect(strstr(err.text, cases[i].reason) != NULL, "%s", err.text);
        cr_expect_null(smtp);
    }
}

Test(smtp, without_a_server_mails_wait)
{
    struct mail mail = plain_mail();
    struct smtp *smtp = NULL;
    struct err err = {0};
    bool told[2] = {false, false};

    cr_assert_eq(smtp_open(&smtp, "smtp://127.0.0.1:1", "never", 1000, 2, &err), ERR_OK);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(smtp_begin(smtp, &mail, &told[i], &err), ERR_OK);
    cr_expect_eq(smtp_under_way(smtp), 2);

    for (int i = 0; i < 2; i++) {
        struct smtp_answer answer = {0};

        cr_assert(smtp_answered(smtp, &answer, 5000));
        *(bool *)answer.context = true;
        cr_expect_eq(answer.kind, ERR_RETRY);
        cr_expect(strstr(answer.err.text, "smtp smtp://127.0.0.1:1: Failed to connect") != NULL,
                  "%s", answer.err.text);
    }

    cr_expect(told[0] && told[1], "each mail has its own answer");
    cr_expect_eq(smtp_under_way(smtp), 0);
    cr_expect_not(smtp_answered(smtp, &(struct smtp_answer){0}, 0));
    smtp_close(smtp);
}

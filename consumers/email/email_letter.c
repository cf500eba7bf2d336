#include "consumers/email/email_letter.h"

#include "events/money.h"

#include <inttypes.h>

/* --- What is told ------------------------------------------------------------------------------
 */

/* Both forms of a letter are made of these, so that they say the same. */
struct words {
    const char *title;
    const char *opening;
    const char *money; /* what happens to the money */
    bool has_lines;
};

/* A customer hears what they can do something about. Why an order looked suspicious is not told. */
static const char *words_of_reason(enum cancel_reason reason)
{
    switch (reason) {
    case CANCEL_REASON_OUT_OF_STOCK:
        return "We are sorry: something in your order is out of stock, so we have cancelled it.";
    case CANCEL_REASON_PAYMENT_DECLINED:
        return "Your payment was declined, so we have cancelled your order. You are welcome to "
               "order "
               "again with another means of payment.";
    case CANCEL_REASON_FRAUD:
        return "We could not accept your order and have cancelled it. Please write to us if you "
               "think that this is a mistake.";
    case CANCEL_REASON_DEADLINE:
        return "We are sorry: we could not confirm your order in time, so we have cancelled it.";
    case CANCEL_REASON_CUSTOMER:
        return "As you asked, we have cancelled your order.";
    case CANCEL_REASON_PAYMENT_FAILED:
        return "Your payment could not be completed, so we have cancelled your order. You are "
               "welcome "
               "to order again with another means of payment.";
    case CANCEL_REASON_UNKNOWN:
        break;
    }
    return "Your order has been cancelled.";
}

static const char *money_of_cancellation(const struct letter_facts *facts)
{
    if (facts->created->total_minor == 0)
        return "There was nothing to pay.";
    if (facts->was == ORDER_STAGE_PLACED || facts->reason == CANCEL_REASON_PAYMENT_FAILED)
        return "You have not been charged. If your bank shows a reserved amount, it will be "
               "released.";
    return "If you have been charged already, the money is on its way back, and we will write to "
           "you "
           "again when it is.";
}

static struct words choose_words(const struct letter_facts *facts, struct arena *arena)
{
    struct view amount = money_format(facts->amount_minor, facts->currency, arena);

    switch (facts->kind) {
    case MAIL_KIND_CONFIRMATION:
        return (struct words){
            "Your order is confirmed",
            "Thank you for your order. Everything is in stock, and we are packing it for you.",
            "The total is charged to the means of payment that you chose.", true};
    case MAIL_KIND_CANCELLATION:
        return (struct words){"Your order is cancelled", words_of_reason(facts->reason),
                              money_of_cancellation(facts), true};
    case MAIL_KIND_REFUND:
        return (struct words){
            "Your money is on its way back",
            arena_printf(arena, "We have refunded %.*s for your order.", VIEW_PRINT(amount)).data,
            "It goes to the means of payment that you used. Your bank may take a few days to show "
            "it.",
            false};
    case MAIL_KIND_UNKNOWN:
        break;
    }
    return (struct words){"About your order", "There is news of your order.", "", false};
}

static struct view price(int64_t amount_minor, const struct order_created *created,
                         struct arena *arena)
{
    return money_format(amount_minor, created->currency, arena);
}

static struct view amount_of(const struct order_line *line, const struct order_created *created,
                             struct arena *arena)
{
    int64_t amount_minor;

    /* The order service takes no order whose total does not fit: this is for bytes of others. */
    if (__builtin_mul_overflow(line->quantity, line->unit_price_minor, &amount_minor))
        amount_minor = INT64_MAX;
    return price(amount_minor, created, arena);
}

static size_t shown_lines(const struct order_created *created)
{
    return created->lines_count < LETTER_LINES_MAX ? created->lines_count : LETTER_LINES_MAX;
}

/* --- Plain text ----------------------------------------------------------------------------------
 */

static void write_text_lines(struct buf *out, const struct order_created *created,
                             struct arena *arena)
{
    size_t shown = shown_lines(created);

    for (size_t i = 0; i < shown; i++) {
        const struct order_line *line = &created->lines[i];

        buf_printf(out, "  %" PRId64 " x %.*s at %s: %s\n", line->quantity, VIEW_PRINT(line->code),
                   price(line->unit_price_minor, created, arena).data,
                   amount_of(line, created, arena).data);
    }
    if (shown < created->lines_count)
        buf_printf(out, "  and %zu more\n", created->lines_count - shown);
    buf_printf(out, "\n  Total: %s\n\n", price(created->total_minor, created, arena).data);
}

static void write_text(struct buf *out, const struct letter_facts *facts, const struct words *words,
                       struct arena *arena)
{
    if (facts->name.size > 0)
        buf_printf(out, "Hello %.*s,\n\n", VIEW_PRINT(facts->name));
    else
        buf_append_str(out, "Hello,\n\n");
    buf_printf(out, "%s\n\nOrder %.*s\n\n", words->opening, VIEW_PRINT(facts->created->order_id));
    if (words->has_lines)
        write_text_lines(out, facts->created, arena);
    buf_printf(out, "%s\n\n%s\n", words->money, facts->shop);
}

/* --- HTML ----------------------------------------------------------------------------------------
 */

static void write_escaped(struct buf *out, struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            buf_append_str(out, "&amp;");
            break;
        case '<':
            buf_append_str(out, "&lt;");
            break;
        case '>':
            buf_append_str(out, "&gt;");
            break;
        case '"':
            buf_append_str(out, "&quot;");
            break;
        case '\'':
            buf_append_str(out, "&#39;");
            break;
        default:
            buf_append_byte(out, (uint8_t)text.data[i]);
        }
    }
}

/* Mail programs know tables and inline styles, and little else. */
#define CELL "<td style=\"padding:8px 0;border-bottom:1px solid #e4e8ec;"
#define PARAGRAPH "<p style=\"margin:0 0 16px;line-height:1.5\">"

static void write_paragraph(struct buf *out, const char *text)
{
    buf_append_str(out, PARAGRAPH);
    write_escaped(out, view_str(text));
    buf_append_str(out, "</p>\n");
}

static void write_html_line(struct buf *out, const struct order_line *line,
                            const struct order_created *created, struct arena *arena)
{
    buf_append_str(out, "<tr>" CELL "\">");
    write_escaped(out, line->code);
    buf_printf(out, "</td>" CELL "text-align:right\">%" PRId64 "</td>" CELL "text-align:right\">",
               line->quantity);
    write_escaped(out, price(line->unit_price_minor, created, arena));
    buf_append_str(out, "</td>" CELL "text-align:right\">");
    write_escaped(out, amount_of(line, created, arena));
    buf_append_str(out, "</td></tr>\n");
}

static void write_html_lines(struct buf *out, const struct order_created *created,
                             struct arena *arena)
{
    size_t shown = shown_lines(created);

    buf_append_str(
        out, "<table role=\"presentation\" width=\"100%\" cellspacing=\"0\" cellpadding=\"0\" "
             "style=\"border-collapse:collapse;margin:0 0 16px;font-size:14px\">\n"
             "<tr style=\"color:#5b6770;font-size:12px\"><td>Item</td>"
             "<td style=\"text-align:right\">Pieces</td>"
             "<td style=\"text-align:right\">Price</td>"
             "<td style=\"text-align:right\">Amount</td></tr>\n");
    for (size_t i = 0; i < shown; i++)
        write_html_line(out, &created->lines[i], created, arena);
    if (shown < created->lines_count)
        buf_printf(out, "<tr>" CELL "\" colspan=\"4\">and %zu more</td></tr>\n",
                   created->lines_count - shown);
    buf_append_str(out, "<tr><td colspan=\"3\" style=\"padding:12px 0;font-weight:bold\">Total</td>"
                        "<td style=\"padding:12px 0;font-weight:bold;text-align:right\">");
    write_escaped(out, price(created->total_minor, created, arena));
    buf_append_str(out, "</td></tr>\n</table>\n");
}

static void write_html(struct buf *out, const struct letter_facts *facts, const struct words *words,
                       struct arena *arena)
{
    buf_append_str(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width\"></head>\n"
             "<body style=\"margin:0;background:#f2f5f7;color:#1d2830;"
             "font-family:Helvetica,Arial,sans-serif;font-size:16px\">\n"
             "<table role=\"presentation\" width=\"100%\" cellspacing=\"0\" cellpadding=\"0\">"
             "<tr><td align=\"center\" style=\"padding:24px 12px\">\n"
             "<table role=\"presentation\" width=\"100%\" cellspacing=\"0\" cellpadding=\"0\" "
             "style=\"max-width:600px;background:#ffffff;border-radius:8px\">"
             "<tr><td style=\"padding:32px\">\n"
             "<h1 style=\"margin:0 0 4px;font-size:22px\">");
    write_escaped(out, view_str(words->title));
    buf_append_str(out, "</h1>\n<p style=\"margin:0 0 24px;color:#5b6770;font-size:13px\">Order ");
    write_escaped(out, facts->created->order_id);
    buf_append_str(out, "</p>\n" PARAGRAPH "Hello");
    if (facts->name.size > 0) {
        buf_append_str(out, " ");
        write_escaped(out, facts->name);
    }
    buf_append_str(out, ",</p>\n");
    write_paragraph(out, words->opening);
    if (words->has_lines)
        write_html_lines(out, facts->created, arena);
    write_paragraph(out, words->money);
    buf_append_str(out, "<p style=\"margin:0;color:#5b6770\">");
    write_escaped(out, view_str(facts->shop));
    buf_append_str(out, "</p>\n</td></tr></table>\n</td></tr></table>\n</body></html>\n");
}

void letter_write(struct letter *out, const struct letter_facts *facts, struct arena *arena)
{
    struct words words = choose_words(facts, arena);
    AUTO(buf_clear) struct buf text = {0}, html = {0};

    write_text(&text, facts, &words, arena);
    write_html(&html, facts, &words, arena);
    out->subject =
        arena_printf(arena, "%s (%.*s)", words.title, VIEW_PRINT(facts->created->order_id)).data;
    out->text = arena_view(arena, buf_view(&text)).data;
    out->html = arena_view(arena, buf_view(&html)).data;
}

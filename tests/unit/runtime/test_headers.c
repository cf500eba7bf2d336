#include "runtime/headers.h"

#include <criterion/criterion.h>

static void make_block(struct buf *block)
{
    headers_start(block);
    headers_append(block, "a", view_str("first"));
    headers_append(block, "empty", view_str(""));
    headers_append(block, "a", view_str("again"));
}

Test(headers, a_block_is_counts_and_lengths_big_endian)
{
    static const char want[] = "\0\3"
                               "\0\1a\0\0\0\5first"
                               "\0\5empty\0\0\0\0"
                               "\0\1a\0\0\0\5again";
    AUTO(buf_clear) struct buf block = {0};

    make_block(&block);

    cr_assert(view_equal(buf_view(&block), VIEW_LITERAL(want)));
}

Test(headers, what_was_written_is_read_in_order)
{
    AUTO(buf_clear) struct buf block = {0};
    struct headers headers;
    struct header header;

    make_block(&block);
    cr_assert_eq(headers_read(&headers, buf_view(&block), NULL), ERR_OK);

    cr_assert(headers_next(&headers, &header));
    cr_expect(view_equals(header.name, "a") && view_equals(header.value, "first"));
    cr_assert(headers_next(&headers, &header));
    cr_expect(view_equals(header.name, "empty") && view_equals(header.value, ""));
    cr_expect_not_null(header.value.data);
    cr_assert(headers_next(&headers, &header));
    cr_expect(view_equals(header.name, "a") && view_equals(header.value, "again"));
    cr_expect_not(headers_next(&headers, &header));
}

Test(headers, a_block_that_is_cut_or_too_long_is_refused)
{
    AUTO(buf_clear) struct buf block = {0};
    struct headers headers;
    struct err err;

    make_block(&block);
    for (size_t size = 0; size < block.size; size++) {
        char *copy = mem_strdup_view(view_of(block.data, size)); /* ends where ASan sees it */

        cr_expect_eq(headers_read(&headers, view_of(copy, size), &err), ERR_REJECT, "%zu", size);
        free(copy);
    }
    buf_append_byte(&block, 0);
    cr_expect_eq(headers_read(&headers, buf_view(&block), &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "header block: 1 bytes behind the last of 3 headers");
}

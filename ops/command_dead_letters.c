/* tradewind dead-letters: what a part has set aside, brought back or dropped. The part does it;
 * this asks it. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/part_client.h"
#include "ops/parts.h"
#include "runtime/json.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text_of(const struct json *object, const char *name, struct arena *arena)
{
    const struct json *member = json_member(object, name);

    if (member == NULL || member->kind == JSON_NULL)
        return "-";
    return arena_view(arena, member->text).data;
}

static void print_list(const struct json *list, const char *part, struct arena *arena)
{
    static const char *const COLUMNS[] = {
        ">id", "reason", "key", "topic", ">partition", ">offset", ">number", "what is wrong", NULL};
    struct out_table table;

    if (list->count == 0) {
        printf("%s has set nothing aside\n", part);
        return;
    }
    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < list->count; i++) {
        const struct json *dead = &list->items[i];

        out_cell(&table, "%s", text_of(dead, "id", arena));
        out_cell_in(&table, OUT_YELLOW, "%s", text_of(dead, "reason", arena));
        out_cell(&table, "%s", text_of(dead, "key", arena));
        out_cell(&table, "%s", text_of(dead, "topic", arena));
        out_cell(&table, "%s", text_of(dead, "partition", arena));
        out_cell(&table, "%s", text_of(dead, "offset", arena));
        out_cell(&table, "%s", text_of(dead, "number", arena));
        out_cell(&table, "%s", text_of(dead, "error", arena));
    }
    out_table_print(&table, stdout);
    printf("\n  tradewind dead-letters show %s ID     one of them whole\n"
           "  tradewind dead-letters redrive %s ID  apply it now, then those of its key behind it\n"
           "  tradewind dead-letters drop %s ID     do without it, where the saga allows that\n",
           part, part, part);
}

static int show_one(const struct command *command, const struct json *list, const char *part,
                    const char *id, struct arena *arena)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct json *dead = &list->items[i];

        if (strcmp(text_of(dead, "id", arena), id) != 0)
            continue;
        for (size_t m = 0; m < dead->count; m++)
            printf(
                "%-16.*s %.*s\n", VIEW_PRINT(dead->items[m].name),
                VIEW_PRINT(dead->items[m].kind == JSON_NULL ? view_str("-") : dead->items[m].text));
        return OPS_OK;
    }
    fprintf(stderr, "tradewind %s: %s has no dead letter %s\n", command->name, part, id);
    return OPS_FOUND;
}

/* What the part answered when it did not do what it was asked. */
static int refused(const struct command *command, const struct part_call *call, struct arena *arena)
{
    struct json *problem;
    const char *detail = "";

    if (call->status == 0) {
        fprintf(stderr, "tradewind %s: %s does not answer at %s\n", command->name, call->part,
                part_address(call->part));
        return OPS_UNREACHABLE;
    }
    if (json_parse(&problem, call->body, arena, NULL) == ERR_OK)
        detail = text_of(problem, "detail", arena);
    fprintf(stderr, "tradewind %s: %s: %s (HTTP %d)\n", command->name, call->part, detail,
            call->status);
    return call->status == 503 ? OPS_UNREACHABLE : OPS_FOUND;
}

static int look(const struct command *command, struct part_call *call, const char *id, bool as_json,
                struct arena *arena)
{
    struct json *list;

    if (call->status != 200)
        return refused(command, call, arena);
    if (json_parse(&list, call->body, arena, NULL) != ERR_OK || list->kind != JSON_ARRAY) {
        fprintf(stderr, "tradewind %s: %s answers something else than a list\n", command->name,
                call->part);
        return OPS_FOUND;
    }
    if (id != NULL)
        return show_one(command, list, call->part, id, arena);
    if (as_json)
        printf("%.*s\n", VIEW_PRINT(call->body));
    else
        print_list(list, call->part, arena);
    return OPS_OK;
}

static bool is_number(const char *id)
{
    int64_t number;

    return view_to_int64(view_str(id), &number) && number > 0;
}

int command_dead_letters(const struct command *command, int argc, char **argv)
{
    bool as_json = false;
    const struct arg args[] = {
        {"json", ARG_FLAG, &as_json, .help = "the list as the part gives it"}};
    AUTO(arena_clear) struct arena arena = {0};
    struct part_call call = {0};
    struct err err = {0};
    char *token = NULL;
    bool changes;
    int code = args_parse(command, args, 1, 2, 3, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    changes = strcmp(argv[0], "redrive") == 0 || strcmp(argv[0], "drop") == 0;
    if (!changes && strcmp(argv[0], "ls") != 0 && strcmp(argv[0], "show") != 0)
        return args_refuse(command, "%s: want ls, show, redrive or drop", argv[0]);
    if (ops_part_find(argv[1]) == NULL)
        return args_refuse(command, "%s: there is no such part; want one of %s", argv[1],
                           ops_part_names());
    if ((strcmp(argv[0], "ls") == 0) != (argc == 2))
        return args_refuse(
            command, argc == 2 ? "%s needs the ID of a dead letter" : "%s takes no ID", argv[0]);
    if (argc == 3 && !is_number(argv[2]))
        return args_refuse(command, "%s: want the ID of a dead letter, a number", argv[2]);
    if ((code = ops_settings(command)) != OPS_OK)
        return code;
    if (part_address(argv[1]) == NULL)
        return args_refuse(command, "where %s listens is not set (TRADEWIND_..._HTTP)", argv[1]);
    if (part_token(&token, "operator", &err) != ERR_OK)
        return ops_failed(command, &err);
    call = (struct part_call){.part = argv[1], .path = "/dead-letters", .token = token};
    if (changes) {
        call.method = "POST";
        call.path = arena_printf(&arena, "/dead-letters/%s/%s", argv[2], argv[0]).data;
    }
    if (part_call_all(&call, 1, &arena, &err) != ERR_OK)
        code = ops_failed(command, &err);
    else if (!changes)
        code = look(command, &call, argc == 3 ? argv[2] : NULL, as_json, &arena);
    else if (call.status / 100 != 2)
        code = refused(command, &call, &arena);
    else
        printf("%s\n", strcmp(argv[0], "drop") == 0 ? "dropped" : "applied");
    free(token);
    return code;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/outcome.h"

#include <string.h>

#include "shared/base/compiler.h"

static const struct {
    const char *state;
    int exit_code;
} states[] = {
    {"queued", -1},
    {"sending", -1},
    {"processing", -1},
    {"done", EXIT_DONE},
    {"failed", EXIT_FAILED},
    {"done_with_errors", EXIT_REJECTED},
    {"aborted", EXIT_ABORTED},
    {"cancelled", EXIT_FAILED},
};

const char *upload_text(const json_t *upload, const char *member)
{
    const char *text = json_string_value(json_object_get(upload, member));

    return text ? text : "";
}

int64_t upload_number(const json_t *upload, const char *member, int64_t otherwise)
{
    const json_t *number = json_object_get(upload, member);

    return json_is_integer(number) ? json_integer_value(number) : otherwise;
}

int outcome_exit_code(const json_t *upload)
{
    const char *state = upload_text(upload, "state");

    for (size_t i = 0; i < TL_ARRAY_LEN(states); i++)
        if (strcmp(states[i].state, state) == 0)
            return states[i].exit_code;
    return EXIT_FAILED;
}

bool outcome_final(const json_t *upload)
{
    return outcome_exit_code(upload) >= 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uploads as people see them: a list, or one of them in full. One thread. */
#ifndef CLI_TTY_UPLOADS_H
#define CLI_TTY_UPLOADS_H

#include <jansson.h>

#include "cli/output.h"

struct uploads_list;

struct uploads_list *uploads_list_new(struct output *out, struct tl_error *err);
void uploads_list_free(struct uploads_list *list); /* NULL is fine */
/* A coordinator_each: app is the list. */
int uploads_list_add(void *app, const json_t *upload, struct tl_error *err);
size_t uploads_list_count(const struct uploads_list *list);
int uploads_list_finish(struct uploads_list *list, struct tl_error *err) TL_MUST_CHECK;

/* One upload, a member a line. */
int upload_print(struct output *out, const json_t *upload, struct tl_error *err) TL_MUST_CHECK;

/* "label      text" with the text's control characters escaped; an empty text prints nothing. */
int print_labelled(struct output *out, const char *label, const char *text,
                   struct tl_error *err) TL_MUST_CHECK;

#endif

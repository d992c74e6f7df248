/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

static int answer(struct request *r, json_t *json, struct tl_error *err)
{
    return json ? reply_json(r, 200, json) : tl_fail_nomem(err);
}

int health_live(struct request *r, struct tl_error *err)
{
    return answer(r, json_pack("{s:s}", "status", "ok"), err);
}

int health_ready(struct request *r, struct tl_error *err)
{
    struct tl_error kafka;

    if (control_stopping(r->control))
        return tl_fail(err, TL_E_UNAVAILABLE, "the coordinator is shutting down");
    control_kafka_state(r->control, kafka.text, sizeof kafka.text);
    return answer(r, json_pack("{s:s, s:s}", "status", "ok", "kafka", kafka.text), err);
}

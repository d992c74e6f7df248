/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A secret is seen once, on standard output or in a file that nobody else can read, and is never an argument, which
 * every user of the machine could see.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/client/outcome.h"
#include "cli/commands/admin.h"

static const struct option options[] = {
    {.name = "role",
     .kind = OPTION_CHOICE,
     .arg = "ROLE",
     .choices = "reader|uploader|owner|admin",
     .required = true,
     .help = "what it may do: reader, uploader, owner or admin",
     .more =
         "A reader sees the tenant's tables and uploads, with their rejected rows. An uploader may upload, resume "
         "and cancel, too; an owner also define, alter and drop tables, and make, list and revoke the tenant's "
         "tokens. An admin may do everything, and is of no tenant."},
    {.name = "expires",
     .kind = OPTION_TEXT,
     .arg = "TIME",
     .help = "it ends in so many s, m, h, d or w, as in 30d; by default never"},
    {.name = "label",
     .kind = OPTION_TEXT,
     .arg = "TEXT",
     .help = "what it is for; shown wherever it did something"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .arg = "FILE",
     .complete = COMPLETE_FILE,
     .help = "a new file for the secret, of mode 0600"},
    {.name = NULL},
};

/* "30d" in seconds. */
static int parse_time(const char *text, int64_t *seconds, struct tl_error *err)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    size_t len = strlen(text);

    for (size_t i = 0; i < TL_ARRAY_LEN(units); i++) {
        if (len < 2 || text[len - 1] != units[i].letter)
            continue;
        if (!tl_str_to_i64(tl_str_n(text, len - 1), 1, INT32_MAX, seconds))
            break;
        *seconds *= units[i].seconds;
        return 0;
    }
    return tl_fail(err, TL_E_USAGE, "'--expires' takes a time as 12h or 30d, not '%s'", text);
}

/* NULL with *err. */
static json_t *make_request(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *role = args_text(args, "role"), *expires = args_text(args, "expires");
    bool admin = strcmp(role, "admin") == 0;
    int64_t seconds = -1;
    json_t *request;

    if (admin && args_text(args, "tenant")) {
        tl_fail(err, TL_E_USAGE, "an admin is of no tenant: leave out '--tenant'");
        return NULL;
    }
    if (expires && parse_time(expires, &seconds, err))
        return NULL;
    request = json_object();
    if (!request) {
        tl_fail_nomem(err);
        return NULL;
    }
    if (admin_set_text(request, "role", role, err) == 0 &&
        admin_set_text(request, "tenant", admin ? NULL : cli->settings->tenant, err) == 0 &&
        admin_set_text(request, "label", args_text(args, "label"), err) == 0 &&
        admin_set_number(request, "expires_in", seconds, err) == 0)
        return request;
    json_decref(request);
    return NULL;
}

/* Takes over fd. A token whose secret nobody has is taken back. */
static int write_secret(struct coordinator *c, int fd, const char *path, const json_t *made,
                        struct tl_error *err)
{
    struct tl_error ignored;
    int rc = 0;

    if (dprintf(fd, "%s\n", upload_text(made, "secret")) < 0 || fsync(fd) < 0)
        rc = tl_fail_errno(err, errno, "%s", path);
    if (close(fd) < 0 && !rc)
        rc = tl_fail_errno(err, errno, "%s", path);
    if (rc && admin_remove(c, ADMIN_TOKENS, upload_text(made, "token"), &ignored))
        tl_error_prefix(err, "token %s was made, and could not be taken back", upload_text(made, "token"));
    return rc;
}

static void tell(struct cli *cli, const json_t *made, const char *path)
{
    const char *tenant = upload_text(made, "tenant"), *expires = upload_text(made, "expires_at");

    cli_note(cli, "token %s: %s%s%s, %s%s; %s%s", upload_text(made, "token"), upload_text(made, "role"),
             *tenant ? " of tenant " : "", tenant, *expires ? "until " : "without an end", expires,
             path ? "its secret is in " : "its secret is shown this once", path ? path : "");
}

static int show(struct cli *cli, json_t *made, const char *path, struct tl_error *err)
{
    if (path && json_object_del(made, "secret"))
        return tl_fail(err, TL_E_CORRUPT, "the coordinator made a token without a secret");
    if (cli->json)
        return output_json(&cli->out, made, err);
    return path ? 0 : output_print(&cli->out, err, "%s\n", upload_text(made, "secret"));
}

/* path: of the file for the secret, NULL: it is shown. */
static int create(struct cli *cli, struct coordinator *c, const json_t *request, const char *path,
                  struct tl_error *err)
{
    json_t *made = NULL;
    int fd = -1, rc;

    /* Before it is made: a secret that could not be kept would be lost. */
    if (path) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return tl_fail_errno(err, errno, "%s", path);
    }
    rc = admin_create(c, ADMIN_TOKENS, request, &made, err);
    if (!rc && path)
        rc = write_secret(c, fd, path, made, err);
    else if (path)
        close(fd);
    if (rc && path)
        unlink(path);
    if (!rc)
        rc = show(cli, made, path, err);
    if (!rc)
        tell(cli, made, path);
    json_decref(made);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request = make_request(cli, args, err);
    struct coordinator *c = request ? coordinator_open(cli->settings, err) : NULL;
    int rc = c ? create(cli, c, request, args_text(args, "output"), err) : -1;

    json_decref(request);
    coordinator_close(c);
    return rc;
}

const struct command command_token_create = {
    .name = "token create",
    .summary = "make a token, and show its secret this once",
    .usage = "--role ROLE [--expires TIME] [--label TEXT] [--output FILE]",
    .about =
        "Root and the coordinator's own user need no token on its Unix socket; everybody else, and TCP, does. "
        "What is printed is the secret, which is kept nowhere: put it into a file that nobody else can read, and "
        "name that with --token-file.\n"
        "The token is of the tenant that --tenant or TLOAD_TENANT names, unless its role is admin. An owner makes "
        "those of his tenant, and none that lives longer than his own.",
    .options = options,
    .examples =
        {"tload token create --role uploader --tenant acme --expires 90d --label nightly -o nightly.token",
         "tload --token-file nightly.token --tenant acme upload orders.csv --table orders"},
    .run = run,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/tty/text.h"
#include "shared/base/failpoint.h"
#include "shared/http/client.h"

static const char system_config[] = "/etc/tload/config";

void cli_vsay(const char *fmt, va_list ap)
{
    struct tl_buf shown;
    char *text;

    if (vasprintf(&text, fmt, ap) < 0)
        return;
    tl_buf_init(&shown, 64 << 10);
    if (text_append(&shown, tl_str(text), SIZE_MAX, NULL) == 0)
        fprintf(stderr, "tload: %.*s\n", TL_STR_ARG(tl_buf_str(&shown)));
    tl_buf_release(&shown);
    free(text);
}

static void say(const char *fmt, ...) TL_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cli_vsay(fmt, ap);
    va_end(ap);
}

void cli_note(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    cli_vsay(fmt, ap);
    va_end(ap);
}

int cli_check_terminal(const char *asks, struct tl_error *err)
{
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        return 0;
    return tl_fail(err, TL_E_USAGE, "%s, and there is no terminal to ask on: add '--yes'", asks);
}

/* What to do next, for errors whose text can't know it. */
static const char *advice(const struct tl_error *err)
{
    switch (err->code) {
    case TL_E_UNAVAILABLE:
    case TL_E_AGAIN:
    case TL_E_TIMEOUT:
        return "nothing is lost: run the command again when it can be reached, "
               "or say where it is ('tload help')";
    case TL_E_UNAUTHORIZED:
        return "give a token with --token-file, or be root or the coordinator's own user on its Unix socket; "
               "'tload token create' makes one";
    default:
        return NULL;
    }
}

static int fail(const struct args *args, const struct tl_error *err)
{
    const char *next = advice(err);

    say("%s", err->text);
    if (next)
        say("%s", next);
    else if (err->code == TL_E_USAGE && args->command)
        say("see 'tload help %s'", args->command->name);
    return tl_error_exit_code(err->code);
}

/*
 * Text is UTF-8 whatever the locale says: without this, widths of other than ASCII characters are not
 * known.
 */
static void set_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/*
 * A standard descriptor that is closed would be given to the next file or socket, and be written to as
 * standard output. What is put in its place fails when it is used, as the closed one would.
 */
static void hold_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            abort();
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct settings settings;
    int rc;

    if (args->help)
        return help_print(cli, args->group, args->command, err);
    if (args->version)
        return command_version.run(cli, args, err);
    if (!args->command && args->group)
        return tl_fail(err, TL_E_USAGE, "what of %s? 'tload help %s' lists the commands", args->group->name,
                       args->group->name);
    if (!args->command)
        return tl_fail(err, TL_E_USAGE, "a command is missing; 'tload help' lists the commands");
    rc = settings_load(&settings, args, system_config, err);
    if (!rc) {
        cli->settings = &settings;
        rc = tl_http_global_init(err);
        if (!rc) {
            rc = args->command->run(cli, args, err);
            tl_http_global_release();
        }
    }
    settings_release(&settings);
    return rc;
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.out = {.file = stdout}};
    struct tl_error err = {0};
    struct args args;
    int rc;

    /*
     * A reader of our output that has gone is met as EPIPE, so that an upload is not killed by it on the
     * way.
     */
    signal(SIGPIPE, SIG_IGN);
    hold_standard_descriptors();
    set_locale();
    rc = args_parse(&args, argc, argv, &err);
    if (!rc)
        rc = tl_failpoint_arm(getenv("TLOAD_FAILPOINT"), &err);
    if (!rc) {
        cli.json = args_flag(&args, "json");
        cli.quiet = args_flag(&args, "quiet");
        rc = run(&cli, &args, &err);
    }
    /* What was printed before a failure is shown; that it can't be is no news then. */
    if (rc < 0)
        fflush(stdout);
    else if (output_flush(&cli.out, &err))
        rc = -1;
    if (cli.out.reader_gone) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (rc < 0)
        rc = fail(&args, &err);
    args_release(&args);
    return rc;
}

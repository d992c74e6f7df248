/* SPDX-License-Identifier: GPL-3.0-or-later */
/* coordinatord: options, configuration, and off it goes. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "coordinatord/daemon.h"
#include "shared/base/failpoint.h"

static const char usage[] =
    "usage: coordinatord [--config FILE] [--dev] [--roles LIST] [--clusters LIST]\n"
    "                    [--check-config]\n"
    "\n"
    "  --config FILE    read this instead of /etc/tload/coordinatord.conf\n"
    "  --dev            keep state, socket and log in ./.tload\n"
    "  --roles LIST     of control,validate,sink,errors; all of them by default\n"
    "  --clusters LIST  the roles serve the tenants of these Kafka clusters alone\n"
    "  --check-config   check the configuration and go\n"
    "  --help           this text\n"
    "  --version        the version\n"
    "\n"
    "Every key of the file can also be given as TLOAD_SECTION_KEY in the environment.\n"
    "See coordinatord(8).\n";

static int fail(const struct tl_error *err)
{
    fprintf(stderr, "coordinatord: %s\n", err->text);
    return tl_error_exit_code(err->code);
}

static int misused(void)
{
    fputs("coordinatord: see coordinatord --help\n", stderr);
    return tl_error_exit_code(TL_E_USAGE);
}

static int start(const struct daemon_options *options, bool check_only)
{
    struct config config;
    struct tl_error err;
    int rc = 0;

    if (tl_failpoint_arm(getenv("TLOAD_FAILPOINT"), &err))
        return fail(&err);
    if (config_load(&config, options->config_path, options->dev, options->roles, options->clusters, &err) < 0)
        return fail(&err);
    if (config_check(&config, &err) < 0)
        rc = fail(&err);
    else if (check_only)
        puts("the configuration is fine");
    else if (daemon_run(options, &config, &err) < 0)
        rc = fail(&err);
    config_release(&config);
    return rc;
}

int main(int argc, char **argv)
{
    enum { OPT_CONFIG = 256, OPT_DEV, OPT_CHECK, OPT_ROLES, OPT_CLUSTERS, OPT_HELP, OPT_VERSION };
    static const struct option long_options[] = {
        {"config", required_argument, NULL, OPT_CONFIG},     {"dev", no_argument, NULL, OPT_DEV},
        {"check-config", no_argument, NULL, OPT_CHECK},      {"roles", required_argument, NULL, OPT_ROLES},
        {"clusters", required_argument, NULL, OPT_CLUSTERS}, {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},         {NULL, 0, NULL, 0},
    };
    struct daemon_options options = {.give_up = _exit};
    bool check_only = false;
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_CONFIG:
            options.config_path = optarg;
            break;
        case OPT_DEV:
            options.dev = true;
            break;
        case OPT_CHECK:
            check_only = true;
            break;
        case OPT_ROLES:
            options.roles = optarg;
            break;
        case OPT_CLUSTERS:
            options.clusters = optarg;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        case OPT_VERSION:
            puts("coordinatord " TLOAD_VERSION);
            return 0;
        default:
            return misused();
        }
    }
    if (optind < argc) {
        fprintf(stderr, "coordinatord: \"%s\" is not an option\n", argv[optind]);
        return misused();
    }
    return start(&options, check_only);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "coordinatord/control/control.h"
#include "coordinatord/http/server.h"
#include "coordinatord/pipeline/roles.h"
#include "shared/base/clock.h"
#include "shared/base/dirs.h"

enum {
    FILE_MODE = 0640,
    SOCKET_DIR_MODE = 0755,
    UMASK = 0007,
    DRAIN_MS = 3500,    /* for the roles to finish what is in hand */
    SHUTDOWN_MS = 4700, /* for everything; then the process ends as it is, which loses nothing */
    TICK_MS = 1000,
    FILES_MAX = 65536,
    TOKEN_MAX = 4096
};

static const enum role pipeline_roles[] = {ROLE_VALIDATE, ROLE_SINK, ROLE_ERRORS};
static const char *const pipeline_names[] = {"validate", "sink", "errors"};
enum { PIPELINE_ROLES = TL_ARRAY_LEN(pipeline_roles) };

struct daemon {
    struct daemon_options options;
    struct config *config;
    struct tl_log log;
    int lock_fd;
    int signal_fd;
    char *token;       /* for a control elsewhere; NULL none */
    char *control_url; /* where the roles find control */
    struct control *control;
    struct http_server *http;
    struct role_runtime *role[PIPELINE_ROLES];
    bool hung; /* a role did not end: what it uses must stay */
};

/* --- what has to be there --- */

static int make_parent(const char *path, struct tl_error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    if (!tl_str_copy(tl_str_n(path, (size_t)(slash - path)), dir, sizeof dir))
        return tl_fail(err, TL_E_USAGE, "the path %.100s… is too long", path);
    return tl_dirs_make(dir, err);
}

/* A directory that is made for the socket lets everybody through: they may have a token. */
static int make_socket_parent(const char *path, struct tl_error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path || !tl_str_copy(tl_str_n(path, (size_t)(slash - path)), dir, sizeof dir) ||
        access(dir, F_OK) == 0)
        return make_parent(path, err);
    if (make_parent(path, err) < 0)
        return -1;
    return chmod(dir, SOCKET_DIR_MODE) == 0 ? 0 : tl_fail_errno(err, errno, "directory %s", dir);
}

static int open_log(const char *path, struct tl_error *err)
{
    int fd;

    if (make_parent(path, err) < 0)
        return -1;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
    return fd < 0 ? tl_fail_errno(err, errno, "can't open the log %s", path) : fd;
}

static int start_log(struct daemon *d, struct tl_error *err)
{
    int fd = STDERR_FILENO;

    if (*d->config->log_file) {
        fd = open_log(d->config->log_file, err);
        if (fd < 0)
            return -1;
    }
    tl_log_init(&d->log, fd, d->config->log_level);
    return 0;
}

static void read_owner(int fd, char pid[16])
{
    ssize_t n = pread(fd, pid, 15, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
}

/* Only one control on a state directory. The lock goes with the process, however it ends. */
static int lock_state(struct daemon *d, struct tl_error *err)
{
    char path[PATH_MAX], pid[16];

    if (snprintf(path, sizeof path, "%s/lock", d->config->state) >= (int)sizeof path)
        return tl_fail(err, TL_E_USAGE, "the path of the state directory is too long");
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (d->lock_fd < 0)
        return tl_fail_errno(err, errno, "can't open %s", path);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return tl_fail_errno(err, errno, "can't lock %s", path);
        read_owner(d->lock_fd, pid);
        return tl_fail(err, TL_E_FATAL, "another coordinatord (pid %s) uses %s", *pid ? pid : "unknown",
                       d->config->state);
    }
    if (ftruncate(d->lock_fd, 0) < 0 || dprintf(d->lock_fd, "%ld\n", (long)getpid()) < 0)
        return tl_fail_errno(err, errno, "can't write %s", path);
    return 0;
}

static int read_token(struct daemon *d, struct tl_error *err)
{
    const char *path = d->config->token_file;
    char text[TOKEN_MAX + 1];
    struct tl_str token;
    struct stat st;
    ssize_t n;
    int fd;

    if (!*path)
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
        tl_warn(&d->log, "daemon", "everybody on this machine can read the token in %s", path);
    n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        tl_fail_errno(err, errno, "can't read the token in %s", path);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -1;
    token = tl_str_trim(tl_str_n(text, (size_t)n));
    if (token.len == 0 || token.len > TOKEN_MAX || memchr(token.ptr, '\0', token.len))
        return tl_fail(err, TL_E_USAGE, "there is no token in %s", path);
    d->token = strndup(token.ptr, token.len);
    return d->token ? 0 : tl_fail_nomem(err);
}

/* --- start --- */

static int block_signals(struct daemon *d, struct tl_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return tl_fail(err, TL_E_FATAL, "the signals can't be set up");
    d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signal_fd < 0 ? tl_fail_errno(err, errno, "signalfd") : 0;
}

static int start_control(struct daemon *d, struct tl_error *err)
{
    struct control_options options = {
        .config = d->config,
        .log = &d->log,
        .broker = &broker_kafka,
        .sink_for = sink_for_url,
        .errstore_for = errstore_for_url,
    };
    struct http_options http = {
        .log = &d->log,
        .socket = d->config->socket,
        .listen = d->config->listen,
        .dev = d->config->dev,
    };

    if (tl_dirs_make(d->config->state, err) < 0 || make_socket_parent(d->config->socket, err) < 0 ||
        lock_state(d, err) < 0)
        return -1;
    d->control = control_start(&options, err);
    if (!d->control)
        return -1;
    http.control = d->control;
    d->http = http_server_start(&http, err);
    if (!d->http)
        return -1;
    tl_info(&d->log, "http", "listening on unix:%s%s%s", d->config->socket,
            *http_server_address(d->http) ? " and " : "", http_server_address(d->http));
    return 0;
}

static int start_roles(struct daemon *d, struct tl_error *err)
{
    if (read_token(d, err) < 0)
        return -1;
    if (asprintf(&d->control_url, *d->config->control ? "%s%s" : "unix:%s%s", d->config->control,
                 *d->config->control ? "" : d->config->socket) < 0) {
        d->control_url = NULL;
        return tl_fail_nomem(err);
    }
    for (size_t i = 0; i < PIPELINE_ROLES; i++) {
        if (!(d->config->roles & pipeline_roles[i]))
            continue;
        d->role[i] = role_start(pipeline_roles[i], d->config, d->control_url, d->token, &d->log, err);
        if (!d->role[i])
            return tl_error_prefix(err, "role %s", pipeline_names[i]);
        tl_info(&d->log, "daemon", "role %s runs", pipeline_names[i]);
    }
    return 0;
}

/* --- reload --- */

static void reopen_log(struct daemon *d, const struct config *fresh)
{
    struct tl_error err;
    int fd;

    if (!*fresh->log_file || !*d->config->log_file)
        return;
    fd = open_log(fresh->log_file, &err);
    if (fd < 0) {
        tl_error_log(&d->log, "daemon", "the log stays where it is: %s", err.text);
        return;
    }
    /* Under the same number, in one step: other threads are writing. */
    if (dup3(fd, d->log.fd, O_CLOEXEC) < 0)
        tl_error_log(&d->log, "daemon", "the log stays where it is: %s", strerrordesc_np(errno));
    close(fd);
}

static void reload(struct daemon *d)
{
    struct config fresh;
    struct tl_error err;
    const char *difference;

    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)tl_clock_us());
    if (config_load(&fresh, d->options.config_path, d->options.dev, d->options.roles, d->options.clusters,
                    &err) < 0) {
        tl_error_log(&d->log, "daemon", "the configuration stays as it is: %s", err.text);
    } else {
        if (config_check(&fresh, &err) < 0) {
            tl_error_log(&d->log, "daemon", "the configuration stays as it is: %s", err.text);
        } else {
            reopen_log(d, &fresh);
            if (!getenv("TLOAD_LOG"))
                atomic_store(&d->log.level, (int)fresh.log_level);
            difference = config_difference(d->config, &fresh);
            if (difference)
                tl_warn(&d->log, "daemon", "%s has changed: that needs a restart", difference);
            tl_info(&d->log, "daemon", "configuration read again");
        }
        config_release(&fresh);
    }
    sd_notify(0, "READY=1");
}

/* --- running --- */

static int check_roles(struct daemon *d, struct tl_error *err)
{
    for (size_t i = 0; i < PIPELINE_ROLES; i++)
        if (d->role[i] && !role_alive(d->role[i]))
            return tl_fail(err, TL_E_FATAL, "role %s has ended by itself", pipeline_names[i]);
    return 0;
}

static int tick_ms(void)
{
    uint64_t usec;

    return sd_watchdog_enabled(0, &usec) > 0 ? (int)TL_MAX(TL_MIN(usec / 2000, TICK_MS), 1) : TICK_MS;
}

/* Until a signal asks for the end, or a role ends. */
static int serve(struct daemon *d, struct tl_error *err)
{
    struct pollfd pfd = {.fd = d->signal_fd, .events = POLLIN};
    int tick = tick_ms();

    for (;;) {
        struct signalfd_siginfo info;
        int n = poll(&pfd, 1, tick);

        if (n < 0 && errno != EINTR)
            return tl_fail_errno(err, errno, "poll");
        sd_notify(0, "WATCHDOG=1");
        while (read(d->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            if (info.ssi_signo != SIGHUP) {
                tl_info(&d->log, "daemon", "shutting down: %s", strsignal((int)info.ssi_signo));
                return 0;
            }
            reload(d);
        }
        if (check_roles(d, err) < 0)
            return -1;
    }
}

/* --- the end --- */

struct deadline {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    struct tl_log *log;
    void (*give_up)(int exit_code);
    pthread_t thread;
    bool runs;
};

static void *deadline_run(void *app)
{
    struct deadline *dl = app;
    int64_t at = tl_clock_wall_ms() + SHUTDOWN_MS;
    struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
    int rc = 0;

    pthread_mutex_lock(&dl->lock);
    while (!dl->done && rc == 0)
        rc = pthread_cond_timedwait(&dl->cond, &dl->lock, &until);
    if (!dl->done) {
        tl_warn(dl->log, "daemon", "something did not end in time; nothing is lost by that");
        dl->give_up(0);
    }
    pthread_mutex_unlock(&dl->lock);
    return NULL;
}

static void deadline_start(struct deadline *dl, struct daemon *d)
{
    *dl = (struct deadline){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .cond = PTHREAD_COND_INITIALIZER,
        .log = &d->log,
        .give_up = d->options.give_up,
    };
    dl->runs = pthread_create(&dl->thread, NULL, deadline_run, dl) == 0;
}

static void deadline_end(struct deadline *dl)
{
    if (!dl->runs)
        return;
    pthread_mutex_lock(&dl->lock);
    dl->done = true;
    pthread_cond_signal(&dl->cond);
    pthread_mutex_unlock(&dl->lock);
    pthread_join(dl->thread, NULL);
}

static void stop_roles(struct daemon *d)
{
    int64_t deadline = tl_clock_ms() + DRAIN_MS;
    struct tl_error err;

    for (size_t i = 0; i < PIPELINE_ROLES; i++)
        if (d->role[i])
            role_stop(d->role[i]);
    for (size_t i = 0; i < PIPELINE_ROLES; i++) {
        int64_t left = TL_MAX(deadline - tl_clock_ms(), 0);

        if (!d->role[i])
            continue;
        if (role_join(d->role[i], (int)left, &err) == 0) {
            role_free(d->role[i]);
            d->role[i] = NULL;
        } else {
            tl_warn(&d->log, "daemon", "role %s: %s", pipeline_names[i], err.text);
            d->hung = true;
        }
    }
}

/*
 * Nothing new is taken; what is in hand is finished; then everything is closed. The roles may ask control to
 * the last.
 */
static void shut_down(struct daemon *d)
{
    struct deadline deadline;

    sd_notify(0, "STOPPING=1");
    deadline_start(&deadline, d);
    if (d->http)
        http_server_quiesce(d->http);
    if (d->control)
        control_stop(d->control);
    stop_roles(d);
    http_server_free(d->http);
    control_free(d->control);
    deadline_end(&deadline);
}

static int run(struct daemon *d, struct tl_error *err)
{
    if (block_signals(d, err) < 0)
        return -1;
    if ((d->config->roles & ROLE_CONTROL) && start_control(d, err) < 0)
        return -1;
    if (start_roles(d, err) < 0)
        return -1;
    sd_notify(0, "READY=1");
    return serve(d, err);
}

static void release(struct daemon *d)
{
    free(d->token);
    free(d->control_url);
    if (d->signal_fd >= 0)
        close(d->signal_fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
}

/* Connections of many clients, and of many tenants' sinks: as many as may be. */
static void raise_files(struct tl_log *log)
{
    struct rlimit files;
    struct tl_error err;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = TL_MIN(files.rlim_max, (rlim_t)FILES_MAX);
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
        tl_fail_errno(&err, errno, "the limit of open files can't be raised");
        tl_warn(log, "daemon", "%s", err.text);
    }
}

int daemon_run(const struct daemon_options *options, struct config *config, struct tl_error *err)
{
    struct daemon d = {.options = *options, .config = config, .lock_fd = -1, .signal_fd = -1};
    int rc;

    umask(UMASK);
    if (start_log(&d, err) < 0)
        return -1;
    raise_files(&d.log);
    rc = run(&d, err);
    /* On standard error main says it. */
    if (rc < 0 && d.log.fd != STDERR_FILENO)
        tl_error_log(&d.log, "daemon", "%s", err->text);
    shut_down(&d);
    if (rc == 0)
        tl_info(&d.log, "daemon", "ended");
    if (d.hung)
        d.options.give_up(rc < 0 ? tl_error_exit_code(err->code) : 0);
    release(&d);
    return rc;
}

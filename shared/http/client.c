/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One easy handle, driven by one multi handle: the multi interface is there so that a wait can be ended at
 * once by an eventfd (tl_http_interrupt), which curl's own progress callback would notice only up to a
 * second later.
 *
 *   call ──prepare──► easy ──► multi_perform ◄──► multi_poll(sockets, eventfd) ──► answer, problem
 */
#include "shared/http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONNECT_MS = 5000,
    ANSWER_MAX = 16 << 20,  /* bytes of a JSON answer */
    PROBLEM_MAX = 64 << 10, /* bytes of a problem document; more is cut off */
    SILENCE_S = 60,         /* a stream that gives no byte for so long has ended */
    POLL_MS = 1000
};

struct tl_http {
    char *url;         /* as it was given, for messages */
    char *base;        /* what paths are put behind */
    char *socket_path; /* NULL: TCP */
    struct curl_slist *headers;
    CURL *easy;
    CURLM *multi;
    bool answered; /* the last request was */
    int wakeup;    /* eventfd, readable for good once interrupted */
    atomic_bool interrupted;
};

/* One request on its way. */
struct exchange {
    struct tl_http *h;
    const char *method;
    const char *path;
    int timeout_ms;
    struct tl_buf body; /* the answer, or of a stream only the problem document */
    int body_rc;        /* TL_BUF_ result of filling it */
    int (*sink)(void *app, const char *bytes, size_t n, struct tl_error *err);
    void *app;
    bool sink_failed;
    struct tl_error *err;
};

int tl_http_global_init(struct tl_error *err)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

    return rc ? tl_fail(err, TL_E_FATAL, "HTTP client: %s", curl_easy_strerror(rc)) : 0;
}

void tl_http_global_release(void)
{
    curl_global_cleanup();
}

static int bad_url(const char *url, struct tl_error *err)
{
    return tl_fail(
        err, TL_E_USAGE,
        "\"%s\" is not a coordinator's URL: it is unix:/path, http://host:port or https://host:port", url);
}

static int set_url(struct tl_http *h, const char *url, struct tl_error *err)
{
    const char *host;
    size_t len;

    h->url = strdup(url);
    if (!h->url)
        return tl_fail_nomem(err);
    if (strncmp(url, "unix:", 5) == 0) {
        if (url[5] != '/')
            return bad_url(url, err);
        if (strlen(url + 5) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return tl_fail(err, TL_E_USAGE, "the path of the socket is too long: %s", url + 5);
        h->socket_path = strdup(url + 5);
        h->base = strdup("http://coordinator");
        return h->socket_path && h->base ? 0 : tl_fail_nomem(err);
    }
    if (strncmp(url, "http://", 7) == 0)
        host = url + 7;
    else if (strncmp(url, "https://", 8) == 0)
        host = url + 8;
    else
        return bad_url(url, err);
    len = strlen(host);
    if (len && host[len - 1] == '/')
        len--;
    if (len == 0 || strcspn(host, "/?#@ \t\r\n\"<>\\") < len)
        return bad_url(url, err);
    h->base = strndup(url, (size_t)(host - url) + len);
    return h->base ? 0 : tl_fail_nomem(err);
}

static int add_header(struct tl_http *h, const char *line, struct tl_error *err)
{
    struct curl_slist *longer = curl_slist_append(h->headers, line);

    if (!longer)
        return tl_fail_nomem(err);
    h->headers = longer;
    return 0;
}

static int set_headers(struct tl_http *h, const char *token, struct tl_error *err)
{
    struct tl_buf line;
    int rc;

    if (add_header(h, "Content-Type: application/json", err) || add_header(h, "Expect:", err))
        return -1;
    if (!token)
        return 0;
    if (token[strcspn(token, "\r\n")])
        return tl_fail(err, TL_E_USAGE, "the token has a line end in it");
    tl_buf_init(&line, 16 << 10);
    rc = tl_buf_appendf(&line, "Authorization: Bearer %s", token);
    if (!rc)
        rc = tl_buf_terminate(&line);
    rc = rc ? tl_buf_fail(rc, &line, "the token", err) : add_header(h, line.data, err);
    tl_buf_release(&line);
    return rc;
}

struct tl_http *tl_http_new(const char *url, const char *token, struct tl_error *err)
{
    struct tl_http *h = calloc(1, sizeof *h);

    if (!h) {
        tl_fail_nomem(err);
        return NULL;
    }
    atomic_init(&h->interrupted, false);
    h->wakeup = -1;
    if (set_url(h, url, err) || set_headers(h, token, err))
        goto failed;
    h->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->wakeup < 0) {
        tl_fail_errno(err, errno, "eventfd");
        goto failed;
    }
    h->easy = curl_easy_init();
    h->multi = curl_multi_init();
    if (!h->easy || !h->multi) {
        tl_fail_nomem(err);
        goto failed;
    }
    return h;
failed:
    tl_http_free(h);
    return NULL;
}

void tl_http_free(struct tl_http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->easy);
    if (h->multi)
        curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    if (h->wakeup >= 0)
        close(h->wakeup);
    free(h->url);
    free(h->base);
    free(h->socket_path);
    free(h);
}

void tl_http_interrupt(struct tl_http *h)
{
    static const uint64_t one = 1;
    int saved = errno;
    ssize_t n;

    atomic_store(&h->interrupted, true);
    /* A full eventfd (EAGAIN) is readable as well, which is all that is wanted. */
    n = write(h->wakeup, &one, sizeof one);
    (void)n;
    errno = saved;
}

int tl_http_escape(struct tl_buf *b, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    int rc = 0;

    for (; !rc && *text; text++) {
        unsigned char c = (unsigned char)*text;
        char code[3] = {'%', digits[c >> 4], digits[c & 15]};

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c))
            rc = tl_buf_append_char(b, (char)c);
        else
            rc = tl_buf_append(b, code, sizeof code);
    }
    return rc;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
    struct exchange *x = user;
    long status = 0;

    n *= size;
    curl_easy_getinfo(x->h->easy, CURLINFO_RESPONSE_CODE, &status);
    if (x->sink && status < 400) {
        if (x->sink(x->app, bytes, n, x->err)) {
            x->sink_failed = true;
            return CURL_WRITEFUNC_ERROR;
        }
        return n;
    }
    if (status >= 400) {
        size_t room = x->body.len < PROBLEM_MAX ? PROBLEM_MAX - x->body.len : 0;

        x->body_rc = tl_buf_append(&x->body, bytes, TL_MIN(n, room));
    } else {
        x->body_rc = tl_buf_append(&x->body, bytes, n);
    }
    return x->body_rc ? CURL_WRITEFUNC_ERROR : n;
}

static enum tl_error_code code_of_status(long status)
{
    switch (status) {
    case 400:
        return TL_E_USAGE;
    case 401:
        return TL_E_UNAUTHORIZED;
    case 403:
        return TL_E_FORBIDDEN;
    case 404:
        return TL_E_NOT_FOUND;
    case 409:
    case 412:
        return TL_E_CONFLICT;
    case 413:
        return TL_E_TOO_LARGE;
    case 502:
    case 503:
    case 507:
        return TL_E_UNAVAILABLE;
    case 504:
        return TL_E_TIMEOUT;
    default:
        return status < 500 ? TL_E_REFUSED : TL_E_FATAL;
    }
}

static enum tl_error_code code_of_name(const char *name, enum tl_error_code otherwise)
{
    static const char *const names[] = {
#define X(code, text, meaning, retriable, exit_code, http_status) text,
#include "shared/base/error.def"
#undef X
    };

    for (size_t i = 1; i < TL_ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum tl_error_code)i;
    return otherwise;
}

/* The error that a status of 400 and above means. */
static int problem(const struct exchange *x, long status, struct tl_error *err)
{
    enum tl_error_code code = code_of_status(status);
    json_t *doc = json_loadb(x->body.data ? x->body.data : "", x->body.len, 0, NULL);
    const char *name = json_string_value(json_object_get(doc, "code"));
    const char *detail = json_string_value(json_object_get(doc, "detail"));

    if (name)
        code = code_of_name(name, code);
    if (code == TL_E_NO_SPACE) /* there, not here */
        code = TL_E_UNAVAILABLE;
    if (detail)
        tl_fail(err, code, "%s", detail);
    else
        tl_fail(err, code, "%s answers %s %s with status %ld", x->h->url, x->method, x->path, status);
    json_decref(doc);
    return -1;
}

static int curl_failed(const struct exchange *x, CURLcode result, struct tl_error *err)
{
    curl_off_t connected = 0, sent = 0;

    curl_easy_getinfo(x->h->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(x->h->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    switch (result) {
    case CURLE_WRITE_ERROR:
        if (x->body_rc)
            return tl_buf_fail(x->body_rc, &x->body, "the coordinator's answer", err);
        break;
    case CURLE_OUT_OF_MEMORY:
        return tl_fail_nomem(err);
    case CURLE_OPERATION_TIMEDOUT:
        if (connected == 0 && sent == 0)
            return tl_fail(err, TL_E_UNAVAILABLE, "no coordinator answers at %s: connecting took too long",
                           x->h->url);
        return tl_fail(err, TL_E_TIMEOUT, "the coordinator at %s took too long to answer %s %s", x->h->url,
                       x->method, x->path);
    case CURLE_COULDNT_CONNECT: {
        long os = 0;
        const char *why;

        curl_easy_getinfo(x->h->easy, CURLINFO_OS_ERRNO, &os);
        why = os ? strerrordesc_np((int)os) : NULL;
        return tl_fail(err, TL_E_UNAVAILABLE, "no coordinator answers at %s: %s", x->h->url,
                       why ? why : curl_easy_strerror(result));
    }
    default:
        break;
    }
    return tl_fail(err, TL_E_UNAVAILABLE, "no coordinator answers at %s: %s", x->h->url,
                   curl_easy_strerror(result));
}

static int prepare(struct exchange *x, const char *text, struct tl_error *err)
{
    struct tl_http *h = x->h;
    CURL *easy = h->easy;
    struct tl_buf url;
    int rc;

    curl_easy_reset(easy); /* options only: the connection stays */
    tl_buf_init(&url, 64 << 10);
    rc = tl_buf_append_z(&url, h->base);
    if (!rc)
        rc = tl_buf_append_z(&url, x->path);
    if (!rc)
        rc = tl_buf_terminate(&url);
    if (rc) {
        rc = tl_buf_fail(rc, &url, "the URL", err);
        tl_buf_release(&url);
        return rc;
    }
#define SET(option, value) (rc = rc ? rc : (int)curl_easy_setopt(easy, option, value))
    SET(CURLOPT_URL, url.data);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*"); /* the coordinator is near; a proxy for the web has no part in it */
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTPHEADER, h->headers);
    SET(CURLOPT_USERAGENT, "tload");
    SET(CURLOPT_CUSTOMREQUEST, x->method);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (h->socket_path)
        SET(CURLOPT_UNIX_SOCKET_PATH, h->socket_path);
    if (text) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
        SET(CURLOPT_POSTFIELDS, text);
    } else if (strcmp(x->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    }
    if (x->sink) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    } else {
        SET(CURLOPT_TIMEOUT_MS, (long)x->timeout_ms);
    }
#undef SET
    tl_buf_release(&url);
    return rc ? tl_fail(err, TL_E_FATAL, "HTTP client: %s", curl_easy_strerror((CURLcode)rc)) : 0;
}

/* Drives the one transfer to its end. */
static int drive(struct exchange *x, struct tl_error *err)
{
    struct tl_http *h = x->h;
    struct curl_waitfd wake = {.fd = h->wakeup, .events = CURL_WAIT_POLLIN};
    CURLMcode result = curl_multi_add_handle(h->multi, h->easy);
    CURLcode end = CURLE_OK;
    int running = 1;

    while (result == CURLM_OK) {
        if (atomic_load(&h->interrupted))
            break;
        result = curl_multi_perform(h->multi, &running);
        if (result != CURLM_OK || !running)
            break;
        result = curl_multi_poll(h->multi, &wake, 1, POLL_MS, NULL);
    }
    if (result == CURLM_OK && !running) {
        int left;
        const CURLMsg *msg = curl_multi_info_read(h->multi, &left);

        end = msg ? msg->data.result : CURLE_FAILED_INIT;
    }
    if (result == CURLM_OK && !running && end != CURLE_OK && !x->sink_failed)
        curl_failed(x, end, err); /* reads what is gone once the handle is taken out */
    curl_multi_remove_handle(h->multi, h->easy);
    if (result != CURLM_OK)
        return tl_fail(err, TL_E_FATAL, "HTTP client: %s", curl_multi_strerror(result));
    if (running)
        return tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    return end == CURLE_OK ? 0 : -1;
}

/* 0 when the answer is below 400; its body is then in x->body, or went to the sink. */
static int exchange(struct exchange *x, const char *text, struct tl_error *err)
{
    long status = 0;

    x->h->answered = false;
    if (prepare(x, text, err) || drive(x, err))
        return -1;
    x->h->answered = true;
    curl_easy_getinfo(x->h->easy, CURLINFO_RESPONSE_CODE, &status);
    return status < 400 ? 0 : problem(x, status, err);
}

int tl_http_call(struct tl_http *h, const char *method, const char *path, const json_t *body, int timeout_ms,
                 json_t **answer, struct tl_error *err)
{
    struct exchange x = {.h = h, .method = method, .path = path, .timeout_ms = timeout_ms, .err = err};
    char *text = NULL;
    int rc;

    if (answer)
        *answer = NULL;
    if (body) {
        text = json_dumps(body, JSON_COMPACT);
        if (!text)
            return tl_fail_nomem(err);
    }
    tl_buf_init(&x.body, ANSWER_MAX);
    rc = exchange(&x, text, err);
    if (!rc && answer && x.body.len) {
        json_error_t why;

        *answer = json_loadb(x.body.data, x.body.len, JSON_DECODE_ANY, &why);
        if (!*answer)
            rc = tl_fail(err, TL_E_CORRUPT,
                         "what answers at %s is not a coordinator, its answer is not JSON: %s", h->url,
                         why.text);
    }
    tl_buf_release(&x.body);
    free(text);
    return rc;
}

bool tl_http_answered(const struct tl_http *h)
{
    return h->answered;
}

int tl_http_stream(struct tl_http *h, const char *path,
                   int (*sink)(void *app, const char *bytes, size_t n, struct tl_error *err), void *app,
                   struct tl_error *err)
{
    struct exchange x = {.h = h, .method = "GET", .path = path, .sink = sink, .app = app, .err = err};
    int rc;

    tl_buf_init(&x.body, PROBLEM_MAX);
    rc = exchange(&x, NULL, err);
    tl_buf_release(&x.body);
    return rc;
}

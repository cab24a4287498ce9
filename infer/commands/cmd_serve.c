#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "infer/commands/infer_cmds.h"
#include "infer/engine/model_loader.h"
#include "infer/serve/service.h"

typedef struct serve_conf {
    loom_model_loader_conf model;
    const char *address, *token, *name;
    int64_t port, queue, max_body, max_texts, max_tokens, time_limit, idle, grace;
} serve_conf;

static const loom_opt serve_opts[] = {
    LOOM_MODEL_LOADER_OPTS(serve_conf, model),
    LOOM_OPT_GROUP("Server"),
    LOOM_OPT_STR("address", 0, serve_conf, address, "127.0.0.1", "NAME",
                 "address to listen at; the default is reached from this machine alone, 0.0.0.0 from everywhere"),
    LOOM_OPT_I64("port", 0, serve_conf, port, "8080", 0, 65535, "N", "port; 0: one that is free"),
    LOOM_OPT_IN(
        "token", 0, serve_conf, token, NULL, "FILE",
        "a file that only its owner may read; its line must come with every request as \"Authorization: Bearer LINE\""),
    LOOM_OPT_STR("name", 0, serve_conf, name, NULL, "NAME", "name of the model in answers; else that of its file"),
    LOOM_OPT_GROUP("Limits"),
    LOOM_OPT_I64("queue", 0, serve_conf, queue, "400", 0, 100000, "N",
                 "requests that may wait while --batch of them are worked on; more are told to come back"),
    LOOM_OPT_I64("max-body", 0, serve_conf, max_body, "1048576", 1024, 1 << 30, "BYTES", "longest body of a request"),
    LOOM_OPT_I64("max-texts", 0, serve_conf, max_texts, "1000", 1, 1000000, "N", "texts or call graphs of one request"),
    LOOM_OPT_I64("max-tokens", 0, serve_conf, max_tokens, "0", 0, 1e9, "N",
                 "longest text, whatever a request asks for; 0: as the context allows"),
    LOOM_OPT_I64("time-limit", 0, serve_conf, time_limit, "600", 1, 1000000, "SECONDS",
                 "for a request, its waiting counted"),
    LOOM_OPT_I64("idle", 0, serve_conf, idle, "60", 1, 1000000, "SECONDS",
                 "a connection on which nothing moves is closed after that long"),
    LOOM_OPT_I64("grace", 0, serve_conf, grace, "30", 0, 1000000, "SECONDS",
                 "after Ctrl-C or SIGTERM: time for what was begun"),
    LOOM_OPT_END};

/* The secret of a file that nobody else may read. */
static loom_status read_token(loom_buf *into, const char *path, loom_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)))
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "%s can be read by others (its mode is %03o): a token is a secret; chmod 600 it, and better make "
            "a new one",
            path, (unsigned)st.st_mode & 0777);
    LOOM_TRY(loom_file_read(into, path, LOOM_BOUND_SETTINGS, err));
    while (into->len && strchr("\r\n", into->data[into->len - 1])) into->data[--into->len] = 0;
    if (into->len < 8 || into->len > 4096)
        return loom_fail(err, LOOM_STATUS_ARG, "%s holds %zu characters, and a token 8 to 4096 in one line", path,
                         into->len);
    for (size_t i = 0; i < into->len; i++)
        if (into->data[i] <= ' ' || into->data[i] > '~')
            return loom_fail(err, LOOM_STATUS_ARG, "%s: a token is one line of printable ASCII without blanks", path);
    return LOOM_OK;
}

/* "runs/demo/model.h5" is called demo, "base.h5" base. */
static void model_name(loom_buf *into, const char *path)
{
    loom_buf copy = {0};

    loom_buf_str(&copy, path);
    while (copy.len > 1 && copy.data[copy.len - 1] == '/') copy.data[--copy.len] = 0;
    const char *name = loom_path_name(loom_buf_text(&copy));
    if (name != copy.data && strcmp(name, "model.h5") == 0) {
        copy.data[name - copy.data - 1] = 0;
        name = loom_path_name(copy.data);
    }
    size_t n = strlen(name);
    loom_buf_append(into, name, loom_path_ends_in(name, ".h5") && n > 3 ? n - 3 : n);
    loom_buf_release(&copy);
}

static void say_started(const loom_service_conf *conf, int port)
{
    loom_info("listening at http://%s:%d, model %s; Ctrl-C ends", conf->http.address, port, conf->name);
    if (!conf->http.token && strncmp(conf->http.address, "127.", 4) != 0 &&
        strcmp(conf->http.address, "localhost") != 0 && strcmp(conf->http.address, "::1") != 0)
        loom_warn("others can reach %s, and no --token is wanted of them", conf->http.address);
}

static loom_status run_serve(const loom_ctx *ctx, loom_err *err)
{
    enum { SPARE_CONNECTIONS = 64 };
    const serve_conf *c = ctx->conf;
    loom_model_loader b = {0};
    loom_buf token = {0}, name = {0};
    loom_service_conf sc = {.http = {.address = c->address,
                                     .port = c->port,
                                     .max_body = c->max_body,
                                     .max_connections = c->queue + c->model.batch + SPARE_CONNECTIONS,
                                     .idle_seconds = c->idle,
                                     .open_paths = loom_service_open_paths},
                            .batch = c->model.batch,
                            .queue = c->queue,
                            .max_texts = c->max_texts,
                            .max_tokens = c->max_tokens,
                            .limit_seconds = c->time_limit,
                            .grace_seconds = c->grace,
                            .bos = c->model.bos,
                            .seed = (uint64_t)ctx->common.seed,
                            .started = say_started};
    loom_status st = LOOM_OK;

    if (!loom_http_library()) return loom_http_start(NULL, &sc.http, err);
    if (c->token && (st = read_token(&token, c->token, err)) != LOOM_OK) goto done;
    if (c->token) sc.http.token = token.data;
    if ((st = loom_model_loader_open(&b, &c->model, &ctx->common, err)) != LOOM_OK) goto done;
    if (c->name) loom_buf_str(&name, c->name);
    else model_name(&name, b.bundle.path);
    sc.name = loom_buf_text(&name);
    if (ctx->common.dry_run) loom_info("would listen at %s, port %lld", c->address, (long long)c->port);
    else st = loom_service_run(&sc, &b, err);
done:
    loom_model_loader_close(&b);
    loom_buf_release(&token);
    loom_buf_release(&name);
    return st;
}

const loom_cmd loom_cmd_serve = {
    .name = "serve",
    .summary = "answer requests over HTTP: texts, and whole call graphs",
    .args = "",
    .details =
        "POST /v1/callgraphs   {\"edges\": 12, \"depth\": 4, \"count\": 10, \"format\": \"jaeger\"}   call graphs\n"
        "POST /v1/completions  what clients of OpenAI's interface send                     texts\n"
        "POST /generate        what the public evaluation script of the paper sends        texts\n"
        "GET  /v1/models, /health, /metrics (Prometheus), / (a page to try it by hand)\n"
        "\n"
        "Requests are decoded together, --batch texts at a time; the same seed gives the same answer in any company, and\n"
        "for call graphs what `loom-infer sample` writes. docs/SERVING.md has every member of a request.\n"
        "Ctrl-C or SIGTERM: no new requests, what was begun is finished, exit code 0.\n"
        "\n"
        "  loom-infer serve --model runs/demo --port 8080\n"
        "  curl http://127.0.0.1:8080/v1/callgraphs -d '{\"edges\": 12, \"depth\": 4, \"format\": \"csv\"}'\n",
    .opts = serve_opts,
    .conf_size = sizeof(serve_conf),
    .run = run_serve,
};

/* Many clients at once against `loom-infer serve`, good and bad ones.
 *
 *   http_load PORT CLIENTS SECONDS KINDS BODY
 *
 * KINDS: "graphs" (each client asks for call graphs, POST /v1/callgraphs with BODY, again and again) or "all": besides these
 * streams that are read slowly, texts, broken bodies, clients that leave while they wait or while they send. Prints,
 * for each kind, requests and answers that were not as they should be, then graphs and tokens a second (GET
 * /metrics) and the server's memory after 30 s (in less than a minute: half way) and at the end: all of it, and without
 * that of keys and values, which fills until as many and as long texts as ever were in flight. Exit 1: an answer was
 * wrong. */
#include "tools/http_wire.h"

#include <pthread.h>
#include <time.h>

#include "core/rng.h"
#include "core/usage.h"

typedef enum kind { GRAPHS, TEXT, SLOW, BROKEN, LEAVES, HALF, KINDS } kind;
static const char *const names[KINDS] = {"graphs", "text", "slow reader", "broken body", "leaves", "half a request"};

typedef struct load {
    int port;
    bool all;
    const char *body;
    double until;
    pthread_mutex_t lock;
    int64_t asked[KINDS], wrong[KINDS], busy;
    char first_wrong[256];
} load;

typedef struct client {
    load *l;
    int number;
    pthread_t thread;
} client;

static void note(load *l, kind k, bool good, const wire_answer *a)
{
    pthread_mutex_lock(&l->lock);
    l->asked[k]++;
    l->busy += a && a->status == 503;
    if (!good) {
        if (!l->wrong[k]++ && !l->first_wrong[0])
            snprintf(l->first_wrong, sizeof l->first_wrong, "%s: status %d, %.150s", names[k], a ? a->status : 0,
                     a ? loom_buf_text(&a->body) : "");
    }
    pthread_mutex_unlock(&l->lock);
}

static void ask_slowly(load *l)
{
    static const char body[] = "{\"prompt\":\"id:S_1\",\"max_tokens\":200,\"stream\":true,\"n\":4}";
    wire_answer a = {0};
    loom_buf request = {0};
    int fd = wire_connect(l->port, 600);

    wire_head(&request, "POST", "/v1/completions", "", (int64_t)strlen(body));
    loom_buf_str(&request, body);
    if (fd >= 0 && wire_send(fd, request.data, request.len)) wire_read(&a, fd, 512, 2000);
    if (fd >= 0) close(fd);
    note(l, SLOW, a.status == 200 && a.whole && strstr(loom_buf_text(&a.body), "data: [DONE]"), &a);
    wire_release(&a);
    loom_buf_release(&request);
}

/* Sends a request, or half of one, and goes. */
static void leave(load *l, kind k, loom_rng *rng)
{
    loom_buf request = {0};
    int fd = wire_connect(l->port, 600);
    size_t body = strlen(l->body);

    wire_head(&request, "POST", "/v1/callgraphs", "", (int64_t)body);
    loom_buf_append(&request, l->body, k == HALF ? body / 2 : body);
    bool good = fd >= 0 && wire_send(fd, request.data, request.len);
    usleep((useconds_t)loom_rng_below(rng, 300000));
    if (fd >= 0) close(fd);
    note(l, k, good, NULL);
    loom_buf_release(&request);
}

static void ask(load *l, kind k, const char *path, const char *body, int status, const char *part)
{
    wire_answer a = {0};

    wire_ask(&a, l->port, "POST", path, "", body);
    note(l, k, a.status == status && a.whole && strstr(loom_buf_text(&a.body), part), &a);
    wire_release(&a);
}

static void *be_client(void *arg)
{
    client *c = arg;
    load *l = c->l;
    loom_rng rng;

    loom_rng_seed(&rng, 1, "client", (uint64_t)c->number);
    while (loom_time_now() < l->until) {
        kind k = l->all ? (kind)(c->number % KINDS) : GRAPHS;
        switch (k) {
        case GRAPHS: ask(l, k, "/v1/callgraphs", l->body, 200, "USER"); break;
        case TEXT:
            ask(l, k, "/generate", "{\"prompt\":\"id:S_1\",\"max_tokens\":64,\"stop\":[\"</edges>\"]}", 200, "id:S_1");
            break;
        case SLOW: ask_slowly(l); break;
        case BROKEN: ask(l, k, "/v1/completions", "{\"prompt\": \"a\", \"n\": ", 400, "not valid JSON"); break;
        default: leave(l, k, &rng); break;
        }
    }
    return NULL;
}

static double metric(int port, const char *name)
{
    wire_answer a = {0};

    wire_ask(&a, port, "GET", "/metrics", "", NULL);
    const char *at = a.body.len ? strstr(a.body.data, name) : NULL;
    double value = at ? strtod(at + strlen(name), NULL) : -1;
    wire_release(&a);
    return value;
}

static double tokens(int port)
{
    return metric(port, "\nspanloom_tokens_total{kind=\"chosen\"} ") +
           metric(port, "\nspanloom_tokens_total{kind=\"forced\"} ");
}

typedef struct memory {
    double all, cache; /* MiB */
} memory;

static memory look_at_memory(int port)
{
    return (memory){.all = metric(port, "\nspanloom_resident_bytes ") / 1048576,
                    .cache = metric(port, "\nspanloom_cache_touched_bytes ") / 1048576};
}

static void say_memory(const memory *early, double after, const memory *end)
{
    printf("memory %.1f MiB after %.0f s, %.1f MiB at the end\n", early->all, after, end->all);
    printf("  of which keys and values %.1f and %.1f MiB, all else %.1f and %.1f MiB\n", early->cache, end->cache,
           early->all - early->cache, end->all - end->cache);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: http_load PORT CLIENTS SECONDS graphs|all BODY\n");
        return 2;
    }
    int n = (int)strtol(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL), began = loom_time_now();
    load l = {.port = (int)strtol(argv[1], NULL, 10), .all = strcmp(argv[4], "all") == 0, .body = argv[5]};
    client *clients = loom_calloc((size_t)n, sizeof *clients);

    if (!clients) return 1;
    pthread_mutex_init(&l.lock, NULL);
    l.until = began + seconds;
    double cpu_before = metric(l.port, "\nspanloom_cpu_seconds_total ");
    double tokens_before = tokens(l.port), graphs_before = metric(l.port, "\nspanloom_graphs_total ");
    for (int i = 0; i < n; i++) {
        clients[i] = (client){.l = &l, .number = i};
        if (pthread_create(&clients[i].thread, NULL, be_client, &clients[i]) != 0) return 1;
    }
    double after = seconds < 60 ? seconds / 2 : 30;
    usleep((useconds_t)(after * 1e6));
    memory early = look_at_memory(l.port);
    for (int i = 0; i < n; i++) pthread_join(clients[i].thread, NULL);
    double took = loom_time_now() - began;
    int64_t wrong = 0;
    for (int k = 0; k < KINDS; k++) {
        wrong += l.wrong[k];
        if (l.asked[k])
            printf("%-15s %6lld requests, %lld wrong\n", names[k], (long long)l.asked[k], (long long)l.wrong[k]);
    }
    if (l.busy) printf("%lld were told to come back later\n", (long long)l.busy);
    if (wrong) printf("the first that was wrong: %s\n", l.first_wrong);
    printf("%.2f graphs/s, %.0f tokens/s in %.1f s\n",
           (metric(l.port, "\nspanloom_graphs_total ") - graphs_before) / took, (tokens(l.port) - tokens_before) / took,
           took);
    printf("%.0f tokens per second of processor time\n",
           (tokens(l.port) - tokens_before) / (metric(l.port, "\nspanloom_cpu_seconds_total ") - cpu_before));
    memory end = look_at_memory(l.port);
    say_memory(&early, after, &end);
    free(clients);
    return wrong > 0;
}

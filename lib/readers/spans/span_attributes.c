#include "readers/spans/span_attributes.h"

#include <strings.h>

#include "core/num.h"

/* Who is called, from the vaguest to the surest. */
enum {
    NAMED_BY_NOTHING,
    NAMED_BY_ADDRESS, /* a number */
    NAMED_BY_URL,
    NAMED_BY_HOST,
    NAMED_BY_SERVER, /* today's server.address */
    NAMED_BY_BROKER,
    NAMED_BY_DATABASE, /* its system: spans that are no clients show a call with it as well */
    NAMED_BY_DESTINATION,
    NAMED_BY_SERVICE
};

/* How it is called. */
enum { TYPED_BY_NOTHING, TYPED_BY_KIND, TYPED_BY_HTTP, TYPED_BY_FIELD, TYPED_BY_SYSTEM, TYPED_BY_US };

loom_span_kind loom_span_kind_of(const char *text)
{
    static const char *const names[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};

    if (!text) return LOOM_SPAN_OTHER;
    if (strncasecmp(text, "SPAN_KIND_", 10) == 0) text += 10;
    for (int i = 1; i <= LOOM_SPAN_CONSUMER; i++)
        if (strcasecmp(text, names[i]) == 0 || (text[0] == '0' + i && !text[1])) return (loom_span_kind)i;
    return LOOM_SPAN_OTHER;
}

static void name_callee(loom_span *span, int by, const char *text, size_t len, loom_arena *arena)
{
    if (len == 0 || by <= span->callee_by) return;
    span->callee_by = (int8_t)by;
    span->callee = loom_arena_strdup(arena, text, len);
}

/* "host:8080" and "[::1]:8080" without the port; an address of six groups and more stays. */
static void name_host(loom_span *span, int by, const char *text, size_t len, loom_arena *arena)
{
    const char *end = text + len, *colon = memchr(text, ':', len);

    if (len && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (close) text++, end = close;
    } else if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
        end = colon;
    }
    name_callee(span, by, text, (size_t)(end - text), arena);
}

/* "http://user:secret@host:8080/path" -> "host" */
static void name_url(loom_span *span, const char *url, loom_arena *arena)
{
    const char *from = strstr(url, "://");

    if (!from) return;
    from += 3;
    size_t len = strcspn(from, "/?#");
    for (size_t i = len; i > 0; i--) {
        if (from[i - 1] != '@') continue;
        from += i;
        len -= i;
        break;
    }
    name_host(span, NAMED_BY_URL, from, len, arena);
}

static void set_type(loom_span *span, int by, loom_call_type type)
{
    if (type == LOOM_CALL_TYPES || by <= span->type_by) return;
    span->type_by = (int8_t)by;
    span->type = type;
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0) return true;
    return false;
}

static void take_ms(int64_t *out, const char *text)
{
    int64_t v;
    if (loom_parse_i64(text, strlen(text), &v) && v >= -LOOM_TIME_MAX_MS && v <= LOOM_TIME_MAX_MS) *out = v;
}

/* callgraph.* and what a converter of Alibaba's tables wrote; false: not such an attribute. */
static bool take_ours(loom_span *span, const char *key, const char *value, loom_arena *arena)
{
    static const char *const services[] = {"callgraph.service_id", "alibaba.service", NULL};

    if (is_one_of(key, services)) span->service_id = loom_arena_strdup(arena, value, strlen(value));
    else if (strncmp(key, "callgraph.", 10) != 0) return false;
    else if (strcmp(key + 10, "edge_id") == 0) span->edge_id = loom_arena_strdup(arena, value, strlen(value));
    else if (strcmp(key + 10, "caller") == 0) span->caller = loom_arena_strdup(arena, value, strlen(value));
    else if (strcmp(key + 10, "arrived") == 0) take_ms(&span->arrived, value);
    else if (strcmp(key + 10, "rt") == 0) take_ms(&span->rt, value);
    else if (strcmp(key + 10, "type") == 0) set_type(span, TYPED_BY_US, loom_call_type_of(value, strlen(value)));
    else if (strcmp(key + 10, "callee") == 0) name_callee(span, NAMED_BY_SERVICE, value, strlen(value), arena);
    return true;
}

static const struct {
    const char *key;
    int by;
} host_keys[] = {
    {"server.address", NAMED_BY_SERVER},
    {"net.peer.name", NAMED_BY_HOST},
    {"net.sock.peer.name", NAMED_BY_HOST},
    {"peer.hostname", NAMED_BY_HOST},
    {"http.host", NAMED_BY_URL},
    {"network.peer.address", NAMED_BY_ADDRESS},
    {"net.sock.peer.addr", NAMED_BY_ADDRESS},
    {"net.peer.ip", NAMED_BY_ADDRESS},
    {"peer.ipv4", NAMED_BY_ADDRESS},
    {"peer.ipv6", NAMED_BY_ADDRESS},
};

/* False: the attribute does not say who is called. */
static bool take_callee(loom_span *span, const char *key, const char *value, loom_arena *arena)
{
    static const char *const destinations[] = {"messaging.destination.name", "messaging.destination",
                                               "message_bus.destination", NULL};
    static const char *const urls[] = {"url.full", "http.url", NULL};
    size_t len = strlen(value);

    for (size_t i = 0; i < sizeof host_keys / sizeof *host_keys; i++) {
        if (strcmp(key, host_keys[i].key) != 0) continue;
        name_host(span, host_keys[i].by, value, len, arena);
        return strncmp(key, "http.", 5) != 0;
    }
    if (strcmp(key, "peer.service") == 0) name_callee(span, NAMED_BY_SERVICE, value, len, arena);
    else if (is_one_of(key, destinations)) {
        name_callee(span, NAMED_BY_DESTINATION, value, len, arena);
        set_type(span, TYPED_BY_FIELD, LOOM_CALL_MQ);
    } else if (is_one_of(key, urls)) {
        name_url(span, value, arena);
        set_type(span, TYPED_BY_HTTP, LOOM_CALL_HTTP);
    } else {
        return false;
    }
    return true;
}

/* Names of systems: databases and brokers are callees themselves. */
static bool take_system(loom_span *span, const char *key, const char *value, loom_arena *arena)
{
    static const char *const databases[] = {"db.system.name", "db.system", "db.type", NULL};
    static const char *const caches[] = {"redis", "memcached", "memcache", "valkey", NULL};
    static const char *const calls[] = {"rpc.system.name", "rpc.system", NULL};

    if (is_one_of(key, databases)) {
        set_type(span, TYPED_BY_SYSTEM, is_one_of(value, caches) ? LOOM_CALL_MC : LOOM_CALL_DB);
        name_callee(span, NAMED_BY_DATABASE, value, strlen(value), arena);
    } else if (is_one_of(key, calls)) {
        loom_call_type type = loom_call_type_of(value, strlen(value));
        set_type(span, TYPED_BY_SYSTEM, type == LOOM_CALL_TYPES ? LOOM_CALL_RPC : type);
    } else if (strcmp(key, "messaging.system") == 0) {
        set_type(span, TYPED_BY_SYSTEM, LOOM_CALL_MQ);
        name_callee(span, NAMED_BY_BROKER, value, strlen(value), arena);
    } else {
        return false;
    }
    return true;
}

/* Any field of a convention tells that it was used. */
static void take_hint(loom_span *span, const char *key, const char *value)
{
    if (strncmp(key, "messaging.", 10) == 0) set_type(span, TYPED_BY_FIELD, LOOM_CALL_MQ);
    else if (strncmp(key, "db.", 3) == 0) set_type(span, TYPED_BY_FIELD, LOOM_CALL_DB);
    else if (strncmp(key, "rpc.", 4) == 0) set_type(span, TYPED_BY_FIELD, LOOM_CALL_RPC);
    else if (strncmp(key, "http.", 5) == 0) set_type(span, TYPED_BY_HTTP, LOOM_CALL_HTTP);
    else if (strcmp(key, "component") == 0 && strcmp(value, "gRPC") == 0) set_type(span, TYPED_BY_FIELD, LOOM_CALL_RPC);
}

void loom_span_attribute(loom_span *span, const char *key, const char *value, loom_arena *arena)
{
    if (take_ours(span, key, value, arena) || take_callee(span, key, value, arena) ||
        take_system(span, key, value, arena))
        return;
    take_hint(span, key, value);
}

void loom_span_settle(loom_span *span)
{
    bool incoming = loom_span_is_incoming(span), outgoing = loom_span_is_outgoing(span);
    bool broker = span->kind == LOOM_SPAN_PRODUCER || span->kind == LOOM_SPAN_CONSUMER;
    bool shown = outgoing || span->callee_by == NAMED_BY_DATABASE || span->callee_by == NAMED_BY_SERVICE;

    if (incoming || !shown) span->callee = "";
    if (broker) set_type(span, TYPED_BY_KIND, LOOM_CALL_MQ);
}

#include "infer/serve/error_json.h"

#include "core/json.h"

static const char *type_of(int status)
{
    if (status == 401) return "authentication_error";
    return status < 500 ? "invalid_request_error" : "server_error";
}

void loom_error_json(loom_buf *into, int status, const char *sentence)
{
    loom_jw w;

    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "error");
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "message", sentence);
    loom_jw_kv_str(&w, "type", type_of(status));
    loom_jw_key(&w, "param");
    loom_jw_null(&w);
    loom_jw_key(&w, "code");
    loom_jw_null(&w);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* Provenance: every output says how it was made.
 *
 * Next to an output file F stands F.meta.json: version, program, command line, effective options, seed, inputs with
 * size and XXH3-128, and counters that the command adds. HDF5 outputs keep the same object in the attribute "meta". */
#ifndef LOOM_CORE_META_H
#define LOOM_CORE_META_H

#include "core/cli.h"
#include "core/json.h"

typedef struct loom_meta {
    loom_buf inputs; /* JSON array members gathered so far */
    loom_buf extra;  /* ", \"key\": value" members gathered so far */
} loom_meta;         /* zero-initialised is ready */

/* Hashes the file and records it; "-" is recorded as stdin without digest. */
loom_status loom_meta_input(loom_meta *m, const char *path, loom_err *err);
void loom_meta_i64(loom_meta *m, const char *key, int64_t v);
void loom_meta_f64(loom_meta *m, const char *key, double v);
void loom_meta_str(loom_meta *m, const char *key, const char *text);
void loom_meta_json(loom_meta *m, const char *key, const char *json_text); /* raw JSON value */
/* The whole object as pretty JSON text. */
void loom_meta_render(const loom_meta *m, const loom_ctx *ctx, loom_buf *into);
/* Writes PATH.meta.json (atomic, replaces); does nothing for "-" and for devices and pipes. */
loom_status loom_meta_write(const loom_meta *m, const loom_ctx *ctx, const char *path, loom_err *err);
void loom_meta_release(loom_meta *m);

#endif

/* Provenance: every output says how it was made.
 *
 * Next to an output file F stands F.meta.json: version, program, command line, effective options, seed, inputs with
 * size and XXH3-128, and counters that the command adds. HDF5 outputs keep the same object in the attribute "meta".
 *
 * "settings_digest" covers all that shaped the bytes: program, version, subcommand, seed, the options of role
 * LOOM_OPT_SETTING, and digests and sizes of the inputs in their order; no file names, threads or verbosity. An output
 * is up to date when its digest is the one of the present run (--update):
 *
 *   record every input with loom_meta_input
 *   if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
 *   work, commit, loom_meta_write */
#ifndef LOOM_CORE_META_H
#define LOOM_CORE_META_H

#include "core/cli.h"
#include "core/json.h"

typedef struct loom_meta {
    loom_buf inputs;  /* JSON array members gathered so far */
    loom_buf digests; /* the same without names */
    loom_buf extra;   /* ", \"key\": value" members gathered so far */
    bool unknown;     /* an input has no digest: stdin, a folder */
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
/* True when PATH, PATH.meta.json and every other file that an option of role LOOM_OPT_OUTPUT names are there, and PATH
 * was made with the settings and inputs of this run and has the size that it had then. Never true for "-" or with an
 * input that has no digest. All inputs must have been recorded. */
bool loom_meta_fresh(const loom_meta *m, const loom_ctx *ctx, const char *path);
/* Under --update: true, and said to the user, when PATH is fresh; the command has nothing to do then. */
bool loom_meta_up_to_date(const loom_meta *m, const loom_ctx *ctx, const char *path);
void loom_meta_release(loom_meta *m);

#endif

/* Provenance: every output says how it was made.
 *
 * Next to an output file F stands F.meta.json: version, program, command line, effective options, seed, inputs with
 * size and XXH3-128, size and digest of F, and counters that the command adds. HDF5 outputs keep the same object in
 * the attribute "meta".
 *
 * "settings_digest" covers all that shaped the bytes: program, version, subcommand, seed, the options of role
 * LOOM_OPT_SETTING, and digests and sizes of the inputs in their order; no file names, threads or verbosity. An output
 * is up to date when its digest is the one of the present run (--update):
 *
 *   record every input with loom_meta_input
 *   if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
 *   work
 *   st = loom_meta_commit(&meta, ctx, &out, 1, 1, err); */
#ifndef LOOM_CORE_META_H
#define LOOM_CORE_META_H

#include "core/cli.h"
#include "core/file.h"
#include "core/json.h"

typedef struct loom_meta {
    loom_buf inputs;  /* JSON array members gathered so far */
    loom_buf digests; /* the same without names */
    loom_buf extra;   /* ", \"key\": value" members gathered so far */
    bool unknown;     /* an input has no digest: stdin, a folder */
} loom_meta;          /* zero-initialised is ready */

/* Hashes the file and records it; "-" is recorded as stdin without digest. */
loom_status loom_meta_input(loom_meta *m, const char *path, loom_err *err);
/* How an input is called in the output: it decides whether that is up to date, as the inputs themselves do. */
void loom_meta_called(loom_meta *m, const char *name);
void loom_meta_i64(loom_meta *m, const char *key, int64_t v);
void loom_meta_f64(loom_meta *m, const char *key, double v);
void loom_meta_str(loom_meta *m, const char *key, const char *text);
void loom_meta_json(loom_meta *m, const char *key, const char *json_text); /* raw JSON value */
/* What "settings_digest" is: equal for runs of the same options and inputs. All inputs must have been recorded. */
void loom_meta_settings(const loom_meta *m, const loom_ctx *ctx, char text[33]);
/* The object for inside the output: without the command line, the threads and the names of outputs, which do not
 * shape what is in it. */
void loom_meta_render_inside(const loom_meta *m, const loom_ctx *ctx, loom_buf *into);
/* The whole object as pretty JSON text. */
void loom_meta_render(const loom_meta *m, const loom_ctx *ctx, loom_buf *into);
/* Finishes the outputs of a command (NULL ones are passed over) and gives them their names, all or none
 * (core/temp_file.h), the first `n_told` together with their PATH.meta.json, which is on the disk before its file
 * has its name. Frees the outputs and sets them to NULL, also on failure. What is written in place ("-", devices,
 * pipes) gets no PATH.meta.json. */
loom_status loom_meta_commit(const loom_meta *m, const loom_ctx *ctx, loom_out **outs, size_t n, size_t n_told,
                             loom_err *err);
/* The same for files whose digests are known (loom_temp_digest) and which the caller still owns. */
loom_status loom_meta_publish(const loom_meta *m, const loom_ctx *ctx, loom_temp *const *outputs, size_t n,
                              size_t n_told, loom_err *err);
/* loom_file_write with PATH.meta.json. */
loom_status loom_meta_file_write(const loom_meta *m, const loom_ctx *ctx, const char *path, const void *data,
                                 size_t len, bool force, loom_err *err);
/* PATH.meta.json; NULL when there is none or it tells of another file than lies there: of another size, or
 * (by_digest) of other content, which takes reading all of it. Those of older versions say no digest, and are
 * believed. */
loom_json *loom_meta_load(const char *path, bool by_digest);
/* The same for those whose output tells of it: what is there and cannot be read is an error. */
loom_status loom_meta_read(loom_json **out, const char *path, bool by_digest, loom_err *err);
/* True when PATH, PATH.meta.json and every other file that an option of role LOOM_OPT_OUTPUT names are there, and PATH
 * was made with the settings and inputs of this run and has the size and digest that it had then. Never true for
 * "-" or with an input that has no digest. All inputs must have been recorded. */
bool loom_meta_fresh(const loom_meta *m, const loom_ctx *ctx, const char *path);
/* Under --update: true, and said to the user, when PATH is fresh; the command has nothing to do then. */
bool loom_meta_up_to_date(const loom_meta *m, const loom_ctx *ctx, const char *path);
void loom_meta_release(loom_meta *m);

#endif

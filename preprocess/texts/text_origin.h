/* What is known of how training text was made, for those who read its tokens: PATH.meta.json of the text, in short.
 *
 *   loom_text_origins(&json, paths, n, err);        [{"subcommand": "encode", "options": {"mode": "tabular", ...}}, null] */
#ifndef LOOM_PREPROCESS_TEXT_ORIGIN_H
#define LOOM_PREPROCESS_TEXT_ORIGIN_H

#include "core/buf.h"
#include "core/err.h"

/* Appends a JSON list with an entry for each text: its subcommand and options; null where no PATH.meta.json tells of
 * the very content that lies there. File names are left out of the options. */
loom_status loom_text_origins(loom_buf *into, char *const *paths, int n, loom_err *err);

#endif

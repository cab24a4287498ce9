/* What a comparison says, for programs and for people. */
#ifndef LOOM_EVAL_COMPARE_OUT_H
#define LOOM_EVAL_COMPARE_OUT_H

#include "eval/pages/results.h"
#include "system/contrast.h"

/* "MS_1 http (S_1) -> MS_2 rpc" of a change; paths with all operations above. */
void loom_change_name(loom_buf *into, const loom_contrast *c, const loom_change *x);

void loom_contrast_json(loom_buf *into, const loom_contrast *c, const loom_contrast_conf *conf);
/* places.csv and changes.csv: columns in docs/FORMATS.md. */
void loom_contrast_places_table(loom_csv_table *t, const loom_contrast *c);
void loom_contrast_changes_table(loom_csv_table *t, const loom_contrast *c);
/* The first `most` places for a terminal. */
void loom_contrast_text(loom_buf *into, const loom_contrast *c, int64_t most);
void loom_contrast_page(loom_buf *html, const loom_contrast *c, const loom_contrast_conf *conf, const char *before,
                        const char *after);

#endif

/* Which microservices generated graphs may call: those of a file, those that the model carries, or any.
 *
 *   loom_naming n = {0};
 *   LOOM_TRY(loom_naming_open(&n, conf->names, model_names, len, full, err));
 *   LOOM_TRY(loom_naming_ask(&n, prompts, n_prompts, err));
 *   ... n.allowed (full constraint), n.known (judging), n.model ...
 *   loom_naming_release(&n); */
#ifndef LOOM_INFER_NAMING_H
#define LOOM_INFER_NAMING_H

#include "infer/loop/generate.h"

typedef struct loom_naming {
    loom_names model, file;    /* sorted; `model` is empty when it carries none */
    const loom_names *allowed; /* NULL: any */
    const loom_names *known;   /* NULL: any will do */
} loom_naming;                 /* not to be moved once opened */

/* `option`: NULL (those of the model), "any", or a file. `text`: what the model carries; NULL: nothing. */
loom_status loom_naming_open(loom_naming *n, const char *option, const char *text, size_t len, bool full,
                             loom_err *err);
/* Microservices that a prompt itself asks for ("Include an edge from ...") may be called too, unless a file says which
 * are allowed. */
loom_status loom_naming_ask(loom_naming *n, const loom_gen_prompt *prompts, int64_t n_prompts, loom_err *err);
bool loom_naming_is_file(const char *option);
void loom_naming_release(loom_naming *n);

#endif

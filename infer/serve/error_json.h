/* What is answered with any status but 200, in the shape of OpenAI's errors. */
#ifndef LOOM_INFER_ERROR_JSON_H
#define LOOM_INFER_ERROR_JSON_H

#include "core/buf.h"

/* Appends {"error": {"message": ..., "type": ..., "param": null, "code": null}} and LF; the type follows from `status`. */
void loom_error_json(loom_buf *into, int status, const char *sentence);

#endif

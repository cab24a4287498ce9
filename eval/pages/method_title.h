/* How methods are called in pictures and pages. */
#ifndef LOOM_EVAL_METHOD_TITLE_H
#define LOOM_EVAL_METHOD_TITLE_H

/* "Recursive (layer by layer)" for "recursive"; other names stand as they are. */
const char *loom_method_title(const char *method);

#endif

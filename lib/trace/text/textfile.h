/* Files of encoded text, cut into samples (docs/FORMATS.md, encoded text).
 *
 * Tabular and recursive: a sample runs from one [GENERATE GRAPH] to the next, trailing white space removed.
 * Instruction: from one line "### Question: " to the next; " ### Finish" is part of the sample where it is there.
 * The last sample counts like any other.
 *
 *   loom_textfile *f = NULL;
 *   LOOM_TRY(loom_textfile_open(&f, path, err));
 *   loom_textfile_sample s;
 *   while ((st = loom_textfile_next(f, &s, err)) == LOOM_OK && s.text) use(s.text, s.len, s.answer);
 *   loom_textfile_close(&f);
 */
#ifndef LOOM_TRACE_TEXT_TEXTFILE_H
#define LOOM_TRACE_TEXT_TEXTFILE_H

#include "trace/text/grammar.h"

typedef struct loom_textfile_sample {
    const char *text; /* NULL at the end; borrowed until the next call; NUL-terminated */
    size_t len;
    size_t answer;  /* instruction: offset of the first byte after " ### Answer:"; its loss counts. 0: all counts */
    int64_t line;   /* of the file, from 1 */
    loom_mode mode; /* instruction by its first line; recursive by <layer> or <split> after the attributes */
} loom_textfile_sample;

typedef struct loom_textfile loom_textfile;
loom_status loom_textfile_open(loom_textfile **out, const char *path, loom_err *err); /* any container, "-" = stdin */
/* Text before the first sample start is a FORMAT error (white space excepted), so is a sample over 256 MiB. */
loom_status loom_textfile_next(loom_textfile *f, loom_textfile_sample *out, loom_err *err);
void loom_textfile_close(loom_textfile **f);
/* All samples of a file, in order. What is wrong with the file itself is told with its path; fn names it where it wants
 * to. INTERRUPT when asked to stop. */
typedef loom_status loom_textfile_fn(void *arg, const loom_textfile_sample *s, loom_err *err);
loom_status loom_textfile_each(const char *path, loom_textfile_fn *fn, void *arg, loom_err *err);

/* The same cut for text in memory: length of the sample that starts at text[0]; start of the next = *next. */
size_t loom_sample_length(const char *text, size_t len, size_t *next);
/* The first layer of one recursive sample: its attributes to </layer> or </split>, without line end; layers that follow
 * begin at *next. Without an end the rest is the layer. */
size_t loom_sample_layer(const char *text, size_t len, size_t *next);
/* Offset after " ### Answer:" of one instruction sample (the blank and LF after it count as answer), 0 when absent. */
size_t loom_sample_answer(const char *text, size_t len);

#endif

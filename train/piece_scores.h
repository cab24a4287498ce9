/* Scores of a vocabulary's pieces from SentencePiece's tokenizer.model (protocol buffers), beside tokenizer.json. */
#ifndef LOOM_TRAIN_PIECE_SCORES_H
#define LOOM_TRAIN_PIECE_SCORES_H

#include "core/buf.h"
#include "tokenizer/tokenizer.h"

/* Fills the scores of all ids from DIR/tokenizer.model; *found is false, and nothing is filled, when DIR is no
 * folder or has none. FORMAT when the file is damaged or lacks a piece of the tokenizer that is not special. */
loom_status loom_piece_scores_read(float *scores, bool *found, const loom_tokenizer *tok, const char *dir,
                                   loom_err *err);

#endif

/* Hyper-parameters of a Llama and Hugging Face's config.json.
 *
 *   loom_config c;
 *   LOOM_TRY(loom_config_read(&c, "model/config.json", err));
 *   printf("%" PRId64 " parameters\n", loom_config_params(&c));
 *
 * Size letters, the same in every header, formula and document of the model:
 *
 *   B batch (sequences)     T positions of a sequence   N rows = tokens of a batch, all sequences one after the other
 *   C width                 L layers                    H query heads    K key/value heads (K divides H)
 *   D size of a head        F feed-forward width        V vocabulary     R rank of a LoRA adapter
 *   Q = H*D width of all queries,  E = K*D width of all keys (or values)
 */
#ifndef LOOM_MODEL_CONFIG_H
#define LOOM_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/json.h"

#define LOOM_MAX_EOS 8

typedef enum loom_rope_kind { LOOM_ROPE_DEFAULT, LOOM_ROPE_LINEAR, LOOM_ROPE_LLAMA3 } loom_rope_kind;

typedef struct loom_config {
    int64_t C, L, H, K, D, F, V;
    int64_t max_positions; /* longest sequence the model is meant for; the rotary tables are this long */
    double rms_eps;        /* epsilon of the norms */
    double init_range;     /* standard deviation of fresh weights */
    bool tied;             /* the output matrix is the embedding matrix */
    double rope_theta;
    loom_rope_kind rope_kind;
    double rope_factor;         /* linear, llama3 */
    double rope_low, rope_high; /* llama3: low_freq_factor, high_freq_factor */
    int64_t rope_old_positions; /* llama3: original_max_position_embeddings */
    int64_t bos_id, pad_id;     /* -1: none */
    int64_t eos_ids[LOOM_MAX_EOS];
    int n_eos;
} loom_config;

/* Fills everything but the sizes with Llama-2's values (eps 1e-5, theta 10000, bos 1, eos 2, init 0.02, untied,
 * 2048 positions); sizes become 0 and must be set. D = 0 and K = 0 mean C / H and H: loom_config_check puts them in. */
void loom_config_default(loom_config *c);

/* Puts the derived sizes in and refuses what cannot be a model (ARG, names key and value). */
loom_status loom_config_check(loom_config *c, loom_err *err);

/* Reads Hugging Face's config.json, the spellings of Transformers 4 and 5, and checks it (FORMAT). */
loom_status loom_config_read(loom_config *out, const char *path, loom_err *err);
loom_status loom_config_from_json(loom_config *out, const loom_json *root, loom_err *err);

/* Appends config.json in the spelling of Transformers 4; `dtype` is the stored type, "float32" or "bfloat16". */
void loom_config_write(const loom_config *c, const char *dtype, loom_buf *into);

bool loom_config_is_eos(const loom_config *c, int64_t token);
int64_t loom_config_params(const loom_config *c); /* number of weights, tied ones once */

/* Floating-point operations of forward + backward for one token at context length T (2 a multiply-add, causal mask
 * counted half): 6 * matrix weights + 6 * L * Q * T. The measure of "model FLOP/s". */
double loom_config_flops(const loom_config *c, int64_t T);

/* Fills f[0..D/2): rotation per position in radians of each pair, docs/MATH.md section 4. */
void loom_rope_frequencies(double *f, const loom_config *c);

#endif

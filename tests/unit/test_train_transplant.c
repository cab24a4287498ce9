/* A base model with other names: what is copied, what is drawn and how, what is refused. */
#include "train/transplant.h"

#include "core/num.h"
#include "core/rng.h"
#include "store/shard.h"
#include "test.h"
#include "tokenizer/tokformat.h"
#include "tokenizer/toktrain.h"

enum { C = 8 };
#define EMBED "model.embed_tokens.weight"
#define HEAD  "lm_head.weight"

static const char usual_phrases[] = "[GENERATE GRAPH]id:0/latency:0\n(type is rpc)\n";

/* tokenizer.json with the names first..last of each kind. */
static void make_tokenizer(loom_buf *json, const char *phrases, int microservices, int services, int first)
{
    loom_toktrain *t = NULL;
    loom_toktrain_conf conf = {.name_tokens = 1000, .min_count = 1};
    loom_buf text = {0};
    loom_err err = {0};

    loom_buf_str(&text, "rpc");
    for (int i = 0; i < microservices; i++) loom_buf_printf(&text, ",MS_%05d", first + i);
    for (int i = 0; i < services; i++) loom_buf_printf(&text, ",S_%09d", first + i);
    loom_buf_reset(json);
    REQUIRE_OK(loom_toktrain_new(&t, phrases, strlen(phrases), 1, &err), err);
    loom_toktrain_count(t, 0, 0, text.data, text.len);
    REQUIRE_OK(loom_toktrain_finish(json, NULL, t, &conf, &err), err);
    loom_toktrain_free(t);
    loom_buf_release(&text);
}

static int64_t id_of(const loom_model_files *b, const char *name)
{
    loom_tokenizer *tok = NULL;
    loom_err err = {0};
    int64_t id = -1;

    if (loom_tokenizer_parse(&tok, b->tokenizer, b->tokenizer_len, "it", &err) == LOOM_OK)
        id = loom_tokenizer_find(tok, name, strlen(name));
    loom_tokenizer_free(tok);
    return id;
}

static float *row(const loom_model_files *b, const char *tensor, int64_t id)
{
    return b->model->params + loom_tensors_find(&b->model->table, tensor)->offset + id * C;
}

/* A base of random weights: names of microservices around -5, of services around 5; the head of a name is twice its
 * embedding. */
static void make_base(loom_model_files *b, bool tied, int microservices, int services)
{
    loom_config c;
    loom_buf json = {0};
    loom_err err = {0};

    *b = (loom_model_files){.step = -1};
    make_tokenizer(&json, usual_phrases, microservices, services, 0);
    b->path = strdup("the base");
    b->tokenizer = json.data;
    b->tokenizer_len = json.len;
    loom_text_digest(b->tokenizer_digest, json.data, json.len);
    loom_tokenizer *tok = NULL;
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "base", &err), err);
    loom_config_default(&c);
    c.C = C;
    c.L = 1;
    c.H = 2;
    c.K = 2;
    c.F = 16;
    c.V = loom_tokenizer_vocab_size(tok);
    c.max_positions = 16;
    c.tied = tied;
    REQUIRE_OK(loom_config_check(&c, &err), err);
    REQUIRE_OK(loom_llama_new(&b->model, &c, &err), err);
    loom_llama_init(b->model, 5);
    for (int64_t id = loom_tokenizer_format_size(tok); id < c.V; id++)
        for (int i = 0; i < C; i++) {
            float *x = &row(b, EMBED, id)[i];
            *x += loom_tokenizer_name_kind(tok, (int32_t)id) == LOOM_TOK_NAME_SERVICE ? 5 : -5;
            if (!tied) row(b, HEAD, id)[i] = 2 * *x;
        }
    loom_tokenizer_free(tok);
}

static loom_status give(loom_model_files *b, loom_transplant_report *r, const loom_buf *json, uint64_t seed,
                        loom_err *err)
{
    return loom_transplant(b, r, json->data, json->len, "the shard", seed, err);
}

TEST(copies_and_draws)
{
    for (int tied = 0; tied < 2; tied++) {
        loom_model_files base, b;
        loom_transplant_report r;
        loom_buf json = {0};
        loom_err err = {0};
        make_base(&base, tied, 60, 40);
        make_base(&b, tied, 60, 40);
        make_tokenizer(&json, usual_phrases, 7, 3, 20);
        REQUIRE_OK(give(&b, &r, &json, 1, &err), err);
        CHECK(!r.same && r.microservices == 7 && r.services == 3);
        CHECK_I64(b.model->config.V, r.shared + 10);
        CHECK_STR(b.tokenizer, loom_buf_text(&json));
        for (int64_t i = 0; i < b.model->table.n; i++) {
            const loom_tensor *t = &b.model->table.tensors[i], *f = loom_tensors_find(&base.model->table, t->name);
            size_t n = strcmp(t->name, EMBED) != 0 && strcmp(t->name, HEAD) != 0 ? t->count : (size_t)r.shared * C;
            CHECK(memcmp(b.model->params + t->offset, base.model->params + f->offset, n * sizeof(float)) == 0);
        }
        int64_t ms = id_of(&b, "MS_00022"), s = id_of(&b, "S_000000022");
        CHECK(ms >= r.shared && s >= r.shared);
        CHECK(memcmp(row(&b, EMBED, ms), row(&base, EMBED, id_of(&base, "MS_00022")), C * sizeof(float)) != 0);
        for (int i = 0; i < C; i++) { /* each like its kind; the head still follows from the embedding */
            CHECK_NEAR(row(&b, EMBED, ms)[i], -5, 0.5);
            CHECK_NEAR(row(&b, EMBED, s)[i], 5, 0.5);
            if (!tied) CHECK_NEAR(row(&b, HEAD, s)[i], 2 * row(&b, EMBED, s)[i], 1e-3);
        }
        loom_model_files_release(&base);
        loom_model_files_release(&b);
        loom_buf_release(&json);
    }
}

/* Another vocabulary around it, and another place in it, change nothing of a name's row; another seed does. */
TEST(a_row_hangs_on_seed_and_name)
{
    loom_model_files b[3];
    loom_transplant_report r;
    loom_buf json = {0};
    loom_err err = {0};
    const float *rows[3];
    for (int i = 0; i < 3; i++) {
        make_base(&b[i], true, 60, 40);
        make_tokenizer(&json, usual_phrases, i == 1 ? 90 : 7, 2 + i, i == 1 ? 0 : 20);
        REQUIRE_OK(give(&b[i], &r, &json, i == 2 ? 2 : 1, &err), err);
        rows[i] = row(&b[i], EMBED, id_of(&b[i], "MS_00021"));
    }
    CHECK(id_of(&b[0], "MS_00021") != id_of(&b[1], "MS_00021"));
    CHECK(memcmp(rows[0], rows[1], C * sizeof(float)) == 0);
    CHECK(memcmp(rows[0], rows[2], C * sizeof(float)) != 0);
    for (int i = 0; i < 3; i++) loom_model_files_release(&b[i]);
    loom_buf_release(&json);
}

/* Nine rows of a kind are enough for eight numbers, eight are not: then all names count. */
TEST(too_few_of_a_kind)
{
    for (int services = C; services <= C + 1; services++) {
        loom_model_files b;
        loom_transplant_report r;
        loom_buf json = {0};
        loom_err err = {0};
        double sum = 0;
        make_base(&b, true, 60, services);
        make_tokenizer(&json, usual_phrases, 0, 200, 20);
        REQUIRE_OK(give(&b, &r, &json, 1, &err), err);
        for (int64_t id = r.shared; id < b.model->config.V; id++) sum += row(&b, EMBED, id)[0] / 200;
        CHECK_NEAR(sum, services > C ? 5 : -5 + 10.0 * services / (60 + services), 0.8);
        loom_model_files_release(&b);
        loom_buf_release(&json);
    }
}

TEST(what_needs_no_change_and_what_cannot)
{
    loom_model_files b;
    loom_transplant_report r;
    loom_buf json = {0};
    loom_err err = {0};
    make_base(&b, true, 20, 20);
    const loom_llama *before = b.model;
    make_tokenizer(&json, usual_phrases, 20, 20, 0);
    REQUIRE_OK(give(&b, &r, &json, 1, &err), err);
    CHECK(r.same && b.model == before);
    make_tokenizer(&json, "[GENERATE GRAPH]id:0/latenz:0\n(type is rpc)\n", 7, 3, 20);
    CHECK(give(&b, &r, &json, 1, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "token 264 is \"latency:\" in the base, but \"latenz:\" in the shard"));
    make_tokenizer(&json, "[GENERATE GRAPH]id:0/latency:0\n(type is rpc)\nmc\n", 7, 3, 20);
    CHECK(give(&b, &r, &json, 1, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "is \"nothing\" in the base, but \"mc\" in the shard"));
    loom_buf_reset(&json);
    loom_buf_str(&json, "{}");
    CHECK(give(&b, &r, &json, 1, &err) == LOOM_STATUS_FORMAT);
    CHECK(b.model == before);
    loom_model_files_release(&b);

    make_base(&b, true, 0, 0);
    make_tokenizer(&json, usual_phrases, 7, 3, 20);
    CHECK(give(&b, &r, &json, 1, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "has no names"));
    loom_model_files_release(&b);
    loom_buf_release(&json);
}

TEST_MAIN(RUN(copies_and_draws) RUN(a_row_hangs_on_seed_and_name) RUN(too_few_of_a_kind)
              RUN(what_needs_no_change_and_what_cannot))

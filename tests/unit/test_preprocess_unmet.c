/* Requests that the answer does not meet: that nothing else changes, that each kind comes up, and that no answer does
 * what it is now asked for. Whole texts: cli/test_preprocess_balance; what training makes of them:
 * test_train_allowed. */
#include "preprocess/texts/unmet.h"

#include "test.h"
#include "trace/graph/record.h"
#include "trace/text/encode.h"
#include "trace/text/parse.h"
#include "trace/text/textfile.h"

enum { SAMPLES = 16 };

static const char *const records[] = {
    "00h00m00s000ms S_000000011 "
    "0|http|USER|MS_00001|ARRIVED_0|RT_31||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_20||0.1.1|db|"
    "MS_00002|MS_00009|ARRIVED_4|RT_3||0.1.2|mc|MS_00002|MS_00008|ARRIVED_9|RT_1",
    "00h00m00s000ms S_000000012 "
    "0|rpc|USER|MS_00003|ARRIVED_0|RT_9||0.1|rpc|MS_00003|MS_00001|ARRIVED_1|RT_5||0.1.1|mc|MS_00001|"
    "MS_00007|ARRIVED_2|RT_2",
};

typedef struct bed {
    loom_buf texts;
    const char *at[SAMPLES];
    size_t len[SAMPLES], answer[SAMPLES];
    int n;
    loom_unmet unmet;
    loom_arena arena;
} bed;

static void add_texts(bed *b, const char *record)
{
    loom_arena a = {0};
    loom_graph g;
    loom_verdict why;
    loom_rng rng;
    loom_err err;
    loom_buf one = {0};

    loom_rng_seed(&rng, 1, "texts", 0);
    REQUIRE(loom_record_read(&g, &why, record, strlen(record), &a));
    loom_encode_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .policy = LOOM_DRAW_ALL};
    REQUIRE_OK(loom_encode_graph(&one, &g, &(loom_facts){0}, &conf, &rng, &b->arena, &err), err);
    loom_buf_append(&b->texts, one.data, one.len);
    loom_buf_release(&one);
    loom_arena_release(&a);
}

static void open_bed(bed *b, int n_records)
{
    static const char end[] = LOOM_TEXT_FINISH "\n";

    *b = (bed){.unmet.seed = 3};
    for (int i = 0; i < n_records; i++) add_texts(b, records[i]);
    for (const char *at = loom_buf_text(&b->texts), *to; (to = strstr(at, end)) && b->n < SAMPLES; b->n++) {
        b->at[b->n] = at;
        b->len[b->n] = (size_t)(to - at) + strlen(end) - 1;
        b->answer[b->n] = loom_sample_answer(at, b->len[b->n]);
        CHECK(loom_unmet_add(&b->unmet, at, b->len[b->n], b->answer[b->n]));
        at = to + strlen(end);
    }
}

static void close_bed(bed *b)
{
    loom_unmet_release(&b->unmet);
    loom_arena_release(&b->arena);
    loom_buf_release(&b->texts);
}

/* Sample i with another request; NULL: it has no place for one. */
static const char *other(bed *b, int i, uint64_t number)
{
    bool done = loom_unmet_sample(&b->unmet, b->at[i], b->len[i], b->answer[i], number);

    CHECK(done == (b->unmet.text.len > 0));
    return done ? loom_buf_text(&b->unmet.text) : NULL;
}

/* The text is the sample and one line. */
static void check_line(const bed *b, int i, const char *text)
{
    const char *line = strstr(text, LOOM_TEXT_INCLUDE), *end = line ? strchr(line, '\n') : NULL;

    REQUIRE(end && !strstr(end, LOOM_TEXT_INCLUDE) && line[-1] == '\n');
    size_t before = (size_t)(line - text), more = (size_t)(end + 1 - line);
    CHECK_I64(b->unmet.text.len, b->len[i] + more);
    CHECK(before < b->answer[i] && memcmp(text, b->at[i], before) == 0);
    CHECK(memcmp(end + 1, b->at[i] + before, b->len[i] - before) == 0);
}

static bool has_call(const loom_parsed *p, const loom_line *line)
{
    for (int32_t e = 0; e < p->n_edges; e++)
        if (strcmp(p->edges[e].destination, line->name[1]) == 0 && strcmp(p->edges[e].type, line->name[2]) == 0)
            return true;
    return false;
}

/* 'o', 'w' or 'r': what the answer does not do; 'b': what it leaves to the layer below. */
static char kind_of(const bed *b, int i, const char *text)
{
    loom_arena arena = {0};
    loom_parsed p;
    loom_line line;
    const char *at = strstr(text, LOOM_TEXT_INCLUDE);
    char kind = 0;

    CHECK(loom_line_match(&line, LOOM_LINE_INCLUDE, at, (size_t)(strchr(at, '\n') - at), &arena));
    loom_parse_answer(&p, LOOM_MODE_INSTRUCTION, b->at[i], b->answer[i], b->at[i] + b->answer[i],
                      b->len[i] - b->answer[i] - strlen(LOOM_TEXT_FINISH), &arena);
    if (strcmp(line.name[0], p.req.start_node) == 0) {
        kind = has_call(&p, &line) ? 0 : 'o';
    } else if (p.n_subs == 1 && strcmp(p.subs[0].attrs.start_node, line.name[0]) == 0) {
        const loom_attrs *sub = &p.subs[0].attrs;
        bool ends = strcmp(line.name[2], "mc") == 0 || strcmp(line.name[2], "db") == 0;
        bool room = sub->num_current_edges > sub->num_subgraphs;
        kind = room && !has_call(&p, &line) ? 'b' : ends && !room ? 'r' : 0;
    } else if (p.req.remaining_depth == 1) {
        kind = 'w';
    }
    loom_arena_release(&arena);
    return kind;
}

TEST(each_kind)
{
    bed b;
    int seen[128] = {0};

    open_bed(&b, 2);
    CHECK_I64(b.n, 6);
    CHECK_I64(b.unmet.calls.n, 5);
    for (int i = 0; i < b.n; i++)
        for (uint64_t number = 0; number < 100; number++) {
            const char *text = other(&b, i, number);
            if (!text) continue;
            check_line(&b, i, text);
            seen[(int)kind_of(&b, i, text)]++;
        }
    CHECK_I64(seen[0], 0);
    CHECK(seen['o'] > 30 && seen['w'] > 30 && seen['r'] > 30 && seen['b'] > 30);
    close_bed(&b);
}

/* The old request goes, the answer's place stays known. */
TEST(another_request_instead_of_the_old_one)
{
    static const char old[] = LOOM_TEXT_INCLUDE " MS_00001 to MS_00002 with rpc type\n";
    bed b;
    loom_buf text = {0};

    open_bed(&b, 2);
    const char *at = strstr(b.at[1], LOOM_TEXT_CONDITIONS "\n") + strlen(LOOM_TEXT_CONDITIONS "\n");
    size_t head = (size_t)(at - b.at[1]), more = strlen(old), changed = 0;
    loom_buf_append(&text, b.at[1], head);
    loom_buf_str(&text, old);
    loom_buf_append(&text, at, b.len[1] - head);
    for (uint64_t number = 0; number < 40; number++) {
        if (!loom_unmet_sample(&b.unmet, text.data, text.len, b.answer[1] + more, number)) continue;
        changed++;
        const char *line = strstr(loom_buf_text(&b.unmet.text), LOOM_TEXT_INCLUDE);
        CHECK(line == b.unmet.text.data + head && strncmp(line, old, more) != 0);
        CHECK(!strstr(line + 1, LOOM_TEXT_INCLUDE));
    }
    CHECK(changed > 30);
    loom_buf_release(&text);
    close_bed(&b);
}

TEST(samples_that_stay)
{
    static const char *const texts[] = {"", "nothing", "Conditions:\n\n ### Answer: \n<layer>"};
    loom_unmet u = {.seed = 1};
    bed b;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK(loom_unmet_add(&u, texts[i], strlen(texts[i]), strlen(texts[i]) / 2));
        CHECK(!loom_unmet_sample(&u, texts[i], strlen(texts[i]), strlen(texts[i]) / 2, 0));
    }
    open_bed(&b, 1);
    CHECK(!loom_unmet_sample(&u, b.at[1], b.len[1], b.answer[1], 0)); /* no call is known */
    loom_unmet_release(&u);
    close_bed(&b);
}

TEST_MAIN(RUN(each_kind) RUN(another_request_instead_of_the_old_one) RUN(samples_that_stay))

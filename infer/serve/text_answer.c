#include "infer/serve/text_answer.h"

#include "core/utf8.h"

static const char *finish_reason(const loom_job *job) { return job->stop == LOOM_STOP_LENGTH ? "length" : "stop"; }

static void token_text(loom_buf *into, const loom_text_answer *a, int32_t id)
{
    size_t len = 0;
    const char *bytes = loom_tokenizer_bytes(a->task->at->model->tok, id, &len);

    loom_buf_reset(into);
    loom_buf_append(into, bytes, len);
    loom_utf8_mend(into->data, into->len);
}

static int64_t characters(const loom_buf *text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text->len; i++) n += (text->data[i] & 0xc0) != 0x80;
    return n;
}

static void write_top(loom_jw *w, const loom_text_answer *a, const loom_job *job, size_t at, loom_buf *piece)
{
    loom_jw_begin_object(w);
    for (int64_t k = 0; k < job->n_top; k++) {
        size_t i = at * (size_t)job->n_top + (size_t)k;
        token_text(piece, a, job->top_ids[i]);
        bool twice = false; /* two tokens may read alike, and a key stands once */
        for (int64_t before = 0; before < k && !twice; before++) {
            size_t n = 0, m = 0;
            const loom_tokenizer *tok = a->task->at->model->tok;
            const char *x = loom_tokenizer_bytes(tok, job->top_ids[i], &n);
            const char *y = loom_tokenizer_bytes(tok, job->top_ids[i - (size_t)(k - before)], &m);
            twice = n == m && memcmp(x, y, n) == 0;
        }
        if (!twice) loom_jw_kv_f64(w, loom_buf_text(piece), (double)job->top_logprobs[i]);
    }
    loom_jw_end_object(w);
}

/* Tokens from t->sent_ids on. */
static void write_logprobs(loom_jw *w, const loom_text_answer *a, loom_text_choice *t)
{
    const loom_job *job = &t->job;
    loom_buf piece = {0};

    loom_jw_begin_object(w);
    loom_jw_key(w, "tokens");
    loom_jw_begin_array(w);
    for (size_t i = t->sent_ids; i < job->n_ids; i++) {
        token_text(&piece, a, job->ids[i]);
        loom_jw_str(w, loom_buf_text(&piece));
    }
    loom_jw_end_array(w);
    loom_jw_key(w, "token_logprobs");
    loom_jw_begin_array(w);
    for (size_t i = t->sent_ids; i < job->n_ids; i++) loom_jw_f64(w, (double)job->logprobs[i]);
    loom_jw_end_array(w);
    loom_jw_key(w, "top_logprobs");
    if (job->n_top > 0) {
        loom_jw_begin_array(w);
        for (size_t i = t->sent_ids; i < job->n_ids; i++) write_top(w, a, job, i, &piece);
        loom_jw_end_array(w);
    } else {
        loom_jw_null(w);
    }
    loom_jw_key(w, "text_offset");
    loom_jw_begin_array(w);
    for (; t->sent_ids < job->n_ids; t->sent_ids++) {
        token_text(&piece, a, job->ids[t->sent_ids]);
        loom_jw_i64(w, t->offset);
        t->offset += characters(&piece);
    }
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_buf_release(&piece);
}

/* Text [from, to) of a choice, with the prompt in front of it where it begins and the request wants that. */
static void write_text(loom_jw *w, const loom_text_answer *a, size_t index, size_t from, size_t to)
{
    const loom_text_prompt *p = &a->ask->prompts[index / (size_t)a->ask->n];
    const loom_job *job = &a->texts[index].job;
    loom_buf text = {0};

    if (a->ask->echo && from == 0) loom_buf_append(&text, p->text, p->len);
    loom_buf_append(&text, loom_buf_text(&job->text) + from, to - from);
    loom_utf8_mend(text.data, text.len);
    loom_jw_strn(w, loom_buf_text(&text), text.len);
    loom_buf_release(&text);
}

static void write_usage(loom_jw *w, const loom_text_answer *a)
{
    int64_t prompt = 0, completion = 0;

    for (size_t i = 0; i < a->n; i++) {
        if (i % (size_t)a->ask->n == 0) prompt += a->texts[i].job.n_prompt;
        completion += a->texts[i].job.n_tokens;
    }
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "prompt_tokens", prompt);
    loom_jw_kv_i64(w, "completion_tokens", completion);
    loom_jw_kv_i64(w, "total_tokens", prompt + completion);
    loom_jw_end_object(w);
}

static void write_choice(loom_jw *w, loom_text_answer *a, size_t index, size_t from, size_t to, bool last)
{
    loom_text_choice *t = &a->texts[index];

    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "index", (int64_t)index);
    loom_jw_key(w, "text");
    write_text(w, a, index, from, to);
    loom_jw_key(w, "logprobs");
    if (a->ask->logprobs >= 0) write_logprobs(w, a, t);
    else loom_jw_null(w);
    loom_jw_key(w, "finish_reason");
    if (last) loom_jw_str(w, finish_reason(&t->job));
    else loom_jw_null(w);
    loom_jw_end_object(w);
}

static void begin_completion(loom_jw *w, loom_buf *into, const loom_text_answer *a)
{
    loom_jw_init(w, into, false);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "id", a->id);
    loom_jw_kv_str(w, "object", "text_completion");
    loom_jw_kv_i64(w, "created", a->created);
    loom_jw_kv_str(w, "model", a->task->at->name);
    loom_jw_key(w, "choices");
    loom_jw_begin_array(w);
}

/* ---- /generate ---- */

static size_t whole_length(const loom_text_answer *a, const loom_text_choice *t);

/* {"text": [...]}: every text as far as it is, as vLLM writes it. */
static void write_texts(loom_buf *into, const loom_text_answer *a)
{
    loom_jw w;

    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "text");
    loom_jw_begin_array(&w);
    for (size_t i = 0; i < a->n; i++) write_text(&w, a, i, 0, whole_length(a, &a->texts[i]));
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- whole ---- */

void loom_text_answer_whole(loom_buf *into, loom_text_answer *a)
{
    loom_jw w;

    if (!a->ask->openai) {
        write_texts(into, a);
        return;
    }
    begin_completion(&w, into, a);
    for (size_t i = 0; i < a->n; i++) write_choice(&w, a, i, 0, a->texts[i].job.text.len, true);
    loom_jw_end_array(&w);
    loom_jw_key(&w, "usage");
    write_usage(&w, a);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- pieces ---- */

/* Bytes of a text that will not change any more: what may be the beginning of a stop string waits, and so does a
 * character that is not whole. */
static size_t whole_length(const loom_text_answer *a, const loom_text_choice *t)
{
    const loom_buf *text = &t->job.text;
    size_t hold = a->ask->longest_stop ? a->ask->longest_stop - 1 : 0;

    if (t->ended) return text->len;
    size_t end = text->len > hold ? text->len - hold : 0;
    if (end < t->sent) return t->sent;
    for (size_t back = 1; back <= 3 && back <= end - t->sent; back++) {
        unsigned char c = (unsigned char)text->data[end - back];
        size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if ((c & 0xc0) == 0x80) continue;
        return need > back ? end - back : end;
    }
    return end;
}

static void write_event(loom_buf *into, loom_text_answer *a, size_t index, size_t to)
{
    loom_text_choice *t = &a->texts[index];
    loom_jw w;

    loom_buf_str(into, "data: ");
    begin_completion(&w, into, a);
    write_choice(&w, a, index, t->sent, to, t->ended);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_str(into, "\n\n");
}

void loom_text_answer_more(loom_buf *into, loom_text_answer *a)
{
    bool any = false;

    for (size_t i = 0; i < a->n; i++) {
        loom_text_choice *t = &a->texts[i];
        size_t to = whole_length(a, t);
        if (t->finish_sent || (to == t->sent && !t->ended)) continue;
        if (a->ask->openai) write_event(into, a, i, to);
        any = true;
        t->sent = to;
        t->finish_sent = t->ended;
    }
    if (any && !a->ask->openai) write_texts(into, a);
}

void loom_text_answer_end(loom_buf *into, const loom_text_answer *a)
{
    loom_jw w;

    if (!a->ask->openai) return;
    if (a->ask->usage) {
        loom_buf_str(into, "data: ");
        begin_completion(&w, into, a);
        loom_jw_end_array(&w);
        loom_jw_key(&w, "usage");
        write_usage(&w, a);
        loom_jw_end_object(&w);
        loom_buf_str(into, "\n\n");
    }
    loom_buf_str(into, "data: [DONE]\n\n");
}

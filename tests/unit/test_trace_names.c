/* Names of a system: learned from text, as a text of their own, drawn from. */
#include <unistd.h>

#include "core/file.h"
#include "test.h"
#include "trace/text/names.h"

static void learn(loom_names *names, const char *sample)
{
    loom_err err;
    REQUIRE_OK(loom_names_learn(names, sample, strlen(sample), &err), err);
}

static void sort(loom_names *names)
{
    loom_err err;
    REQUIRE_OK(loom_names_sort(names, &err), err);
}

#define EDGE(to) "(type is rpc,destination is " to ",edge_id is 1)\n"
#define LAST(to) "(type is rpc,edge_id is 1,destination is " to ")\n"

TEST(names_come_from_text)
{
    loom_names names = {0};
    loom_buf text = {0};

    learn(&names,
          "[GENERATE GRAPH]latency:17/id:S_000000002\n<edges>\n" EDGE("MS_00002") LAST("MS_00010") "</edges>\n");
    learn(&names,
          "[GENERATE GRAPH]num_edges:2/id:S_000000001\n<layer>\n<edges>\n" EDGE("MS_00002") "</edges>\n</layer>\n");
    /* a layer further down names the graph's service again, and does not count */
    learn(&names, "id:S_000000001/caller:USER/num_edges:1\n<layer>\n<edges>\n" EDGE("cart") "</edges>\n</layer>\n");
    /* one that no user began is a first layer all the same */
    learn(&names,
          "### Question: You are.\nRequirements:\ncaller:None/id:S_000000001\nConditions:\ncopy start_node from edge 0 "
          "destination: MS_77777\n\n ### Answer: \n<layer>\n<edges>\n" EDGE("MS_00003") "</edges>\n</layer>\n");
    /* a downstream question: no requirements, and a hole */
    learn(&names,
          "### Question: Predict.\nid:S_9\n<edges>\n" EDGE("[MISSING]") EDGE("MS_00004") "</edges>\n ### Answer: x\n");
    sort(&names);
    CHECK_I64(names.n, 5);
    CHECK_I64(names.longest, 8);
    CHECK_STR(names.items[names.shortest], "cart");
    CHECK(loom_names_has(&names, "MS_00010") && !loom_names_has(&names, "MS_77777") &&
          !loom_names_has(&names, "[MISSING]"));
    loom_names_render(&text, &names);
    CHECK_STR(loom_buf_text(&text), "spanloom-names 1\nmicroservices 5\n0 MS_00002\n7 3\n7 4\n6 10\n0 cart\n"
                                    "services 2\n2 S_000000001\n1 S_000000002\n");
    loom_buf_release(&text);
    loom_names_release(&names);
}

TEST(a_text_reads_back_and_adds_up)
{
    loom_names a = {0}, b = {0};
    loom_buf one = {0}, two = {0};
    loom_err err;

    learn(&a, "[GENERATE GRAPH]id:S_000000002\n<edges>\n" EDGE("MS_00002") EDGE("MS_00003") "</edges>\n");
    sort(&a);
    loom_names_render(&one, &a);
    REQUIRE_OK(loom_names_parse(&b, one.data, one.len, "x", &err), err);
    sort(&b);
    loom_names_render(&two, &b);
    CHECK_STR(loom_buf_text(&two), loom_buf_text(&one));
    REQUIRE_OK(loom_names_parse(&b, one.data, one.len, "x", &err), err);
    sort(&b);
    loom_buf_reset(&two);
    loom_names_render(&two, &b);
    CHECK_STR(loom_buf_text(&two), "spanloom-names 1\nmicroservices 2\n0 MS_00002\n7 3\nservices 1\n2 S_000000002\n");
    REQUIRE_OK(loom_names_parse(&b, "", 0, "x", &err), err); /* an older file */
    loom_names_release(&a);
    loom_names_release(&b);
    loom_buf_release(&one);
    loom_buf_release(&two);
}

/* Each text cut short or changed is told by its line, or is another good text; none is read beyond its end. */
TEST(damaged_texts_are_refused)
{
    static const char good[] = "spanloom-names 1\nmicroservices 2\n0 MS_00002\n7 3\nservices 1\n2 S_000000002\n";
    static const char *const bad[] = {"spanloom-names 2\n",
                                      "spanloom-names 1\nmicroservices 1\n1 MS_1\nservices 0\n",
                                      "spanloom-names 1\nmicroservices -1\nservices 0\n",
                                      "spanloom-names 1\nmicroservices 1\n0 \nservices 0\n",
                                      "spanloom-names 1\nmicroservices 1\n0 a b\nservices 0\n",
                                      "spanloom-names 1\nmicroservices 0\nservices 1\n9999999999999999999 S_1\n",
                                      "spanloom-names 1\nmicroservices 0\nservices 0\nmore\n"};
    loom_err err;

    for (size_t n = 1; n < sizeof good - 1; n++) {
        loom_names names = {0};
        char *copy = strndup(good, n); /* its end is the end of what may be read */
        CHECK(loom_names_parse(&names, copy, n, "x.h5", &err) == LOOM_STATUS_FORMAT);
        CHECK(strstr(err.msg, "x.h5:") != NULL);
        free(copy);
        loom_names_release(&names);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        loom_names names = {0};
        CHECK(loom_names_parse(&names, bad[i], strlen(bad[i]), "x", &err) == LOOM_STATUS_FORMAT);
        loom_names_release(&names);
    }
}

TEST(services_are_drawn_as_often_as_they_have_graphs)
{
    static const char text[] = "spanloom-names 1\nmicroservices 0\nservices 3\n1 S_1\n0 S_2\n3 S_3\n";
    loom_names names = {0}, none = {0};
    loom_rng rng;
    loom_err err;
    int64_t first = 0, never = 0, n = 4000;

    loom_rng_seed(&rng, 1, "test", 0);
    sort(&none);
    CHECK(loom_names_draw_service(&none, &rng) == NULL);
    REQUIRE_OK(loom_names_parse(&names, text, strlen(text), "x", &err), err);
    sort(&names);
    for (int64_t i = 0; i < n; i++) {
        const char *service = loom_names_draw_service(&names, &rng);
        first += strcmp(service, "S_1") == 0;
        never += strcmp(service, "S_2") == 0;
    }
    CHECK_I64(never, 0);
    CHECK(first > n / 4 - 120 && first < n / 4 + 120); /* four standard deviations */
    loom_names_release(&names);
    loom_names_release(&none);
}

/* Names from a list, or from records; what can stand in no text is refused by its name. */
TEST(names_come_from_files)
{
    static const struct {
        const char *text, *says;
        int64_t n;
    } cases[] = {
        {"MS_1\n\nMS_2\nMS_1\n", NULL, 2},
        {"00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_10||0.1|mc|MS_1|MS_2|ARRIVED_2|RT_1\nMS_9\n", NULL, 3},
        {"a line that is no record\nMS_1\n", NULL, 1},
        {"", "holds no names", 0},
        {"a line that is no record\n", "holds no names", 0},
        {"a,b\n", "the name \"a,b\" cannot stand in a text", 0},
        {"a##b\n", "the name \"a##b\" cannot stand in a text", 0},
        {"front:/cart\n", "rename it", 0}};
    char path[] = "/tmp/loom-names-XXXXXX";
    loom_rng rng;
    loom_err err = {0};
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    loom_rng_seed(&rng, 1, "names", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_names names = {0};
        REQUIRE_OK(loom_file_write(path, cases[i].text, strlen(cases[i].text), true, &err), err);
        CHECK_I64(loom_names_read(&names, path, &err), cases[i].says ? LOOM_STATUS_FORMAT : LOOM_OK);
        if (cases[i].says) CHECK(strstr(err.msg, cases[i].says) && strstr(err.msg, path));
        else CHECK_I64(names.n, cases[i].n);
        const char *service = cases[i].says ? NULL : loom_names_draw_service(&names, &rng);
        if (i == 1) CHECK_STR(service, "S_000000001");
        else CHECK(!service);
        loom_names_release(&names);
    }
    unlink(path);
    loom_names none = {0};
    CHECK_I64(loom_names_read(&none, path, &err), LOOM_STATUS_IO);
    loom_names_release(&none);
}

/* Samples that only look like texts teach nothing that is not there. */
TEST(samples_of_other_kinds)
{
    static const char *const samples[] = {"",
                                          "x",
                                          "(edge_id is 0, source is USER, destination is ",
                                          "(edge_id is 0, destination is [MISSING], x)\n",
                                          "(edge_id is 0, destination is a b, x)\n",
                                          "(edge_id is 0, destination is )\n"};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        loom_names names = {0};
        loom_err err = {0};
        CHECK_I64(loom_names_learn(&names, samples[i], strlen(samples[i]), &err), LOOM_OK);
        REQUIRE_OK(loom_names_sort(&names, &err), err);
        CHECK_I64(names.n, 0);
        CHECK(loom_names_begins_graph(samples[i], strlen(samples[i])));
        loom_names_release(&names);
    }
}

TEST_MAIN(RUN(names_come_from_files) RUN(samples_of_other_kinds) RUN(names_come_from_text)
              RUN(a_text_reads_back_and_adds_up) RUN(damaged_texts_are_refused)
                  RUN(services_are_drawn_as_often_as_they_have_graphs))

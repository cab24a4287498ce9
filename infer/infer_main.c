#include "core/ranks.h"
#include "infer/commands/infer_cmds.h"
#include "infer/push/http_post.h"
#include "infer/serve/http_server.h"
#include "model/blas.h"

int main(int argc, char **argv)
{
    loom_cmd cmds[] = {
        LOOM_CMD_GOAL("To generate"),
        loom_cmd_sample,
        loom_cmd_complete,
        loom_cmd_serve,
        LOOM_CMD_GOAL("To look at call graphs, or hand them on"),
        loom_cmd_show,
        loom_cmd_convert,
        loom_cmd_push,
        LOOM_CMD_GOAL("To measure"),
        loom_cmd_infer_bench,
        {.name = NULL},
    };

    loom_cli_add_version_line(loom_http_library() ? loom_http_library() : "without libmicrohttpd: no serve");
    loom_blas_start(argc, argv);
    loom_cli_add_version_line(loom_ranks_version());
    loom_cli_add_version_line(loom_http_post_library() ? loom_http_post_library() : "without libcurl: no push");
    return loom_cli_main("loom-infer", "generates call graphs and converts them for other tools", cmds, argc, argv);
}

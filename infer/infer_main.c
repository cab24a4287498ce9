#include "infer/infer_cmds.h"

int main(int argc, char **argv)
{
    static loom_cmd cmds[5];
    cmds[0] = loom_cmd_sample;
    cmds[1] = loom_cmd_complete;
    cmds[2] = loom_cmd_convert;
    cmds[3] = loom_cmd_show;
    return loom_cli_main("loom-infer", "generates call graphs and converts them for other tools", cmds, argc, argv);
}

/* Subcommands of loom-infer, one file each. */
#ifndef LOOM_INFER_CMDS_H
#define LOOM_INFER_CMDS_H

#include "core/cli.h"

extern const loom_cmd loom_cmd_sample;      /* call graphs from a model */
extern const loom_cmd loom_cmd_complete;    /* plain text completion */
extern const loom_cmd loom_cmd_convert;     /* call graphs <-> CSV, Jaeger, OTLP, DOT */
extern const loom_cmd loom_cmd_infer_bench; /* speed of generation */
extern const loom_cmd loom_cmd_serve;       /* texts and call graphs over HTTP */
extern const loom_cmd loom_cmd_push;        /* call graphs to an OpenTelemetry collector */
extern const loom_cmd loom_cmd_show;        /* call graphs as trees in the terminal */

#endif

/* Subcommands of loom-preprocess, one file each (cmd_<name>.c). */
#ifndef LOOM_PREPROCESS_COMMANDS_PREPROCESS_CMDS_H
#define LOOM_PREPROCESS_COMMANDS_PREPROCESS_CMDS_H

#include "core/cli.h"

extern const loom_cmd loom_cmd_sample_traces; /* synthetic CallGraph tables */
extern const loom_cmd loom_cmd_sample_jobs;   /* a synthetic table of batch jobs */
extern const loom_cmd loom_cmd_graphs;
extern const loom_cmd loom_cmd_jobs; /* batch jobs to call graphs */
extern const loom_cmd loom_cmd_anonymise;
extern const loom_cmd loom_cmd_canaries;  /* rows of CSV files to call graphs */
extern const loom_cmd loom_cmd_dedupe;    /* valid graphs, each once */
extern const loom_cmd loom_cmd_split;     /* training and validation graphs */
extern const loom_cmd loom_cmd_stats;     /* per-service statistics */
extern const loom_cmd loom_cmd_encode;    /* call graphs to training text */
extern const loom_cmd loom_cmd_balance;   /* training text with more of the rare shapes */
extern const loom_cmd loom_cmd_describe;  /* what is in a graph store: depths, edges, types, times */
extern const loom_cmd loom_cmd_tokenizer; /* learn the domain tokenizer from training text */
extern const loom_cmd loom_cmd_tokens;    /* training text to token shards */

#endif

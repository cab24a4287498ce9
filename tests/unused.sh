#!/usr/bin/env bash
# unused.sh [TREE]: every function that a header offers is called by the product. What only tests call gets a command or goes;
# what stays for tests alone stands below, with its reason.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
command -v cc >/dev/null || { echo "no compiler to take comments out with"; exit 77; }
kept() {
    cat <<'LIST'
loom_attention_bwd_plain      plain twin: what the kernel is held to
loom_attention_fwd_plain      plain twin
loom_loss_shape_row_plain     plain twin
loom_rmsnorm_bwd_plain        plain twin
loom_rmsnorm_fwd_plain        plain twin
loom_swiglu_bwd_plain         plain twin
loom_swiglu_fwd_plain         plain twin
loom_xent_plain               plain twin
loom_blas_use_plain           switches the products to their plain twins
loom_packed_product16_with    the same product on every unit that the CPU has
loom_adamw_step               one step as the reference makes it; the product runs its parts on the pool
loom_llama_logits             what golden logits are compared with
loom_llama_row_losses         the loss of each row, which the sum over a batch hides
loom_decode_len               what a test sees of a sequence
loom_sampling_check           bounds of options that commands check in their tables
loom_tensor_has_shape         a comparison for tests
loom_safetensors_metadata     what export writes there
loom_safetensors_open_bytes   a file in memory, for the fuzzer
loom_shard_commit             a shard with a meta text of the caller
loom_nomem_set                memory that is out
loom_stop_set                 a stop as if by a signal
loom_check_conditions         the rules of a layer one by one
loom_graph_equal              a comparison for tests
loom_outcome_accepts          what an outcome says of an answer
loom_record_explain_bad_edge  the sentence about one bad edge
loom_request_failures         what went wrong in a request, by layer
loom_stats_destinations       one field of the statistics
loom_summary_line             one line of a request
loom_trace_line               one line of a request
loom_text_parse               a text back to its graph
loom_tokenizer_decode         ids back to text
loom_tok_stream_start         the same piece by piece
loom_tok_stream_push          the same piece by piece
loom_graphs_format            the format of a file of graphs
loom_metrics_w1_cdf           a measure that a test holds to its formula
loom_tvae_scalar              what a value became, which the drawing of rows hides
loom_tvae_weights             weights set by a test, gradients read
loom_tree_vae_weights         the same
loom_tree_vae_split           which of them belong to which part
LIST
}
folders=(lib preprocess train infer eval)
stripped() { # files of one kind without comments
    find "${folders[@]}" -name "$1" -print0 2>/dev/null | xargs -0 cat | cc -fpreprocessed -dD -E -P -x c - 2>/dev/null
}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
stripped '*.h' >"$scratch/h"
stripped '*.c' >"$scratch/c"
grep -ohE '\bloom_[a-z0-9_]+ ?\(' "$scratch/h" | tr -d ' (' | sort -u >"$scratch/offered"
n=$(wc -l <"$scratch/offered")
[ "$n" -gt 0 ] || { echo "no functions found in ${folders[*]}"; exit 1; }
# a declaration, a definition and a call make three; what a header defines itself, two
cat "$scratch/h" "$scratch/c" | grep -ohE '\bloom_[a-z0-9_]+' | sort | uniq -c | awk '{ print $2, $1 }' | sort >"$scratch/counts"
{ tr '\n' ' ' <"$scratch/h" | grep -oE 'static inline [^;{]*\{' | grep -oE '\bloom_[a-z0-9_]+ ?\(' | head -n 10000
  grep -ohE '^ *# *define +loom_[a-z0-9_]+\(' "$scratch/h" | grep -oE 'loom_[a-z0-9_]+\('; } | tr -d ' (' | sort -u >"$scratch/inside"
bad=0
kept | awk '{ print $1 }' | sort -u >"$scratch/kept"
join "$scratch/offered" "$scratch/counts" | awk -v inside="$scratch/inside" -v kept="$scratch/kept" '
    BEGIN { while ((getline name <inside) > 0) has_body[name]; while ((getline name <kept) > 0) may_stay[name] }
    $2 < ($1 in has_body ? 2 : 3) && !($1 in may_stay) { print $1 " is called by nothing but tests; give it a command, or take it out"; bad = 1 }
    END { exit bad }' || bad=1
gone=$(comm -23 "$scratch/kept" "$scratch/offered")
[ -z "$gone" ] || { echo "on the list of $0 and no longer there: $gone"; bad=1; }
[ $bad = 1 ] || echo "$n functions, each called"
exit $bad

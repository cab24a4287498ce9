// llama_cpp.mjs PACKAGE MODEL.gguf EXPECTED.jsonl [ADAPTER.gguf]: reads MODEL with llama.cpp and compares with what
// tests/tools/token_logprobs wrote: tokens of every text, log-probabilities and greedy tokens of every prompt. Prints one
// line of JSON; the caller judges it. PACKAGE: the folder of node-llama-cpp.
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [packageFolder, modelPath, expectedPath, adapter] = process.argv.slice(2);
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(packageFolder + "/dist/index.js").href);
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const context = await model.createContext({contextSize: 512, batchSize: 512, threads: 1, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
    ...(adapter ? {lora: {adapters: [{filePath: adapter}]}} : {})});
const sequence = context.getSequence();
const found = {texts: 0, same_tokens: 0, prompts: 0, largest_difference: 0, same_greedy: 0};

// The next token: its number and all log-probabilities.
async function next(tokens) {
    const input = tokens.map((t, i) => i < tokens.length - 1 ? t :
        [t, {generateNext: {token: true, probabilities: true, options: {temperature: 0}}}]);
    const outputs = await sequence.controlledEvaluate(input);
    return outputs[tokens.length - 1].next;
}

for (const line of readFileSync(expectedPath, "utf8").split("\n")) {
    if (line === "") continue;
    const want = JSON.parse(line);
    const tokens = Array.from(model.tokenize(want.text, false));
    found.texts++;
    if (JSON.stringify(tokens) === JSON.stringify(want.tokens)) found.same_tokens++;
    else if (found.texts - found.same_tokens <= 2) console.error("other tokens: " + JSON.stringify(want.text) + "\n" +
        JSON.stringify(want.tokens) + "\n" + JSON.stringify(tokens));
    if (want.prompt === undefined) continue;
    found.prompts++;
    await sequence.clearHistory();
    let answer = await next(want.tokens.slice(0, want.prompt));
    // Single precision holds a probability to a relative 1e-7 down to 1e-38; the smallest ones are left out.
    for (const [token, p] of answer.probabilities)
        if (p > 1e-30)
            found.largest_difference = Math.max(found.largest_difference, Math.abs(Math.log(p) - want.logprobs[token]));
    const greedy = [];
    for (let i = 0; i < want.greedy.length; i++) {
        const best = answer.probabilities.entries().next().value[0];
        greedy.push(best);
        if (i + 1 < want.greedy.length) answer = await next([best]);
    }
    if (JSON.stringify(greedy) === JSON.stringify(want.greedy)) found.same_greedy++;
    else if (found.prompts - found.same_greedy <= 2)
        console.error("other greedy tokens:\n" + JSON.stringify(want.greedy) + "\n" + JSON.stringify(greedy));
}
console.log(JSON.stringify(found));
await llama.dispose();
process.exit(0);

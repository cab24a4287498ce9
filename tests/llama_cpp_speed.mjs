// llama_cpp_speed.mjs PACKAGE MODEL.gguf SEQUENCES TOKENS THREADS: the speed at which llama.cpp goes on with a text, the likeliest
// token each time, in so many sequences of one batch, TOKENS in each. Everything in float32, the cache too. One line: tokens,
// seconds, seconds of processor time. PACKAGE: the folder of node-llama-cpp.
import {pathToFileURL} from "node:url";

const [packageFolder, modelPath, ...numbers] = process.argv.slice(2);
const [sequences, tokens, threads] = numbers.map(Number);
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(packageFolder + "/dist/index.js").href);
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error, maxThreads: threads});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const context = await model.createContext({contextSize: tokens + 64, batchSize: 512, sequences, threads, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
const prompt = Array.from(model.tokenize("id:S_1/num_edges:12", false));
const all = Array.from({length: sequences}, () => context.getSequence());

// Goes on for n tokens; an end of the text is no end here.
async function goOn(sequence, n) {
    await sequence.clearHistory();
    let done = 0;
    for await (const _ of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true}))
        if (++done === n) break;
    return done;
}
await Promise.all(all.map((s) => goOn(s, 16)));
const start = process.hrtime.bigint(), cpu = process.cpuUsage();
const done = (await Promise.all(all.map((s) => goOn(s, tokens)))).reduce((a, b) => a + b);
const seconds = Number(process.hrtime.bigint() - start) / 1e9, used = process.cpuUsage(cpu);
console.log(done, seconds.toFixed(4), ((used.user + used.system) / 1e6).toFixed(4));
await llama.dispose();
process.exit(0);

// Greedy answers of llama.cpp through node-llama-cpp, CPU only, KV in f32.
//
//   node answers.mjs --model FILE.gguf [--threads T] [--max-tokens N] < prompts > answers
//
// A line of stdin is a JSON array of token ids, BOS included; a line of stdout the ids of its answer
// without the token that ends it.
import {createInterface} from "node:readline";
import {parseArgs} from "node:util";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const {values: options} = parseArgs({options: {
    model: {type: "string"}, threads: {type: "string", default: "2"},
    "max-tokens": {type: "string", default: "8"}
}});
if (options.model == null) {
    console.error("answers.mjs: --model FILE.gguf is missing");
    process.exit(2);
}
const threads = Number(options.threads), most = Number(options["max-tokens"]);
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads,
    skipDownload: true, progressLogs: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: options.model, gpuLayers: 0, checkTensors: false});

const prompts = [];
for await (const line of createInterface({input: process.stdin})) prompts.push(JSON.parse(line));
const longest = Math.max(...prompts.map((prompt) => prompt.length));
const context = await model.createContext({
    contextSize: longest + most + 16, batchSize: 512, threads: {ideal: threads, min: threads},
    flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"
});
const sequence = context.getSequence();
for (const prompt of prompts) {
    await sequence.clearHistory();
    const answer = [];
    for await (const token of sequence.evaluate(prompt, {temperature: 0})) {
        answer.push(token);
        if (answer.length === most) break;
    }
    console.log(JSON.stringify(answer));
}
await llama.dispose();
process.exit(0);

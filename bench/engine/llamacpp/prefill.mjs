// Prefill of llama.cpp through node-llama-cpp, CPU only. Prints one JSON object.
//
//   node prefill.mjs --model FILE.gguf [--tokens N] [--threads T] [--runs R] [--batch N]
//                    [--flash on|off] [--kv f16|f32] [--token-file FILE] [--decode N]
//
// Each run is a fresh context; timed is from the prompt to the first sampled token, as for ours.
// cpu_ms is the processor time of the process in the same span.
import {readFileSync} from "node:fs";
import {parseArgs} from "node:util";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const {values: options} = parseArgs({options: {
    model: {type: "string"}, tokens: {type: "string", default: "4096"},
    threads: {type: "string", default: "2"}, runs: {type: "string", default: "3"},
    batch: {type: "string", default: "512"}, flash: {type: "string", default: "on"},
    kv: {type: "string", default: "f16"}, "token-file": {type: "string"},
    decode: {type: "string", default: "0"}
}});
if (options.model == null) {
    console.error("prefill.mjs: --model FILE.gguf is missing");
    process.exit(2);
}

function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The same ids as prefill_bench without --token-file.
function makeTokens(vocabulary) {
    if (options["token-file"] != null) {
        return readFileSync(options["token-file"], "utf8").trim().split(/\s+/).map(Number);
    }
    return Array.from({length: Number(options.tokens)}, (_, i) => 3 + (i * 7919) % (vocabulary - 3));
}

const threads = Number(options.threads);
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads,
    skipDownload: true, progressLogs: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: options.model, gpuLayers: 0, checkTensors: false});
const tokens = makeTokens(model.fileInfo.metadata.tokenizer.ggml.tokens.length);
const decode = Number(options.decode);

async function runOnce() {
    const kv = options.kv.toUpperCase();
    const context = await model.createContext({
        contextSize: tokens.length + decode + 16, batchSize: Number(options.batch),
        threads: {ideal: threads, min: threads}, flashAttention: options.flash === "on",
        experimentalKvCacheKeyType: kv, experimentalKvCacheValueType: kv
    });
    const sequence = context.getSequence();
    const answer = [], decodeMs = [];
    let prefillMs = 0, cpuMs = 0;
    const cpuStart = process.cpuUsage();
    let start = performance.now();
    for await (const token of sequence.evaluate(tokens, {temperature: 0,
        yieldEogToken: true})) {
        const now = performance.now();
        if (answer.length === 0) {
            const cpu = process.cpuUsage(cpuStart);
            prefillMs = now - start;
            cpuMs = (cpu.user + cpu.system) / 1000;
        } else decodeMs.push(now - start);
        answer.push(token);
        if (answer.length > decode) break;
        start = performance.now();
    }
    await context.dispose();
    return {prefillMs, cpuMs, decodeMs, answer};
}

const runs = [];
for (let i = 0; i < Number(options.runs); ++i) runs.push(await runOnce());
const decoded = runs.flatMap((run) => run.decodeMs);
console.log(JSON.stringify({
    engine: "llama.cpp " + (llama.llamaCppRelease?.release ?? ""), tokens: tokens.length, threads,
    batch: Number(options.batch), flash: options.flash, kv: options.kv,
    prefill_ms: median(runs.map((run) => run.prefillMs)),
    prefill_runs_ms: runs.map((run) => run.prefillMs),
    cpu_ms: median(runs.map((run) => run.cpuMs)), answer: runs.at(-1).answer,
    ...(decoded.length > 0 ? {decode_ms_per_token: median(decoded)} : {})
}));
await llama.dispose();
process.exit(0);

// Compares ids and decoded texts with transformers.js and with Hugging Face's library in Rust, on texts
// made from a seed. Needs, somewhere outside of the tree:
//
//   npm install --prefix DIR --ignore-scripts @huggingface/transformers@4.3.1 tokenizers@0.23.2
//   node compare_tokenizers.mjs --modules DIR --tool BUILD/tests/tokenize_lines [--count 10000]
//     [--seed 1] FILE...        tokenizer.json or tokenizer.model; exits 1 on any difference
//
// Texts with ill-formed UTF-8 go to the references with U+FFFD for each maximal ill-formed part.
//
// Two things mean something else to transformers.js than to the library in Rust, by which models are
// trained, and than to this project: the pre-tokenizer Digits is \d instead of \p{N} ("½", "Ⅳ"), and \s
// is JavaScript's, with U+FEFF and without U+0085. transformers.js is therefore given the file with both
// spelled out; --as-published gives it the file as it is. Bytes that a byte-level vocabulary lacks are
// dropped before merging by the library in Rust and here, afterwards by transformers.js, which is not
// asked about texts that have such bytes (SmolLM2: 06 and F1, for instance).
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { generator, randomTexts } from './random_texts.mjs';
import { asTokenizerJson } from './sentencepiece_json.mjs';

const { values: flags, positionals: files } = parseArgs({ allowPositionals: true, options: {
  modules: { type: 'string' }, tool: { type: 'string' }, count: { type: 'string', default: '10000' },
  seed: { type: 'string', default: '1' }, 'as-published': { type: 'boolean', default: false } } });
const require = createRequire(path.resolve(flags.modules, 'x.js'));
const entry = require.resolve('@huggingface/transformers');
const { PreTrainedTokenizer } = await import(pathToFileURL(entry).href);
const { Tokenizer } = require('tokenizers');
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function ours(file, lines) {
  const run = spawnSync(flags.tool, [file], { input: lines.join('\n') + '\n', maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`${flags.tool} ${file}: ${run.stderr}`);
  return run.stdout.toString().trim().split('\n').map((line) => JSON.parse(line));
}

class Tally {
  constructor(name) { Object.assign(this, { name, compared: 0, different: 0 }); }
  add(what, found, expected) {
    ++this.compared;
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    if (++this.different <= 5) {
      console.log(`  ${this.name}: ${JSON.stringify(what).slice(0, 300)}\n    found    ` +
        `${JSON.stringify(found).slice(0, 300)}\n    expected ${JSON.stringify(expected).slice(0, 300)}`);
    }
  }
}

const white = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

function split(regex) {
  const inClass = regex.replace(/\[[^\]]*\]/g, (set) => set.replaceAll('\\s', white));
  const pattern = inClass.replaceAll('\\s', `[${white}]`).replaceAll('\\S', `[^${white}]`);
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

function spelledOut(step) {
  if (step?.type === 'Sequence') {
    return { ...step, pretokenizers: step.pretokenizers.map(spelledOut) };
  }
  if (step?.type === 'Digits') return split(step.individual_digits ? '\\p{N}' : '\\p{N}+');
  if (step?.type === 'ByteLevel' && step.use_regex !== false) {
    const pretokenizers = [split(gpt2), { ...step, use_regex: false }];
    return { type: 'Sequence', pretokenizers };
  }
  return step;
}

// Bytes whose symbol a byte-level vocabulary lacks.
function lackingBytes({ model }) {
  if (model.byte_fallback) return new Set();
  const itself = (b) => (b >= 33 && b <= 126) || (b >= 161 && b !== 173);
  let next = 256;
  const symbols = Array.from({ length: 256 }, (_, b) => String.fromCodePoint(itself(b) ? b : next++));
  return new Set([...symbols.keys()].filter((b) => !(symbols[b] in model.vocab)));
}

let failed = false;
for (const file of files) {
  const json = file.endsWith('.model') ? asTokenizerJson(fs.readFileSync(file))
    : JSON.parse(fs.readFileSync(file, 'utf8'));
  const forJs = flags['as-published'] ? json
    : { ...json, pre_tokenizer: spelledOut(json.pre_tokenizer) };
  const js = new PreTrainedTokenizer(forJs, { clean_up_tokenization_spaces: false });
  const rust = Tokenizer.fromString(JSON.stringify(json));
  const lacking = flags['as-published'] ? new Set() : lackingBytes(json);
  const texts = randomTexts(Number(flags.count), Number(flags.seed), json.added_tokens.map((t) => t.content));
  const tallies = ['js.ids', 'js.text', 'rust.ids', 'rust.text', 'streamed', 'js.random_ids']
    .map((name) => new Tally(name));
  const [jsIds, jsText, rustIds, rustText, streamed, randomIds] = tallies;
  const keep = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
  const found = ours(file, texts.map((text) => text.toString('hex')));
  for (const [i, bytes] of texts.entries()) {
    const text = utf8.decode(bytes);
    const back = utf8.decode(Buffer.from(found[i].text, 'hex'));
    const reference = (await rust.encode(text, null, { addSpecialTokens: false })).getIds();
    rustIds.add(text, found[i].ids, reference);
    if (reference.length) rustText.add(text, back, await rust.decode(reference, false));
    streamed.add(text, found[i].same, true);
    if (Buffer.from(text).some((byte) => lacking.has(byte))) continue;
    const expected = js.encode(text, { add_special_tokens: false });
    jsIds.add(text, found[i].ids, expected);
    if (expected.length) jsText.add(text, back, js.decode(expected, keep));
  }
  // Ids in any order, so that characters are torn.
  const random = generator(Number(flags.seed)), size = Object.keys(json.model.vocab).length;
  const lists = texts.slice(0, 1000).map(() => Array.from({ length: 1 + random(12) },
    () => random(random(2) ? Math.min(size, 300) : size)));
  for (const [i, line] of ours(file, lists.map((ids) => `ids:${ids.join(' ')}`)).entries()) {
    randomIds.add(lists[i], utf8.decode(Buffer.from(line.text, 'hex')), js.decode(lists[i], keep));
    streamed.add(lists[i], line.same, true);
  }
  console.log(`${file}: ${texts.length} texts, seed ${flags.seed}; differences: ` +
    tallies.map((t) => `${t.name} ${t.different}/${t.compared}`).join(', '));
  failed ||= tallies.some((t) => t.different > 0);
}
process.exitCode = failed ? 1 : 0;

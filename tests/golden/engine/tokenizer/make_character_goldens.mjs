// Golden ids of tokenizers that are spelled in characters (Llama 2, Mistral, Gemma), by Hugging Face's
// library in Rust; it says how many of them transformers.js gives otherwise.
//
//   npm install --prefix DIR --ignore-scripts @huggingface/transformers@4.3.1 tokenizers@0.23.2
//   node make_character_goldens.mjs DIR            writes the goldens
//   node make_character_goldens.mjs DIR --check    compares, exits 1 on any difference
//
// made_up.model was made once by spm_train 0.1.97 from this project's README and texts of
// random_texts.mjs: --model_type=bpe --vocab_size=900 --byte_fallback=true --split_digits=true
// --normalization_rule_name=identity --remove_extra_whitespaces=false
// --allow_whitespace_only_pieces=true --user_defined_symbols='<sep>,▁mid' --control_symbols='<|ctl|>'.
// character_tokenizer.json is what it becomes for Hugging Face; character_goldens.json has variants of
// that, made by replacing fields, and for each variant texts with their ids and what they decode to when
// it is not the text. In a variant's model, a name with null is left out of the vocabulary.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { randomTexts } from './random_texts.mjs';
import { asTokenizerJson } from './sentencepiece_json.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.resolve(process.argv[2], 'x.js'));
const { PreTrainedTokenizer } =
  await import(pathToFileURL(require.resolve('@huggingface/transformers')).href);
const { Tokenizer } = require('tokenizers');
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

const base = asTokenizerJson(fs.readFileSync(path.join(here, 'made_up.model')));
const sign = '\u2581';
const sequence = (type, ...list) => ({ type: 'Sequence', [type]: list });
const replace = (pattern, content) => ({ type: 'Replace', pattern, content });
const strip = (start, stop) => ({ type: 'Strip', content: ' ', start, stop });
const escape = replace({ String: ' ' }, sign), unescape = replace({ String: sign }, ' ');
const prepend = { type: 'Prepend', prepend: sign };
const fallback = { type: 'ByteFallback' }, fuse = { type: 'Fuse' };
const metaspace = (prepend_scheme, split) =>
  ({ type: 'Metaspace', replacement: sign, prepend_scheme, split });
const cut = (pattern, behavior) => ({ type: 'Split', pattern, behavior, invert: false });
const plain = sequence('decoders', unescape, fallback, fuse);
const stripped = sequence('decoders', unescape, fallback, fuse, strip(1, 0));
const without = (...bytes) => Object.fromEntries(
  bytes.map((b) => [`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`, null]));
const added = (id, content, flags) => ({ id, content, single_word: flags.includes('w'),
  lstrip: flags.includes('l'), rstrip: flags.includes('r'), normalized: flags.includes('n'),
  special: flags.includes('s') });
const size = Object.keys(base.model.vocab).length;

const variants = {
  llama: {},
  metaspace_always: { normalizer: null, pre_tokenizer: metaspace('always', false), decoder: stripped },
  metaspace_first: { normalizer: null, pre_tokenizer: metaspace('first', false), decoder: stripped },
  metaspace_never: { normalizer: null, pre_tokenizer: metaspace('never', true), decoder: plain },
  metaspace_split: { normalizer: null, pre_tokenizer: metaspace('always', true), decoder: stripped },
  metaspace_late: { normalizer: null, pre_tokenizer: sequence('pretokenizers',
    cut({ Regex: '\\d|(?<=\\n)' }, 'Isolated'), metaspace('first', false)), decoder: stripped },
  metaspace_decoder: { normalizer: null, pre_tokenizer: metaspace('always', false),
    decoder: metaspace('always', false), model: { byte_fallback: false } },
  gemma: { normalizer: escape, pre_tokenizer: cut({ String: ' ' }, 'MergedWithPrevious'), decoder: plain },
  unknown: { model: { byte_fallback: false } },
  unknown_apart: { model: { byte_fallback: false, fuse_unk: false } },
  unknown_nothing: { model: { byte_fallback: false, unk_token: null } },
  unknown_bytes: { model: { vocab: without(0x98, 0xe1, 0x0a, 0xcc) } },
  whole: { model: { ignore_merges: true } },
  composed: { normalizer: sequence('normalizers', { type: 'NFC' }, prepend, escape) },
  squeezed: { normalizer: sequence('normalizers', replace({ Regex: '\\s{2,}' }, ' '), prepend, escape) },
  flags: { added_tokens: base.added_tokens.concat(
    [added(size, 'bridge', 'w'), added(base.model.vocab['é'], 'é', 'lrn'), added(size + 1, '\n\n', '')]) },
  both_ends: { decoder: sequence('decoders', strip(1, 0), unescape, fallback, fuse, strip(0, 1)) },
};

function variantFile({ model, ...change }) {
  const file = { ...structuredClone(base), ...change };
  const { vocab, ...rest } = model ?? {};
  Object.assign(file.model, rest);
  for (const token of Object.keys(vocab ?? {})) delete file.model.vocab[token];
  return file;
}

const fixed = ['', ' ', '  ', '   ', '\n', 'a', ' a', 'a ', '  two  blanks  ', '▁', '▁▁a ▁', '<s>', '<s> a', 'a<s>b</s>',
  ' <s> <s>  x', '<sep>mid▁mid mid', '<|ctl|>x<unk>y', '<0x0A>', '<0x', 'The library stands.\n\n\nHere.',
  'naïve cafe\u0301é ée\u0301 bridge bridges', '你好世界 今天 機械', 'مرحبا بالعالم', '🙂👩‍👧🇩🇪 ⅣⅣ½', 'tab\tnbsp\u00a0nul\0bom\ufeff',
  '0123456789012345678901234567890', '\u1100\u1161 \ue000\u{10ffff}', ' '.repeat(40) + 'x', 'a'.repeat(70),
  'store '.repeat(12), '\ufffd\ufffd'];
const made = randomTexts(260, 20, base.added_tokens.map((t) => t.content)).map((b) => utf8.decode(b))
  .filter((text) => text.length < 60).slice(0, 70);
const texts = [...new Set(fixed.concat(made))];

const keep = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
const out = [];
for (const [name, change] of Object.entries(variants)) {
  const file = variantFile(change);
  const rust = Tokenizer.fromString(JSON.stringify(file));
  const js = new PreTrainedTokenizer(file, { clean_up_tokenization_spaces: false });
  const ids = [], decoded = {}, other = { ids: 0, text: 0 };
  for (const [i, text] of texts.entries()) {
    const found = (await rust.encode(text, null, { addSpecialTokens: false })).getIds();
    const jsBack = found.length ? js.decode(found, keep) : '';
    const rustBack = found.length ? await rust.decode(found, false) : '';
    // Rust's Metaspace takes all blanks off the first token.
    const back = name === 'metaspace_decoder' ? jsBack : rustBack;
    ids.push(found);
    if (back !== text) decoded[i] = back;
    other.ids += JSON.stringify(found) !== JSON.stringify(js.encode(text, { add_special_tokens: false }));
    other.text += rustBack !== jsBack;
  }
  out.push({ name, change, ids, decoded });
  console.log(`${name}: ${texts.length} texts, otherwise by transformers.js: ids ${other.ids}, text ${other.text}`);
}

const lines = out.map((v) => JSON.stringify(v)).join(',\n');
const written = {
  'character_tokenizer.json': JSON.stringify(base) + '\n',
  'character_goldens.json': `{"texts": ${JSON.stringify(texts)},\n"variants": [\n${lines}\n]}\n` };
for (const [name, text] of Object.entries(written)) {
  const file = path.join(here, name);
  if (process.argv[3] !== '--check') fs.writeFileSync(file, text);
  const same = fs.readFileSync(file, 'utf8') === text;
  console.log(`${name}: ${same ? 'equal' : 'different'}`);
  if (!same) process.exitCode = 1;
}

// Golden token ids by Hugging Face's own tokenizers library (npm package "tokenizers", the Rust
// implementation):
//
//   npm install --prefix DIR --ignore-scripts tokenizers@0.23.2
//   NODE_PATH=DIR/node_modules node make_tokenizer_goldens.js          writes the goldens
//   NODE_PATH=DIR/node_modules node make_tokenizer_goldens.js --check  compares, exits 1 on any
//                                                                      difference
//
// base_tokenizer.json is a small byte-level BPE. tokenizer_goldens.json has variants of it, made
// by replacing fields, as the tokenizers of well-known models use them; and for each variant texts
// with their ids and what the ids decode to when it is not the text.
'use strict';
const fs = require('fs');
const path = require('path');
const { Tokenizer } = require('tokenizers');

const llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const byteLevel = (prefix, regex) =>
  ({ type: 'ByteLevel', add_prefix_space: prefix, trim_offsets: true, use_regex: regex });
const split = (pattern, behavior, invert = false) => ({ type: 'Split', pattern, behavior, invert });
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const digits = (single) => ({ type: 'Digits', individual_digits: single });
const added = (list) => list.map(([id, content, flags]) => ({
  id, content, single_word: flags.includes('w'), lstrip: flags.includes('l'),
  rstrip: flags.includes('r'), normalized: flags.includes('n'), special: flags.includes('s') }));

const base = JSON.parse(fs.readFileSync(path.join(__dirname, 'base_tokenizer.json'), 'utf8'));
const size = Object.keys(base.model.vocab).length;
const flagged = added([
  [0, '<|bos|>', 'ls'], [1, '<|eos|>', 'rs'], [size, 'hello wor', 'n'], [size + 1, 'world', 'w'],
  [size + 2, 'é!', 'lrn'], [size + 3, 'ing ', 'wlr']]);

// Fields replaced in the base; "model" is merged into the model.
const variants = {
  as_it_is: {},
  gpt2: { pre_tokenizer: byteLevel(false, true) },
  whole: { pre_tokenizer: byteLevel(false, false) },
  smollm2: { pre_tokenizer: sequence(digits(true), byteLevel(false, true)) },
  digit_runs: { pre_tokenizer: sequence(digits(false), byteLevel(true, true)) },
  llama3: { pre_tokenizer: sequence(split({ Regex: llama3 }, 'Isolated'), byteLevel(false, false)),
    model: { ignore_merges: true } },
  qwen2: { normalizer: { type: 'NFC' }, pre_tokenizer: sequence(
    split({ Regex: llama3.replace('{1,3}', '') }, 'Isolated'), byteLevel(false, false)) },
  removed: { pre_tokenizer: sequence(split({ Regex: '\\s+' }, 'Removed'), byteLevel(true, true)) },
  kept: { pre_tokenizer: sequence(
    split({ Regex: '[\\p{L}\\s]+' }, 'Removed', true), byteLevel(false, true)) },
  previous: { pre_tokenizer: sequence(
    split({ Regex: '[ab\\d]' }, 'MergedWithPrevious'), byteLevel(false, true)) },
  next: { pre_tokenizer: sequence(
    split({ String: ' ' }, 'MergedWithNext'), byteLevel(false, false)) },
  contiguous: { pre_tokenizer: sequence(
    split({ Regex: '[\\w.]' }, 'Contiguous'), byteLevel(false, false)) },
  lines: { pre_tokenizer: sequence(
    split({ Regex: '^\\S+|\\S+$|\\h\\h' }, 'Isolated'), byteLevel(false, true)) },
  flags: { added_tokens: flagged },
  flags_nfc: { added_tokens: flagged, normalizer: { type: 'NFC' },
    pre_tokenizer: byteLevel(false, true) },
};

const fixed = [
  '', ' ', '  ', '\n', 'a', ' a', 'The person\'s name, we\'ll say, isn\'t "Kim"; they\'ve 3.14!',
  "DON'T I'M 'S 'ſ 'Re", 'hello world  hello wor   hello  world.', 'Spolia: stones, cut once.\r\n',
  '<|bos|>The door is open.<|eos|>', ' <|bos|> x <|eos|> \t y', '<|bos', '<|bos|><|bos|>', '|bos|>',
  'tabs\t\tand\u000bvertical\u000cfeeds', 'nbsp\u00a0em\u2003ideographic\u3000zero\u200bwidth',
  'line\u2028par\u2029next\u0085end\u180evowel', '\ufeffbom', 'nul\u0000in \u0001text\u007f',
  '0 12 345 6789 1,000,000 ½ ² ³ Ⅳ ٣٤٥ १२३ 12th', 'x=y+1; foo_bar(__init__) CamelCase',
  'naïve café cafe\u0301 Straße ﬁne A\u030angström Å \u212b é! e\u0301!x  é! ', '\u1100\u1161\u11a8 한국어',
  'Ελλάδα Привет мир 你好世界 こんにちは مرحبا שלום हिन्दी ไทย', '🙂 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️', 'singing world, worlds ing  ing',
  '--- ... !!! ?! @#$%^&*()[]{}<>/\\|~`', 'a.b.c 1.2.3 aab bba', '   leading and trailing   ',
  '\n\n\n  x \n y\n', 'a'.repeat(100), ' '.repeat(70) + 'x', '1'.repeat(40), '\u{10ffff}\u{e000}\ud7ff'];

function generated(count) {
  let state = 12345;
  const random = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return (state >> 8) % n; };
  const parts = fixed.join(' ').split(' ').concat(
    [' ', '  ', '\n', '\r\n', '\t', '\u00a0', '\u3000', '<|bos|>', '<|eos|>', '<|', 'world', 'ing ', '7', '.']);
  const out = [];
  for (let i = 0; i < count; ++i) {
    let text = '';
    for (let k = 1 + random(9); k > 0; --k) text += parts[random(parts.length)] + (random(2) ? ' ' : '');
    if (text.length < 60) out.push(text);
  }
  return out;
}

function variantFile(change) {
  const file = JSON.parse(JSON.stringify(base));
  for (const [field, value] of Object.entries(change)) {
    if (field === 'model') Object.assign(file.model, value); else file[field] = value;
  }
  return file;
}

async function main() {
  const texts = [...new Set(fixed.concat(generated(60)))];
  const out = { texts, variants: [] };
  for (const [name, change] of Object.entries(variants)) {
    const tokenizer = Tokenizer.fromString(JSON.stringify(variantFile(change)));
    const ids = [], decoded = {};
    for (const [i, text] of texts.entries()) {
      const found = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
      ids.push(found);
      const back = found.length ? await tokenizer.decode(found, false) : '';
      if (back !== text) decoded[i] = back;
    }
    out.variants.push({ name, change, ids, decoded });
  }
  const lines = out.variants.map((v) => JSON.stringify(v)).join(',\n');
  const text = `{"texts": ${JSON.stringify(texts)},\n"variants": [\n${lines}\n]}\n`;
  const file = path.join(__dirname, 'tokenizer_goldens.json');
  if (process.argv[2] === '--check') {
    const same = fs.readFileSync(file, 'utf8') === text;
    console.log(same ? 'equal' : 'different');
    process.exitCode = same ? 0 : 1;
  } else {
    fs.writeFileSync(file, text);
  }
}
main();

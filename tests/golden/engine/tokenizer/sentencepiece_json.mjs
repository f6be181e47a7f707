// A tokenizer.json for a SentencePiece tokenizer.model of type BPE, as Hugging Face's conversion of
// Llama tokenizers makes it (legacy behaviour). Written from that alone, for comparisons.

function* fields(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0, scale = 1;
    for (;; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint(), number = Math.floor(tag / 8), wire = tag % 8;
    if (wire === 0) yield [number, varint()];
    else if (wire === 2) { const n = varint(); yield [number, bytes.subarray(at, at + n)]; at += n; }
    else if (wire === 5) { yield [number, view.getFloat32(at, true)]; at += 4; }
    else if (wire === 1) at += 8;
    else throw new Error(`wire type ${wire}`);
  }
}

export function piecesOf(bytes) {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }), pieces = [];
  let prefix = 1;
  for (const [number, value] of fields(bytes)) {
    if (number === 1) {
      const piece = { text: '', score: 0, type: 1 };
      for (const [n, v] of fields(value)) {
        if (n === 1) piece.text = text.decode(v);
        if (n === 2) piece.score = v;
        if (n === 3) piece.type = v;
      }
      pieces.push(piece);
    }
    if (number === 3) for (const [n, v] of fields(value)) if (n === 3) prefix = v;
  }
  return { pieces, prefix: prefix !== 0 };
}

export function asTokenizerJson(bytes) {
  const { pieces, prefix } = piecesOf(bytes);
  const vocab = new Map(pieces.map((piece, id) => [piece.text, id]));
  let merges = [];
  for (const { text, score } of pieces) {
    const local = [], characters = [...text];
    for (let i = 1; i < characters.length; ++i) {
      const left = characters.slice(0, i).join(''), right = characters.slice(i).join('');
      if (vocab.has(left) && vocab.has(right)) {
        local.push({ left, right, score, sizes: [i, characters.length - i] });
      }
    }
    local.sort((a, b) => vocab.get(a.left) - vocab.get(b.left) || vocab.get(a.right) - vocab.get(b.right));
    merges = merges.concat(local);
  }
  merges.sort((a, b) => b.score - a.score || b.sizes[0] - a.sizes[0] || b.sizes[1] - a.sizes[1]);
  const added = [];
  for (const [id, { text: content, type }] of pieces.entries()) {
    if (![2, 3, 4].includes(type)) continue;
    added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false,
      special: type !== 4 });
  }
  const blank = { String: ' ' }, sign = '\u2581';
  const normalizers = [{ type: 'Replace', pattern: blank, content: sign }];
  const decoders = [{ type: 'Replace', pattern: { String: sign }, content: ' ' },
    { type: 'ByteFallback' }, { type: 'Fuse' }];
  if (prefix) {
    normalizers.unshift({ type: 'Prepend', prepend: sign });
    decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  }
  return { version: '1.0', truncation: null, padding: null, added_tokens: added,
    normalizer: { type: 'Sequence', normalizers }, pre_tokenizer: null, post_processor: null,
    decoder: { type: 'Sequence', decoders },
    model: { type: 'BPE', dropout: null, unk_token: pieces.find((p) => p.type === 2).text,
      continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true,
      vocab: Object.fromEntries(vocab), merges: merges.map((m) => [m.left, m.right]) } };
}

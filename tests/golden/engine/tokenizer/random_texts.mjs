// Texts made from a seed: what tokenizers meet, and what they trip over. Bytes, some of them no UTF-8.

const words = ('The library stands where the old bridge was says keeper naïve café Straße Привет мир ' +
  'Ελλάδα 你好 世界 今天天气很好 机器学习 模型 こんにちは カタカナ 한국어 안녕하세요 مرحبا بالعالم السلام عليكم ' +
  'שלום हिन्दी नमस्ते ไทย สวัสดี Việt ngữ ﬁne Å ½ Ⅳ ٣٤٥ १२३ don\'t we\'ll I\'M they\'ve token tokenizer ' +
  'antidisestablishmentarianism Lorem ipsum dolor').split(' ');
const code = ['#include <vector>\n', 'int main(int argc, char** argv) {\n', '\treturn 0;\n}\n', 'def f(x):\n',
  '    return x ** 2  # square\n', 'for (let i = 0; i < n; ++i) {', 'x=y+1;', 'foo_bar(__init__)', '=> { }',
  'SELECT * FROM t WHERE id >= 10;', '<div class="a">&nbsp;</div>', 'std::unordered_map<std::string, int>',
  '{"key": [1, 2.5e-3, null]}', '\\begin{equation}', 'https://example.org/a?b=c&d=%20', '0xDEADBEEF',
  'fn main() -> Result<(), Box<dyn Error>> {', '!= === !== ?? ?. ...', '/* comment */ // line\n', '<0x0A>'];
const emoji = ['🙂', '😀', '👩‍👩‍👧‍👦', '🏳️‍🌈', '🇩🇪', '❤️', '👍🏽', '🧑🏿‍🚀', '™️', '☃', '𝔘𝔫𝔦', '🫠'];
const blanks = [' ', '  ', '    ', '\t', '\n', '\n\n', '\r\n', '\u00a0', '\u2003', '\u3000', '\u200b', '\u2028',
  '\u0085', '\u180e', '\ufeff', '\u2581', '\u2581\u2581', '\v', '\f', '\0'];
const broken = [[0xff], [0xc0, 0x80], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xf5, 0x80],
  [0x80], [0xbf, 0xbf], [0xe0, 0x9f, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf0, 0x8f], [0xc3]];

export function generator(seed) {
  let state = seed >>> 0;  // mulberry32
  return (n) => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

// `tokens`: added tokens of the tokenizer, to be met inside texts.
export function randomTexts(count, seed, tokens) {
  const random = generator(seed), utf8 = new TextEncoder(), out = [];
  const one = (list) => list[random(list.length)];
  const anyCharacter = () => {
    const end = one([0x80, 0x250, 0x3000, 0xa000, 0x10000, 0x20000, 0x110000]);
    const c = random(end);
    return c >= 0xd800 && c < 0xe000 ? '\ufffd' : String.fromCodePoint(c);
  };
  const makers = [
    () => one(words), () => one(words) + ' ', () => ' ' + one(words), () => one(code), () => one(code),
    () => one(emoji), () => one(blanks), () => one(blanks).repeat(1 + random(20)), anyCharacter,
    () => String(random(10)).repeat(1 + random(30)),
    () => Array.from({ length: 1 + random(40) }, () => random(10)).join(''),
    () => one(words).split('').sort(() => random(3) - 1).join(''),
    () => (tokens.length ? one(tokens) : ''),
    () => (tokens.length ? one(tokens).slice(0, 1 + random(6)) : ''),
    () => one(words).normalize('NFD'), () => one(words).toUpperCase(), () => one('.,;:!?-()"\'/\\@#$%^&*'.split(''))];
  while (out.length < count) {
    const parts = [], length = 1 + random(random(50) === 0 ? 600 : 16), breaks = random(6) === 0;
    for (let k = 0; k < length; ++k) {
      parts.push(breaks && random(3) === 0 ? Uint8Array.from(one(broken)) : utf8.encode(one(makers)()));
    }
    out.push(Buffer.concat(parts));
  }
  return out;
}

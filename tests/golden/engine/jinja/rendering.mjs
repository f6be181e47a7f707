// What both scripts share: the variables transformers gives to templates, and npm's rendering.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const seconds = 1893456000;  // 1 January 2030, 00:00 UTC
export const tokens = { bos_token: '<s>', eos_token: '</s>' };

// Conversations as variables of a template.
export function conversations(file) {
  return Object.entries(JSON.parse(fs.readFileSync(file, 'utf8'))).map(([name, variables]) => [name,
    { ...tokens, add_generation_prompt: true, ...variables }]);
}

// Renders by @huggingface/jinja: the text, or null where it throws.
export async function reference(modules) {
  process.env.TZ = 'UTC';
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args) { super(...(args.length ? args : [seconds * 1000])); }
  };
  const require = createRequire(path.resolve(modules, 'x.js'));
  const { Template } = await import(pathToFileURL(require.resolve('@huggingface/jinja')).href);
  return (template, variables) => {
    try {
      return new Template(template).render(variables);
    } catch {
      return null;
    }
  };
}

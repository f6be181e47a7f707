// Writes template_goldens.json: what @huggingface/jinja makes of families/*.jinja for each of the
// conversations, null where it refuses. Needs, somewhere outside of the tree:
//   npm install --prefix DIR --ignore-scripts @huggingface/jinja@0.5.11
//   node make_template_goldens.mjs --modules DIR
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { conversations, reference, seconds, tokens } from './rendering.mjs';

const { values: flags } = parseArgs({ options: { modules: { type: 'string' } } });
const here = import.meta.dirname;
const render = await reference(flags.modules);
const out = { now: seconds, tokens, texts: {} };
for (const file of fs.readdirSync(path.join(here, 'families')).sort()) {
  const template = fs.readFileSync(path.join(here, 'families', file), 'utf8');
  out.texts[file] = Object.fromEntries(conversations(path.join(here, 'conversations.json')).map(
    ([name, variables]) => [name, render(template, variables)]));
}
fs.writeFileSync(path.join(here, 'template_goldens.json'), JSON.stringify(out, null, 1) + '\n');

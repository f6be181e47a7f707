// Compares renderings of published templates with @huggingface/jinja and, with --python, Jinja2 as
// transformers sets it up. Needs what make_template_goldens.mjs says.
//
//   node compare_templates.mjs --modules DIR --tool BUILD/tests/render_lines [--python] FILE...
//
// A FILE is a *.jinja, or a tokenizer_config.json with a "chat_template". Where all refuse a
// conversation, that is the same; exits 1 on any difference.
//
// Jinja2 and this project write lists, dicts, true and none as Python does, @huggingface/jinja as JSON
// or not at all; such differences are shown, and count as those to @huggingface/jinja only.
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { conversations, reference, seconds } from './rendering.mjs';

const { values: flags, positionals: files } = parseArgs({ allowPositionals: true, options: {
  modules: { type: 'string' }, tool: { type: 'string' }, python: { type: 'boolean', default: false } } });
const here = import.meta.dirname;
const render = await reference(flags.modules);

const python = `
import datetime, json, sys
import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
class Generation(Extension):
    tags = {'generation'}
    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method('_body'), [], [], body).set_lineno(line)
    def _body(self, caller):
        return caller()
def refuse(message):
    raise jinja2.TemplateError(message)
def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                            extensions=[Generation, 'jinja2.ext.loopcontrols'])
environment.filters['tojson'] = tojson
environment.globals['raise_exception'] = refuse
for line in sys.stdin:
    request = json.loads(line)
    now = datetime.datetime.fromtimestamp(request['now'], datetime.timezone.utc)
    environment.globals['strftime_now'] = now.strftime
    try:
        print(json.dumps(environment.from_string(request['template']).render(**request['variables'])))
    except Exception:
        print('null')
`;

function ask(command, args, requests) {
  const run = spawnSync(command, args, { maxBuffer: 1 << 30,
    input: requests.map((request) => JSON.stringify(request) + '\n').join('') });
  if (run.status !== 0) throw new Error(`${command}: ${run.stderr}`);
  return run.stdout.toString().trim().split('\n').map((line) => JSON.parse(line));
}

function templatesOf(file) {
  const text = fs.readFileSync(file, 'utf8');
  if (!file.endsWith('.json')) return [[file, text]];
  const given = JSON.parse(text).chat_template;
  return typeof given === 'string' ? [[file, given]]
    : (given ?? []).map(({ name, template }) => [`${file}#${name}`, template]);
}

function show(name, found, expected) {
  let at = 0;
  while (found && expected && found[at] === expected[at]) ++at;
  const near = (text) => JSON.stringify(text?.slice(Math.max(0, at - 40), at + 80) ?? null);
  console.log(`  ${name}\n    found    ${near(found)}\n    expected ${near(expected)}`);
}

let failed = false;
for (const [name, template] of files.flatMap(templatesOf)) {
  const all = conversations(path.join(here, 'conversations.json'));
  const requests = all.map(([, variables]) => ({ template, variables, now: seconds }));
  const found = ask(flags.tool, [], requests);
  const other = flags.python ? ask('python3', ['-c', python], requests) : null;
  const counts = { npm: 0, python: 0, refused: 0 };
  for (const [i, [conversation, variables]] of all.entries()) {
    const text = found[i].text ?? null;
    counts.refused += text === null;
    const npm = render(template, variables);
    if (text !== npm) {
      ++counts.npm;
      show(`npm ${conversation} (${found[i].error ?? ''})`, text, npm);
    }
    if (other && text !== other[i]) {
      ++counts.python;
      show(`python ${conversation} (${found[i].error ?? ''})`, text, other[i]);
    }
  }
  console.log(`${name}: ${all.length} conversations, ${counts.refused} refused; differences: ` +
    `npm ${counts.npm}` + (other ? `, python ${counts.python}` : ''));
  failed ||= counts.npm > 0 || counts.python > 0;
}
process.exitCode = failed ? 1 : 0;

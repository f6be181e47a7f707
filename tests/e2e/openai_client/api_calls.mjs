// The unchanged `openai` client against a running server: node api_calls.mjs URL DOCUMENT
// DOCUMENT is the name of a stored document from which kQuestion is answered. Exits 1 at the first
// assertion that fails.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const kQuestion = 'What does Helen enjoy?';
const kAnswer = 'sailing';

const [url, document] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, timeout: 60_000 });
const messages = [{ role: 'user', content: kQuestion }];

async function refused(type, status, param, code, request) {
  await assert.rejects(client.chat.completions.create(request), (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    assert.equal(error.param ?? null, param);
    if (code) assert.equal(error.code, code);
    assert.ok(error.message.length > 10, error.message);
    return true;
  });
}

const models = (await client.models.list()).data;
assert.equal(models.length, 1);
const model = models[0].id;
assert.equal((await client.models.retrieve(model)).id, model);
await assert.rejects(client.models.retrieve('no-such-model'), OpenAI.NotFoundError);

const ask = { model, messages, documents: [document], temperature: 0 };

// Whole answers.
const whole = await client.chat.completions.create(ask);
assert.equal(whole.object, 'chat.completion');
assert.equal(whole.choices[0].message.role, 'assistant');
assert.equal(whole.choices[0].message.content, kAnswer);
assert.equal(whole.choices[0].finish_reason, 'stop');
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
assert.ok(whole.usage.prompt_tokens_details.cached_tokens > 0);
assert.deepEqual(whole.cache.documents, [document]);
assert.equal(
  whole.usage.prompt_tokens_details.cached_tokens,
  whole.usage.prompt_tokens - whole.cache.rows_computed,
);
for (const chunk of whole.cache.provenance) {
  assert.equal(chunk.outcome, 'loaded');
  for (const field of ['id', 'name', 'tier', 'preset']) assert.equal(typeof chunk[field], 'string');
  for (const field of ['level', 'rows', 'rows_computed', 'bytes_read']) {
    assert.equal(typeof chunk[field], 'number');
  }
}

const parts = [{ type: 'text', text: kQuestion }];
const inParts = await client.chat.completions.create({ ...ask, messages: [{ role: 'user', content: parts }] });
assert.equal(inParts.choices[0].message.content, kAnswer);

// Without documents nothing is cached, and that is said.
const alone = await client.chat.completions.create({ model, messages, max_tokens: 2 });
assert.equal(alone.usage.prompt_tokens_details.cached_tokens, 0);
assert.ok(alone.usage.completion_tokens <= 2);

const full = await client.chat.completions.create({ ...ask, link: { method: 'full' } });
assert.equal(full.choices[0].message.content, kAnswer);
assert.equal(full.usage.prompt_tokens_details.cached_tokens, 0);
assert.equal(full.usage.prompt_tokens, whole.usage.prompt_tokens);

// Streams: the same answer in pieces, usage only where it was asked for.
async function collect(options) {
  const seen = { text: '', usage: null, chunks: 0, cache: null, finish: null };
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, ...options })) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    seen.chunks += 1;
    seen.text += chunk.choices[0]?.delta.content ?? '';
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
    seen.cache = chunk.cache ?? seen.cache;
    if (chunk.usage) {
      assert.deepEqual(chunk.choices, []);
      seen.usage = chunk.usage;
    }
  }
  return seen;
}
const streamed = await collect({ stream_options: { include_usage: true } });
assert.equal(streamed.text, kAnswer);
assert.equal(streamed.finish, 'stop');
assert.ok(streamed.chunks >= 3);
assert.deepEqual(streamed.usage, whole.usage);
assert.equal(streamed.cache.rows_computed, whole.cache.rows_computed);
assert.equal((await collect({})).usage, null);

// Stop texts are no part of the answer.
const stopped = await client.chat.completions.create({ ...ask, stop: [kAnswer.slice(3)] });
assert.equal(stopped.choices[0].message.content, kAnswer.slice(0, 3));
assert.equal(stopped.choices[0].finish_reason, 'stop');

// Errors become the client's classes, and name the field.
const { BadRequestError, NotFoundError } = OpenAI;
await refused(NotFoundError, 404, 'model', 'model_not_found', { ...ask, model: 'no-such-model' });
await refused(NotFoundError, 404, 'documents[0]', 'document_not_found', { ...ask, documents: ['none.txt'] });
await refused(BadRequestError, 400, 'max_tokens', null, { ...ask, max_tokens: -1 });
await refused(BadRequestError, 400, 'max_tokens', null, { ...ask, max_tokens: 1e300 });
await refused(BadRequestError, 400, 'n', null, { ...ask, n: 17 });
await refused(BadRequestError, 400, 'tools', 'unsupported_value', {
  ...ask,
  tools: [{ type: 'function', function: { name: 'f' } }],
});
await refused(BadRequestError, 400, 'messages', null, { ...ask, messages: [] });
await refused(BadRequestError, 400, 'documents', null, { ...ask, documents: 'all' });
await refused(BadRequestError, 400, 'messages[0].content[0].type', null, {
  ...ask,
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }],
});
await refused(BadRequestError, 400, 'messages', 'context_length_exceeded', {
  ...ask,
  messages: [{ role: 'user', content: 'words and '.repeat(20000) }],
});

// Several choices: of a greedy answer all the same, of a sampled one by seed.
const choices = await client.chat.completions.create({ ...ask, n: 3 });
assert.deepEqual(choices.choices.map((choice) => choice.index), [0, 1, 2]);
for (const choice of choices.choices) assert.equal(choice.message.content, kAnswer);
assert.equal(choices.usage.prompt_tokens, whole.usage.prompt_tokens);
assert.equal(choices.usage.completion_tokens, 3 * whole.usage.completion_tokens);
const byIndex = ['', '', ''];
for await (const chunk of await client.chat.completions.create({ ...ask, n: 3, stream: true })) {
  for (const choice of chunk.choices) byIndex[choice.index] += choice.delta.content ?? '';
}
assert.deepEqual(byIndex, [kAnswer, kAnswer, kAnswer]);

// Text completions: whole, streamed, several prompts, with logprobs.
const prompt = `Question: ${kQuestion}\nAnswer:`;
const complete = { model, prompt, max_tokens: 4, temperature: 0 };
const text = await client.completions.create({ ...complete, logprobs: 2 });
assert.equal(text.object, 'text_completion');
assert.equal(text.choices[0].logprobs.tokens.length, text.usage.completion_tokens);
assert.equal(text.choices[0].logprobs.text_offset[0], 0);
let streamedText = '';
let textUsage = null;
for await (const chunk of await client.completions.create({
  ...complete,
  stream: true,
  stream_options: { include_usage: true },
})) {
  streamedText += chunk.choices[0]?.text ?? '';
  textUsage = chunk.usage ?? textUsage;
}
assert.equal(streamedText, text.choices[0].text);
assert.equal(textUsage.completion_tokens, text.usage.completion_tokens);
const several = await client.completions.create({ ...complete, prompt: [prompt, 'Once', prompt] });
assert.equal(several.choices.length, 3);
assert.equal(several.choices[0].text, text.choices[0].text);
assert.equal(several.choices[2].text, text.choices[0].text);
await assert.rejects(client.completions.create({ ...complete, echo: true }), (error) => {
  assert.ok(error instanceof BadRequestError);
  assert.equal(error.param, 'echo');
  return true;
});

// Thirty-two at a time, of which some leave in the middle.
const many = await Promise.all(
  Array.from({ length: 32 }, async (_, i) => {
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    let answer = '';
    for await (const chunk of stream) {
      answer += chunk.choices[0]?.delta.content ?? '';
      if (i % 4 === 3) return null;
    }
    return answer;
  }),
);
for (const [i, answer] of many.entries()) assert.equal(answer, i % 4 === 3 ? null : kAnswer);

// An answer that is aborted is none.
const aborter = new AbortController();
const aborted = client.chat.completions.create({ ...ask, stream: true }, { signal: aborter.signal });
aborter.abort();
await assert.rejects(aborted, OpenAI.APIUserAbortError);

// A stream that is left does not take the server with it.
const left = await client.chat.completions.create({ ...ask, stream: true });
for await (const chunk of left) {
  assert.ok(chunk);
  break;
}
assert.equal((await client.chat.completions.create(ask)).choices[0].message.content, kAnswer);
console.log('all calls as expected');

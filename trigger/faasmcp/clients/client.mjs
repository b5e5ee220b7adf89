// Calls the tools of trigger/faasmcp with the TypeScript SDK of MCP, which hosts of
// agents use.
//
//	node client.mjs SERVER URL
//
// SERVER is the program to start, for stdio. URL is a server over HTTP.
// The SDK checks each structured answer by the output schema of its tool.

import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [program, url] = process.argv.slice(2);

const failure = (result) => result._meta?.["inproc.faas/failure"]?.outcome;

async function schemas(client) {
	const { tools } = await client.listTools();
	assert.deepEqual(tools.map((t) => t.name).sort(), ["big", "broken", "open", "search", "wait"]);
	const search = tools.find((t) => t.name === "search");
	assert.deepEqual(search.inputSchema.properties.text, { type: "string", description: "what to look for" });
	assert.deepEqual(search.outputSchema.properties.id, { type: "string" });
}

async function manyAtOnce(client) {
	const calls = Array.from({ length: 200 }, (_, i) => client.callTool({ name: "search", arguments: { text: String(i) } }));
	const ids = new Set();
	for (const [i, result] of (await Promise.all(calls)).entries()) {
		assert.ok(!result.isError, JSON.stringify(result.content));
		const { id, found, took, more } = result.structuredContent;
		assert.deepEqual({ found, took, more }, { found: `all about ${i}`, took: "0", more: [1, "two", null] });
		ids.add(id);
	}
	assert.equal(ids.size, 200);
}

// The SDK closes a session that is sent more than it reads, and loses its other calls.
async function longAnswers(client) {
	const waiting = client.callTool({ name: "wait" });
	const sizes = [5.5 * 1024 * 1024, 2.2 * 1024 * 1024, 5.9 * 1024 * 1024].map(Math.floor);
	for (const bytes of sizes) {
		const long = await client.callTool({ name: "big", arguments: { bytes } });
		assert.ok(long.isError, `${bytes} bytes, which are sent twice`);
		assert.equal(failure(long), "OutputInvalid");
		const [, said] = long.content[0].text.match(/its answer is (\d+) bytes long/);
		assert.ok(Number(said) > 2 * bytes, long.content[0].text);
	}
	const fits = await client.callTool({ name: "big", arguments: { bytes: "2000000" } });
	assert.equal(fits.structuredContent.output.length, 2000000);
	await client.callTool({ name: "open" });
	assert.equal((await waiting).structuredContent.output, "opened");
}

async function failures(client) {
	const broken = await client.callTool({ name: "broken" });
	assert.ok(broken.isError);
	assert.equal(failure(broken), "Panicked");
	const misfit = await client.callTool({ name: "search", arguments: { text: 5 } });
	assert.ok(misfit.isError);
	assert.match(misfit.content[0].text, /text/);
	await assert.rejects(client.callTool({ name: "nobody" }), /unknown tool/);
}

const transports = {
	stdio: () => new StdioClientTransport({ command: program, args: ["-stdio"] }),
	http: () => new StreamableHTTPClientTransport(new URL(url)),
};
for (const [name, transport] of Object.entries(transports)) {
	const client = new Client({ name: "clients", version: "1.0.0" });
	let closed = "";
	await client.connect(transport());
	client.onclose = () => (closed ||= "the session was closed");
	client.onerror = (error) => (closed ||= String(error));
	for (const check of [schemas, manyAtOnce, longAnswers, failures, manyAtOnce]) {
		await check(client);
		assert.equal(closed, "", `${name}: ${check.name}`);
	}
	client.onerror = undefined; // the end of the stream is no error here
	await client.close();
	console.log(`ok: ${name}`);
}

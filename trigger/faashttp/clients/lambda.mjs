// Calls examples/server with the AWS SDK for JavaScript, as a user would.
//
//	node --test lambda.mjs, with the server's address in the variable URL
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  GetAccountSettingsCommand, GetFunctionCommand, InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient,
  paginateListFunctions, ResourceNotFoundException, TooManyRequestsException, waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";

const once = { endpoint: process.env.URL, region: "us-east-1", maxAttempts: 1 };
const aws = new LambdaClient(once);
const invoke = (FunctionName, payload, more) =>
  aws.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(payload), ...more }));
const read = (answer) => JSON.parse(answer.Payload.transformToString());

async function refused(call, status, name) {
  const e = await call.then(() => assert.fail("it was not refused"), (e) => e);
  assert.equal(e.name, name);
  assert.equal(e.$metadata.httpStatusCode, status);
  return e;
}

test("an answer is the handler's JSON", async () => {
  const answer = await invoke("echo", { a: [1, "ü", "<&>"] });
  assert.equal(answer.StatusCode, 200);
  assert.equal(answer.ExecutedVersion, "$LATEST");
  assert.equal(answer.FunctionError, undefined);
  assert.deepEqual(read(answer), { a: [1, "ü", "<&>"] });
  assert.equal(answer.$metadata.requestId.length, 36);
});

test("a function is found by its names", async () => {
  const arn = "arn:aws:lambda:us-east-1:000000000000:function:echo";
  for (const name of ["echo", "echo:$LATEST", "000000000000:echo", "000000000000:function:echo", arn, arn + ":$LATEST"]) {
    assert.equal(read(await invoke(name, 1)), 1, name);
  }
  assert.equal(read(await invoke("echo", 1, { Qualifier: "$LATEST" })), 1);
  await refused(invoke("echo", 1, { Qualifier: "7" }), 404, "ResourceNotFoundException");
});

test("the log's tail comes with the answer", async () => {
  const log = Buffer.from((await invoke("echo", 1, { LogType: "Tail" })).LogResult, "base64").toString();
  assert.match(log, /^START RequestId: .*\n(.*\n)*.*msg=echo bytes=1/);
});

test("an event is accepted, and a dry run runs nothing", async () => {
  assert.equal((await invoke("echo", 1, { InvocationType: "Event" })).StatusCode, 202);
  assert.equal((await invoke("echo", 1, { InvocationType: "DryRun" })).StatusCode, 204);
});

test("a function's error is told as Lambda tells it", async () => {
  const failed = await invoke("fail", 1);
  assert.equal(failed.FunctionError, "Unhandled");
  assert.deepEqual(read(failed), { errorMessage: "boom", errorType: "errorString" });
  assert.equal(read(await invoke("panicky", 1)).errorMessage, "out of cheese");
  assert.equal(read(await invoke("slow", 5000)).errorType, "Sandbox.Timedout");
  const half = await invoke("countdown", { From: 50 }); // a stream that breaks off, gathered to one answer
  assert.equal(read(half).errorType, "Sandbox.Timedout");
});

test("what is refused has the SDK's type", async () => {
  const missing = await refused(invoke("nobody", 1), 404, "ResourceNotFoundException");
  assert.ok(missing instanceof ResourceNotFoundException);
  assert.match(missing.message, /^Function not found: arn:aws:lambda:.*:function:nobody:\$LATEST$/);
  await refused(aws.send(new InvokeCommand({ FunctionName: "echo", Payload: "{" })), 400, "InvalidRequestContentException");
  const bytes = Uint8Array.from([0x22, 0xff, 0x22]);
  await refused(aws.send(new InvokeCommand({ FunctionName: "echo", Payload: bytes })), 400, "InvalidRequestContentException");
  await refused(aws.send(new InvokeCommand({ FunctionName: "echo", Payload: " ".repeat(6 << 20) + "1" })), 413, "RequestTooLargeException");
});

test("a throttle says whose limit it is", async () => {
  const calls = await Promise.allSettled(Array.from({ length: 8 }, () => invoke("slow", 900)));
  const throttled = calls.filter((c) => c.status === "rejected").map((c) => c.reason);
  assert.equal(throttled.length, 6, "two run, and there is no queue");
  for (const e of throttled) {
    assert.ok(e instanceof TooManyRequestsException);
    assert.equal(e.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
    assert.ok(Number(e.retryAfterSeconds) >= 1);
  }
  const patient = new LambdaClient({ ...once, maxAttempts: 10 }); // waits as long as Retry-After and its own backoff say
  const all = await Promise.all([1, 2, 3, 4].map(() => patient.send(new InvokeCommand({ FunctionName: "slow", Payload: "300" }))));
  assert.deepEqual(all.map(read), Array(4).fill("waited 300 ms"));
});

test("functions are listed page by page", async () => {
  const names = [];
  for await (const page of paginateListFunctions({ client: aws, pageSize: 2 }, {})) {
    names.push(...page.Functions.map((f) => f.FunctionName));
  }
  assert.deepEqual(names, ["bury", "countdown", "echo", "fail", "page", "panicky", "slow", "thumbnail"]);
  const slow = await aws.send(new GetFunctionCommand({ FunctionName: "slow" }));
  assert.equal(slow.Concurrency.ReservedConcurrentExecutions, 2);
  assert.equal((await aws.send(new GetAccountSettingsCommand({}))).AccountLimit.ConcurrentExecutions, 1000);
  await waitUntilFunctionActiveV2({ client: aws, maxWaitTime: 10 }, { FunctionName: "slow" });
});

test("a stream comes piece by piece, and says how it ended", async () => {
  const stream = async (from) => {
    const answer = await aws.send(new InvokeWithResponseStreamCommand({ FunctionName: "countdown", Payload: JSON.stringify({ From: from }) }));
    const pieces = [];
    let end;
    for await (const e of answer.EventStream) {
      if (e.PayloadChunk) pieces.push(Buffer.from(e.PayloadChunk.Payload).toString());
      end = e.InvokeComplete ?? end;
    }
    return { pieces, end };
  };
  const whole = await stream(3);
  assert.deepEqual(whole.pieces, ["3\n", "2\n", "1\n"]);
  assert.equal(whole.end.ErrorCode, undefined);
  const broken = await stream(50);
  assert.equal(broken.pieces[0], "50\n");
  assert.equal(broken.end.ErrorCode, "Unhandled");
  assert.match(broken.end.ErrorDetails, /Sandbox.Timedout/);
});

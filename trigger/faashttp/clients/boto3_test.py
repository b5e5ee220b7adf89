"""Calls examples/server with boto3, as a user would.

    boto3_test.py http://127.0.0.1:9000
"""

import base64
import concurrent.futures
import json
import os
import sys
import time
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL = sys.argv.pop()


def client():
    once = Config(retries={"max_attempts": 0}, read_timeout=10)
    return boto3.client("lambda", endpoint_url=URL, config=once)


class Lambda(unittest.TestCase):
    def setUp(self):
        self.aws = client()

    def invoke(self, name, payload, **more):
        return self.aws.invoke(FunctionName=name, Payload=json.dumps(payload), **more)

    def refused(self, status, code, call, *args, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        answer = caught.exception.response
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertEqual(answer["Error"]["Code"], code)
        return answer

    def failure(self, answer):
        self.assertEqual(answer["StatusCode"], 200)
        self.assertEqual(answer["FunctionError"], "Unhandled")
        return json.load(answer["Payload"])

    def test_echo(self):
        answer = self.invoke("echo", {"a": [1, "ü"]})
        self.assertEqual(answer["StatusCode"], 200)
        self.assertEqual(answer["ExecutedVersion"], "$LATEST")
        self.assertNotIn("FunctionError", answer)
        self.assertEqual(json.load(answer["Payload"]), {"a": [1, "ü"]})
        self.assertEqual(len(answer["ResponseMetadata"]["RequestId"]), 36)

    def test_names(self):
        arn = "arn:aws:lambda:us-east-1:000000000000:function:echo"
        for name in ("echo", "echo:$LATEST", "000000000000:echo", "000000000000:function:echo", arn, arn + ":$LATEST"):
            with self.subTest(name):
                self.assertEqual(json.load(self.invoke(name, 1)["Payload"]), 1)
        self.assertEqual(json.load(self.invoke("echo", 1, Qualifier="$LATEST")["Payload"]), 1)
        self.refused(404, "ResourceNotFoundException", self.invoke, "echo", 1, Qualifier="7")
        self.refused(404, "ResourceNotFoundException", self.invoke, arn.replace("us-", "eu-"), 1)

    def test_no_payload(self):
        self.assertEqual(json.load(self.aws.invoke(FunctionName="echo")["Payload"]), {})

    def test_log_tail(self):
        answer = self.invoke("echo", 1, LogType="Tail")
        log = base64.b64decode(answer["LogResult"]).decode()
        self.assertIn("START RequestId: " + answer["ResponseMetadata"]["RequestId"], log)
        self.assertIn("msg=echo bytes=1", log)

    def buried(self, id):
        """Waits for the dead letter, which bears the id that the event was answered."""
        log = os.environ.get("LOG")
        for _ in range(100 if log else 0):
            with open(log) as lines:
                if any("dead letter" in line and f"id={id} condition=RetriesExhausted attempts=3" in line for line in lines):
                    return
            time.sleep(0.1)
        if log:
            self.fail(f"no dead letter of {id}")

    def test_event_config(self):
        aws = self.aws
        config = aws.get_function_event_invoke_config(FunctionName="fail")
        self.assertEqual((config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]), (2, 21600))
        self.assertTrue(config["DestinationConfig"]["OnFailure"]["Destination"].endswith(":function:bury"))
        pages = aws.get_paginator("list_function_event_invoke_configs").paginate(FunctionName="echo", PaginationConfig={"PageSize": 1})
        arns = [c["FunctionArn"] for page in pages for c in page["FunctionEventInvokeConfigs"]]
        self.assertEqual([a.rsplit(":", 1)[1] for a in arns], ["$LATEST", "1", "2"])
        for call in (aws.put_function_event_invoke_config, aws.update_function_event_invoke_config, aws.delete_function_event_invoke_config):
            self.refused(400, "InvalidParameterValueException", call, FunctionName="fail")

    def test_event_and_dry_run(self):
        answer = self.invoke("echo", 1, InvocationType="Event")
        self.assertEqual((answer["StatusCode"], answer["Payload"].read()), (202, b""))
        answer = self.invoke("fail", "from boto3", InvocationType="Event")
        self.assertEqual(answer["StatusCode"], 202)
        self.buried(answer["ResponseMetadata"]["RequestId"])
        answer = self.invoke("echo", 1, InvocationType="DryRun")
        self.assertEqual((answer["StatusCode"], answer["Payload"].read()), (204, b""))

    def test_function_errors(self):
        self.assertEqual(
            self.failure(self.invoke("fail", 1)), {"errorMessage": "boom", "errorType": "errorString"}
        )
        panicked = self.failure(self.invoke("panicky", 1))
        self.assertEqual((panicked["errorMessage"], panicked["errorType"]), ("out of cheese", "string"))
        self.assertEqual(set(panicked["stackTrace"][0]), {"path", "line", "label"})
        answer = self.invoke("slow", 5000)
        late = self.failure(answer)
        self.assertEqual(late["errorType"], "Sandbox.Timedout")
        self.assertEqual(
            late["errorMessage"],
            "RequestId: %s Error: Task timed out after 1.00 seconds" % answer["ResponseMetadata"]["RequestId"],
        )

    def test_not_found(self):
        answer = self.refused(404, "ResourceNotFoundException", self.invoke, "nobody", 1)
        self.assertEqual(
            answer["Error"]["Message"],
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST",
        )
        self.assertEqual(answer["Type"], "User")
        with self.assertRaises(self.aws.exceptions.ResourceNotFoundException):
            self.aws.get_function(FunctionName="nobody")

    def test_bad_json(self):
        self.refused(400, "InvalidRequestContentException", self.aws.invoke, FunctionName="echo", Payload=b"{")

    def test_too_large(self):
        self.refused(413, "RequestTooLargeException", self.aws.invoke, FunctionName="echo", Payload=b" " * (6 << 20) + b"1")

    def test_throttled(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(client().invoke, FunctionName="slow", Payload="900") for _ in range(8)]
        errors = [c.exception() for c in calls if c.exception()]
        self.assertEqual(len(errors), 6, "two run, and there is no queue")
        for e in errors:
            self.assertEqual(e.response["Error"]["Code"], "TooManyRequestsException")
            self.assertEqual(e.response["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded")
            self.assertEqual(e.response["ResponseMetadata"]["HTTPStatusCode"], 429)
            self.assertGreaterEqual(int(e.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]), 1)

    def test_list(self):
        pages = self.aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
        names = [f["FunctionName"] for page in pages for f in page["Functions"]]
        self.assertEqual(names, ["bury", "countdown", "echo", "fail", "page", "panicky", "slow", "thumbnail"])

    def test_release(self):
        def executed(n):
            answers = [self.invoke("echo", 1, Qualifier="canary")["ExecutedVersion"] for _ in range(n)]
            return {v: answers.count(v) for v in set(answers)}

        aws, alias = self.aws, {"FunctionName": "echo", "Name": "canary"}
        self.addCleanup(aws.delete_alias, **alias)
        made = aws.create_alias(FunctionVersion="1", **alias)
        self.assertEqual((made["FunctionVersion"], made["Description"], "RoutingConfig" in made), ("1", "", False))
        self.refused(409, "ResourceConflictException", aws.create_alias, FunctionVersion="1", **alias)
        self.assertEqual(executed(5), {"1": 5})

        tenth = {"AdditionalVersionWeights": {"2": 0.1}}
        moved = aws.update_alias(RoutingConfig=tenth, RevisionId=made["RevisionId"], **alias)
        self.assertEqual((moved["FunctionVersion"], moved["RoutingConfig"]), ("1", tenth))
        share = executed(100)
        self.assertLessEqual(abs(share["2"] - 10), 1, share)
        self.refused(412, "PreconditionFailedException", aws.update_alias, RevisionId=made["RevisionId"], **alias)
        got = aws.get_alias(**alias)
        self.assertEqual((got["RevisionId"], got["RoutingConfig"]), (moved["RevisionId"], tenth))

        aws.update_alias(RoutingConfig={"AdditionalVersionWeights": {}}, **alias)
        self.assertEqual(executed(5), {"1": 5})
        pages = aws.get_paginator("list_aliases").paginate(FunctionName="echo", PaginationConfig={"PageSize": 1})
        self.assertEqual([a["Name"] for page in pages for a in page["Aliases"]], ["canary"])
        pages = aws.get_paginator("list_versions_by_function").paginate(FunctionName="echo", PaginationConfig={"PageSize": 1})
        self.assertEqual([v["Version"] for page in pages for v in page["Versions"]], ["$LATEST", "1", "2"])
        self.refused(400, "InvalidParameterValueException", aws.publish_version, FunctionName="echo")
        refused = self.refused(400, "InvalidParameterValueException", self.invoke, "echo:1", 1, Qualifier="2")
        self.assertIn("does not match the specified qualifier", refused["Error"]["Message"])

    def test_get(self):
        got = self.aws.get_function(FunctionName="slow")
        self.assertEqual(got["Concurrency"]["ReservedConcurrentExecutions"], 2)
        configuration = self.aws.get_function_configuration(FunctionName="slow")
        for c in (got["Configuration"], configuration):
            self.assertEqual((c["FunctionName"], c["Timeout"], c["MemorySize"]), ("slow", 1, 128))
        self.aws.get_waiter("function_active_v2").wait(FunctionName="slow")
        self.assertEqual(self.aws.get_account_settings()["AccountLimit"]["ConcurrentExecutions"], 1000)

    def test_stream(self):
        if not hasattr(self.aws, "invoke_with_response_stream"):
            self.skipTest("this boto3 is older than response streaming")
        answer = self.aws.invoke_with_response_stream(FunctionName="countdown", Payload='{"From": 3}')
        events = list(answer["EventStream"])
        chunks = [e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e]
        self.assertEqual(chunks, [b"3\n", b"2\n", b"1\n"])
        self.assertIn("InvokeComplete", events[-1])


unittest.main(verbosity=1)

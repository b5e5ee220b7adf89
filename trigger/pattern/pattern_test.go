package pattern_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/trigger/pattern"
)

// The patterns, and the values that they match, are the examples of
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
// and of the pages it belongs to (eb-event-patterns, eb-event-patterns-arrays,
// eb-event-patterns-null-values). The events have only the fields that the patterns
// name.
func TestTheExamplesOfEventBridgesDocumentationHold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text    string
		match, differ []string
	}{
		{
			"exact values", `{"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": ["terminated"]}}`,
			[]string{`{"version": "0", "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {"instance-id": "i-1234567890abcdef0", "state": "terminated"}}`},
			[]string{
				`{"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {"state": "running"}}`,
				`{"source": "aws.ec2", "detail": {"state": "terminated"}}`,
				`{"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": "terminated"}`,
			},
		},
		{"and", `{"Location": ["New York"], "Day": ["Monday"]}`, []string{`{"Location": "New York", "Day": "Monday"}`}, []string{`{"Location": "New York", "Day": "Friday"}`}},
		{"or of values", `{"PaymentType": ["Credit", "Debit"]}`, []string{`{"PaymentType": "Debit"}`}, []string{`{"PaymentType": "Cash"}`, `{}`}},
		{
			"prefix", `{"time": [{"prefix": "2017-10-02"}]}`,
			[]string{`{"time": "2017-10-02T18:43:48Z"}`},
			[]string{`{"time": "2017-10-03T18:43:48Z"}`, `{"time": 2017}`},
		},
		{
			"prefix, ignoring case", `{"service": [{"prefix": {"equals-ignore-case": "EventB"}}]}`,
			[]string{`{"service": "EventBridge"}`, `{"service": "EVENTBRIDGE"}`, `{"service": "eventbridge"}`, `{"service": "eventb"}`},
			[]string{`{"service": "Event"}`, `{"service": "AnEventBridge"}`, `{"service": 1}`},
		},
		{"suffix", `{"FileName": [{"suffix": ".png"}]}`, []string{`{"FileName": "a.png"}`}, []string{`{"FileName": "a.png.txt"}`, `{"FileName": "a.PNG"}`}},
		{
			"suffix, ignoring case", `{"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}`,
			[]string{`{"FileName": "a.PNG"}`, `{"FileName": "a.png"}`},
			[]string{`{"FileName": "png"}`, `{"FileName": null}`},
		},
		{
			"anything but", `{"detail": {"state": [{"anything-but": "initializing"}]}}`,
			[]string{`{"detail": {"state": "running"}}`, `{"detail": {"state": 5}}`},
			[]string{`{"detail": {"state": "initializing"}}`, `{"detail": {}}`, `{}`},
		},
		{"anything but a number", `{"detail": {"x-limit": [{"anything-but": 123}]}}`, []string{`{"detail": {"x-limit": 124}}`}, []string{`{"detail": {"x-limit": 123}}`}},
		{
			"anything but a list", `{"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}`,
			[]string{`{"detail": {"state": "running"}}`},
			[]string{`{"detail": {"state": "stopped"}}`, `{"detail": {"state": "overloaded"}}`},
		},
		{"anything but numbers", `{"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}`, []string{`{"detail": {"x-limit": 301.8}}`}, []string{`{"detail": {"x-limit": 200}}`}},
		{
			"anything but, ignoring case", `{"detail": {"state": [{"anything-but": {"equals-ignore-case": "initializing"}}]}}`,
			[]string{`{"detail": {"state": "running"}}`},
			[]string{`{"detail": {"state": "INITIALIZING"}}`},
		},
		{
			"anything but a list, ignoring case", `{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]}}`,
			[]string{`{"detail": {"state": "running"}}`},
			[]string{`{"detail": {"state": "Stopped"}}`, `{"detail": {"state": "Initializing"}}`},
		},
		{"anything but a prefix", `{"Region": [{"anything-but": {"prefix": "us-"}}]}`, []string{`{"Region": "eu-west-1"}`}, []string{`{"Region": "us-east-1"}`}},
		{"anything but prefixes", `{"detail": {"state": [{"anything-but": {"prefix": ["init", "stop"]}}]}}`, []string{`{"detail": {"state": "running"}}`}, []string{`{"detail": {"state": "stopped"}}`}},
		{"anything but a suffix", `{"FileName": [{"anything-but": {"suffix": ".txt"}}]}`, []string{`{"FileName": "a.png"}`}, []string{`{"FileName": "a.txt"}`}},
		{"anything but suffixes", `{"FileName": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}`, []string{`{"FileName": "a.png"}`}, []string{`{"FileName": "a.rtf"}`}},
		{"anything but a wildcard", `{"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]}`, []string{`{"FilePath": "/usr/bin/x"}`}, []string{`{"FilePath": "/usr/lib/x"}`}},
		{"anything but wildcards", `{"FilePath": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}`, []string{`{"FilePath": "/etc/x"}`}, []string{`{"FilePath": "/usr/bin/x"}`}},
		{
			"numeric", `{"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"numeric": ["=", 3.018e2]}]}}`,
			[]string{`{"detail": {"c-count": 5, "d-count": 3, "x-limit": 301.8}}`},
			[]string{
				`{"detail": {"c-count": 0, "d-count": 3, "x-limit": 301.8}}`, `{"detail": {"c-count": 6, "d-count": 3, "x-limit": 301.8}}`,
				`{"detail": {"c-count": 5, "d-count": 10, "x-limit": 301.8}}`, `{"detail": {"c-count": 5, "d-count": 3, "x-limit": 301.81}}`,
				`{"detail": {"c-count": "5", "d-count": 3, "x-limit": 301.8}}`,
			},
		},
		{"numeric, more than 10 and at most 20", `{"Price": [{"numeric": [">", 10, "<=", 20]}]}`, []string{`{"Price": 20}`, `{"Price": 10.5}`}, []string{`{"Price": 10}`, `{"Price": 20.01}`}},
		{
			"cidr", `{"detail": {"sourceIPAddress": [{"cidr": "10.0.0.0/24"}]}}`,
			[]string{`{"detail": {"sourceIPAddress": "10.0.0.33"}}`},
			[]string{`{"detail": {"sourceIPAddress": "10.0.1.33"}}`, `{"detail": {"sourceIPAddress": "aws.amazon.com"}}`, `{"detail": {"sourceIPAddress": ""}}`},
		},
		{"cidr, v6", `{"ip": [{"cidr": "2001:db8::/32"}]}`, []string{`{"ip": "2001:db8::1"}`}, []string{`{"ip": "2001:db9::1"}`, `{"ip": "10.0.0.1"}`}},
		{
			"exists", `{"detail": {"state": [{"exists": true}]}}`,
			[]string{`{"detail": {"state": "terminated"}}`, `{"detail": {"state": null}}`},
			[]string{`{"detail": {}}`, `{"detail": {"state": {"a": 1}}}`, `{"detail": {"state": []}}`},
		},
		{
			"exists not", `{"detail-type": ["EC2 Instance State-change Notification"], "detail": {"c-count": [{"exists": false}]}}`,
			[]string{
				`{"detail-type": "EC2 Instance State-change Notification", "detail": {"state": "terminated"}}`,
				`{"detail-type": "EC2 Instance State-change Notification", "detail": {"c-count": {"c1": 100}}}`,
				`{"detail-type": "EC2 Instance State-change Notification"}`,
			},
			[]string{`{"detail-type": "EC2 Instance State-change Notification", "detail": {"c-count": 1}}`},
		},
		{"exists not, or a value", `{"c": [{"exists": false}, 5]}`, []string{`{}`, `{"c": 5}`}, []string{`{"c": 6}`}},
		{
			"equals, ignoring case", `{"detail-type": [{"equals-ignore-case": "ec2 instance state-change notification"}]}`,
			[]string{`{"detail-type": "EC2 Instance State-change Notification"}`},
			[]string{`{"detail-type": "EC2 Instance"}`},
		},
		{
			"wildcard", `{"EventBusArn": [{"wildcard": "arn:aws:events:us-east-1:*:event-bus/*"}]}`,
			[]string{`{"EventBusArn": "arn:aws:events:us-east-1:123456789012:event-bus/default"}`, `{"EventBusArn": "arn:aws:events:us-east-1::event-bus/"}`},
			[]string{`{"EventBusArn": "arn:aws:events:us-west-1:123456789012:event-bus/default"}`},
		},
		{
			"wildcard in a folder", `{"FileName": [{"wildcard": "dir/*.png"}]}`,
			[]string{`{"FileName": "dir/a.png"}`, `{"FileName": "dir/a/b.png"}`, `{"FileName": "dir/.png"}`},
			[]string{`{"FileName": "dir.png"}`, `{"FileName": "dir/a.txt"}`},
		},
		{"wildcard, escaped", `{"a": [{"wildcard": "\\**\\\\"}]}`, []string{`{"a": "*x\\"}`, `{"a": "*\\"}`}, []string{`{"a": "x\\"}`, `{"a": "*"}`}},
		{
			"or of fields", `{"source": ["aws.cloudwatch"], "$or": [{"metricName": ["CPUUtilization", "ReadLatency"]}, {"metricType": ["MetricType"], "namespace": ["AWS/EC2", "AWS/ES"]}]}`,
			[]string{`{"source": "aws.cloudwatch", "metricName": "ReadLatency"}`, `{"source": "aws.cloudwatch", "metricType": "MetricType", "namespace": "AWS/ES"}`},
			[]string{`{"source": "aws.cloudwatch", "metricType": "MetricType"}`, `{"source": "aws.ec2", "metricName": "ReadLatency"}`},
		},
		{
			"or below", `{"detail": {"$or": [{"c-count": [{"numeric": [">", 0, "<=", 5]}]}, {"d-count": [{"numeric": ["<", 10]}]}, {"x-limit": [{"numeric": ["=", 3.018e2]}]}]}}`,
			[]string{`{"detail": {"c-count": 1}}`, `{"detail": {"d-count": 9, "c-count": 6}}`, `{"detail": {"x-limit": 301.8}}`},
			[]string{`{"detail": {"c-count": 6}}`, `{"detail": {}}`},
		},
		{
			"the complex example", `{"time": [{"prefix": "2017-10-02"}], "detail": {"state": [{"anything-but": "initializing"}], "c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"anything-but": [100, 200, 300]}]}}`,
			[]string{`{"time": "2017-10-02T16:24:49Z", "detail": {"c-count": 5, "d-count": 3, "x-limit": 301.8, "source-ip": "10.0.0.33", "state": "running"}}`},
			[]string{`{"time": "2017-10-02T16:24:49Z", "detail": {"c-count": 5, "d-count": 3, "x-limit": 300, "state": "running"}}`},
		},
		{
			"arrays intersect", `{"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-b188560f", "arn:aws:ec2:us-east-1:111122223333:instance/i-b188560f"]}`,
			[]string{`{"resources": ["a", "arn:aws:ec2:us-east-1:111122223333:instance/i-b188560f"]}`},
			[]string{`{"resources": ["a"]}`, `{"resources": []}`},
		},
		{"null", `{"detail": {"UserID": [null]}}`, []string{`{"detail": {"UserID": null}}`}, []string{`{"detail": {"UserID": ""}}`, `{"detail": {}}`}},
		{"empty", `{"LastName": [""]}`, []string{`{"LastName": ""}`}, []string{`{"LastName": null}`, `{}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := pattern.Compile(c.text)
			require.NoError(t, err)
			require.Equal(t, c.text, p.String())
			for _, e := range c.match {
				requireMatch(t, p, e, true)
			}
			for _, e := range c.differ {
				requireMatch(t, p, e, false)
			}
		})
	}
}

func requireMatch(t *testing.T, p pattern.Pattern, event string, want bool) {
	t.Helper()
	got, err := p.MatchJSON([]byte(event))
	require.NoError(t, err)
	require.Equal(t, want, got, "%s for %s", p, event)
}

// These cases are missing in the documentation, or this package decides them differently.
func TestTheLanguageAtItsEdges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, event string
		want        bool
	}{
		{`{}`, `{"a": 1}`, true},
		{`{}`, `5`, false},
		{`{"a": [300]}`, `{"a": 3.0e2}`, true},
		{`{"a": [9007199254740993]}`, `{"a": 9007199254740992}`, false}, // float64 has one value for both
		{`{"a": [9007199254740993]}`, `{"a": 9007199254740993}`, true},
		{`{"a": [{"numeric": [">", 9007199254740992]}]}`, `{"a": 9007199254740993}`, true},
		{`{"a": [18446744073709551615]}`, `{"a": 18446744073709551614}`, false},
		{`{"a": [18446744073709551615]}`, `{"a": 18446744073709551615}`, true},
		{`{"a": [{"anything-but": [18446744073709551615]}]}`, `{"a": 18446744073709551614}`, true},
		{`{"a": [{"numeric": ["<", 18446744073709551615]}]}`, `{"a": 18446744073709551614}`, true},
		{`{"a": [-9223372036854775809]}`, `{"a": -9223372036854775808}`, false},
		{`{"a": [0.1]}`, `{"a": 0.1000000000000000055511151231257827}`, false}, // which is what float64 makes of 0.1
		{`{"a": [0.30]}`, `{"a": 3e-1}`, true},
		{`{"a": [{"numeric": [">", 9007199254740993]}]}`, `{"a": 9007199254740993.5}`, true},
		{`{"a": [1e400]}`, `{"a": 1e400}`, true},
		{`{"a": [1e400]}`, `{"a": 1e401}`, false},
		{`{"a": [{"numeric": [">", 1, "<", 1e400]}]}`, `{"a": 9.9e399}`, true},
		{`{"a": [{"numeric": [">", 1e-400]}]}`, `{"a": 0}`, false},
		{`{"a": [{"numeric": ["<", 0]}]}`, `{"a": -1e-99999999999999999999}`, true},
		{`{"a": [{"numeric": [">", 1e400]}]}`, `{"a": 1e99999999999999999999}`, true},
		{`{"a": [0]}`, `{"a": -0.00e7}`, true},
		{`{"a": ["1"]}`, `{"a": 1}`, false},
		{`{"a": [1]}`, `{"a": "1"}`, false},
		{`{"a": [1]}`, `{"a": 1e999}`, false},
		{`{"a": [true]}`, `{"a": true}`, true},
		{`{"a": [true]}`, `{"a": "true"}`, false},
		{`{"a": {"b": [1], "c": [2]}}`, `{"a": [{"b": 1, "c": 3}, {"b": 4, "c": 2}]}`, false}, // two elements don't make one
		{`{"a": {"b": [1], "c": [2]}}`, `{"a": [{"b": 4}, {"b": 1, "c": 2}]}`, true},
		{`{"a": {"b": [1]}}`, `{"a": [[{"b": 1}]]}`, true},
		{`{"a": [1]}`, `{"a": [[2], [[1]]]}`, true},
		{`{"a": {"b": [{"exists": false}]}}`, `{"a": []}`, true},
		{`{"a": {"b": [{"exists": false}]}}`, `{"a": 5}`, true},
		{`{"a": {"b": [{"exists": false}]}}`, `{"a": [{"b": 1}]}`, false},
		{`{"a": [{"anything-but": "x"}]}`, `{"a": ["x", "y"]}`, true},
		{`{"a": [{"anything-but": "x"}]}`, `{"a": null}`, true},
		{`{"a": [{"anything-but": {"prefix": "x"}}]}`, `{"a": 5}`, true},
		{`{"a/b~c": ["x"]}`, `{"a/b~c": "x"}`, true},
		{`{"a": [{"wildcard": "*"}]}`, `{"a": ""}`, true},
		{`{"a": [{"wildcard": "a*a"}]}`, `{"a": "a"}`, false}, // both ends need one
		{`{"a": [{"wildcard": "*a*b*"}]}`, `{"a": "xbxaxb"}`, true},
		{`{"a": [{"wildcard": "plain"}]}`, `{"a": "plain"}`, true},
		{`{"a": [{"prefix": {"equals-ignore-case": "\u017f"}}]}`, `{"a": "Sx"}`, true}, // the long s: two bytes for one
		{`{"a": [{"suffix": {"equals-ignore-case": "\u212a"}}]}`, `{"a": "xk"}`, true}, // the Kelvin sign: three
		{`{"a": [{"suffix": {"equals-ignore-case": "long"}}]}`, `{"a": "g"}`, false},
		{`{"a": [{"numeric": [">=", 5, "<=", 5]}]}`, `{"a": 5}`, true},
		{`{"a": [{"numeric": ["<", 5, ">=", 1]}]}`, `{"a": 1}`, true},
		{`{"a": [{"cidr": "10.0.0.7/24"}]}`, `{"a": "10.0.0.1"}`, true},
		{`{"a": [{"cidr": "10.0.0.0/24"}]}`, `{"a": "::ffff:10.0.0.1"}`, true},
		{`{"a": [{"cidr": "::ffff:10.0.0.0/120"}]}`, `{"a": "10.0.0.1"}`, true},
		{`{"a": [{"cidr": "::ffff:10.0.0.0/120"}]}`, `{"a": "::ffff:10.0.0.1"}`, true},
		{`{"a": [{"cidr": "::ffff:10.0.0.0/120"}]}`, `{"a": "10.0.1.1"}`, false},
		{`{"a": [{"cidr": "::ffff:0:0/96"}]}`, `{"a": "192.0.2.7"}`, true},
		{`{"a": [{"cidr": "::ffff:0:0/96"}]}`, `{"a": "2001:db8::1"}`, false},
		{`{"a": [{"cidr": "::/0"}]}`, `{"a": "::ffff:10.0.0.1"}`, true},
		{`{"a": [{"cidr": "::/0"}]}`, `{"a": "10.0.0.1"}`, false},
		{`{"a": [{"cidr": "fe80::/10"}]}`, `{"a": "fe80::1%eth0"}`, true},
		{`{"$or": [{"a": [1]}, {"$or": [{"b": [1]}, {"c": [1]}]}], "d": [1]}`, `{"c": 1, "d": 1}`, true},
		{`{"$or": [{"a": [1]}, {"$or": [{"b": [1]}, {"c": [1]}]}], "d": [1]}`, `{"c": 1}`, false},
		{`{"a": [1]}`, `{"a": 2, "a": 1}`, true}, // the last key counts, as it does for the function
	} {
		p, err := pattern.Compile(c.text)
		require.NoError(t, err, c.text)
		requireMatch(t, p, c.event, c.want)
	}
	require.Equal(t, "{}", pattern.Pattern{}.String())
	_, err := pattern.Pattern{}.MatchJSON([]byte(`{} {}`))
	require.Error(t, err)
	_, err = pattern.Pattern{}.MatchJSON([]byte(`{`))
	require.Error(t, err)
}

func TestAMistakeInAPatternIsNamedByItsPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, problem string }{
		{``, "", "not JSON"},
		{`{`, "", "not JSON"},
		{`{} x`, "", "follows"},
		{`5`, "", "an object of fields"},
		{`[]`, "", "an array"},
		{`{"a": "x"}`, "/a", `["x"]`},
		{`{"a": 5}`, "/a", "[5]"},
		{`{"a": []}`, "/a", "empty array"},
		{`{"a": {}}`, "/a", "exists"},
		{`{"a": [1], "a": [2]}`, "/a", "twice"},
		{`{"a/b": {"~": [{}]}}`, "/a~1b/~0/0", "object with one field"},
		{`{"a": [1, [2]]}`, "/a/1", "array can't be a value"},
		{`{"a": [{"prefix": "x", "suffix": "y"}]}`, "/a/0", "this has 2"},
		{`{"a": [{"perfix": "x"}]}`, "/a/0/perfix", "the operators are prefix"},
		{`{"a": [{"prefix": 5}]}`, "/a/0/prefix", "the number 5"},
		{`{"a": [{"prefix": {"suffix": "x"}}]}`, "/a/0/prefix/suffix", "equals-ignore-case"},
		{`{"a": [{"prefix": {"equals-ignore-case": ["x"]}}]}`, "/a/0/prefix/equals-ignore-case", "takes a text"},
		{`{"a": [{"equals-ignore-case": {"prefix": "x"}}]}`, "/a/0/equals-ignore-case", "an object"},
		{`{"a": [{"wildcard": "a**b"}]}`, "/a/0/wildcard", "in a row"},
		{`{"a": [{"wildcard": "a\\b"}]}`, "/a/0/wildcard", "backslash"},
		{`{"a": [{"wildcard": "a\\"}]}`, "/a/0/wildcard", "backslash"},
		{`{"a": [{"anything-but": []}]}`, "/a/0/anything-but", "excludes nothing"},
		{`{"a": [{"anything-but": ["x", null]}]}`, "/a/0/anything-but/1", "null"},
		{`{"a": [{"anything-but": {"numeric": ["<", 1]}}]}`, "/a/0/anything-but/numeric", "takes prefix"},
		{`{"a": [{"anything-but": {"wildcard": ["x", "**"]}}]}`, "/a/0/anything-but/wildcard/1", "in a row"},
		{`{"a": [{"anything-but": {"prefix": []}}]}`, "/a/0/anything-but/prefix", "excludes nothing"},
		{`{"a": [{"anything-but": {}}]}`, "/a/0/anything-but", "one field"},
		{`{"a": [{"numeric": ["<"]}]}`, "/a/0/numeric", "one comparison or two"},
		{`{"a": [{"numeric": ["!", 1]}]}`, "/a/0/numeric/0", "one of <"},
		{`{"a": [{"numeric": ["<", "1"]}]}`, "/a/0/numeric/1", "this must be a number"},
		{`{"a": [{"numeric": ["<", 1, ">", 5]}]}`, "/a/0/numeric", "no number"},
		{`{"a": [{"numeric": ["<", 1, "<", 5]}]}`, "/a/0/numeric", "lower bound"},
		{`{"a": [{"numeric": [">", 5, "<=", 5]}]}`, "/a/0/numeric", "no number"},
		{`{"a": [{"cidr": "10.0.0.1"}]}`, "/a/0/cidr", "block"},
		{`{"a": [{"cidr": 10}]}`, "/a/0/cidr", "takes a text"},
		{`{"a": [{"exists": "yes"}]}`, "/a/0/exists", "true or false"},
		{`{"$or": [{"a": [1]}]}`, "/$or", "two patterns"},
		{`{"$or": {"a": [1]}}`, "/$or", "an object"},
		{`{"$or": [{"a": [1]}, {}]}`, "/$or/1", "at least one field"},
		{`{"d": {"$or": [{"a": [1]}, {"b": [{"exists": 1}]}]}}`, "/d/$or/1/b/0/exists", "true or false"},
		{strings.Repeat(`{"a":`, 200), strings.Repeat("/a", 64), "deep"},
	} {
		_, err := pattern.Compile(c.text)
		var wrong *pattern.Error
		require.ErrorAs(t, err, &wrong, c.text)
		require.Equal(t, c.path, wrong.Path, c.text)
		require.Contains(t, wrong.Problem, c.problem, c.text)
		require.Contains(t, err.Error(), "pattern: ")
		require.Panics(t, func() { pattern.MustCompile(c.text) })
	}
}

// FuzzCompile looks for patterns that panic, and for patterns that match other events
// when they are compiled again from their text.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a": [1, "x", null, true]}`, `{"a": {"b": [{"prefix": {"equals-ignore-case": "x"}}]}}`,
		`{"$or": [{"a": [{"numeric": [">", 0, "<=", 5]}]}, {"b": [{"anything-but": {"wildcard": ["*/lib/*", "\\*"]}}]}]}`,
		`{"a": [{"cidr": "10.0.0.0/24"}, {"exists": false}, {"anything-but": [1, 2.5e3]}]}`,
	} {
		f.Add(seed, `{"a": {"b": [1, "x", {"c": null}]}, "b": "10.0.0.1"}`)
	}
	f.Fuzz(func(t *testing.T, text, event string) {
		p, err := pattern.Compile(text)
		if err != nil {
			var wrong *pattern.Error
			require.ErrorAs(t, err, &wrong, "every mistake has its place")
			return
		}
		one, err1 := p.MatchJSON([]byte(event))
		two, err2 := pattern.MustCompile(p.String()).MatchJSON([]byte(event))
		require.Equal(t, one, two)
		require.Equal(t, err1 == nil, err2 == nil)
	})
}

// FuzzNumeric compares with the rational numbers of math/big.
func FuzzNumeric(f *testing.F) {
	for _, seed := range [][2]string{{"18446744073709551615", "18446744073709551614"}, {"0.1", "1e-1"}, {"-0", "0.0"}, {"1e400", "1E+401"}, {"-1.50", "-15e-1"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := rational(a), rational(b)
		if x == nil || y == nil {
			t.Skip()
		}
		for op, want := range map[string]bool{"<": x.Cmp(y) < 0, "<=": x.Cmp(y) <= 0, "=": x.Cmp(y) == 0, ">=": x.Cmp(y) >= 0, ">": x.Cmp(y) > 0} {
			p, err := pattern.Compile(`{"a": [{"numeric": ["` + op + `", ` + b + `]}]}`)
			require.NoError(t, err)
			got, err := p.MatchJSON([]byte(`{"a": ` + a + `}`))
			require.NoError(t, err)
			require.Equal(t, want, got, "%s %s %s", a, op, b)
		}
	})
}

// rational returns nil for a text that is not a JSON number, and for a number that is too long to
// compute with.
func rational(s string) *big.Rat {
	if len(s) > 40 || s == "" || !strings.Contains("-0123456789", s[:1]) || !json.Valid([]byte(s)) || strings.TrimSpace(s) != s {
		return nil
	}
	if _, e, ok := strings.Cut(strings.ToLower(s), "e"); ok && len(e) > 4 {
		return nil
	}
	r, _ := new(big.Rat).SetString(s)
	return r
}

// FuzzWildcard compares with a plain recursive matcher.
func FuzzWildcard(f *testing.F) {
	f.Add("a*b", "axxb")
	f.Add("*a*b*", "xbxaxb")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, wild, text string) {
		if len(wild) > 12 || len(text) > 16 || strings.Contains(wild, "**") || strings.ContainsAny(wild+text, "\\\"") || !printable(wild+text) {
			t.Skip()
		}
		p, err := pattern.Compile(`{"a": [{"wildcard": "` + wild + `"}]}`)
		require.NoError(t, err)
		got, err := p.MatchJSON([]byte(`{"a": "` + text + `"}`))
		require.NoError(t, err)
		require.Equal(t, slowWildcard(wild, text), got)
	})
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func slowWildcard(wild, text string) bool {
	switch {
	case wild == "":
		return text == ""
	case wild[0] == '*':
		return slowWildcard(wild[1:], text) || text != "" && slowWildcard(wild, text[1:])
	}
	return text != "" && text[0] == wild[0] && slowWildcard(wild[1:], text[1:])
}

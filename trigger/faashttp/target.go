package faashttp

import "strings"

// latest is the version of what is registered.
const latest = "$LATEST"

// target is what a FunctionName of the Lambda API names: a function, and where.
type target struct {
	region, account string // empty: this one
	name            string
	qualifier       string // empty: latest
}

// maxTarget is the longest FunctionName that the API takes.
const maxTarget = 170

// parseTarget reads the forms of a FunctionName: name, name:qualifier,
// account:name, account:function:name (a partial ARN) and the full ARN, each
// with or without a qualifier. A prefix that can be one is one, as in the
// pattern that the API's model gives.
func parseTarget(s string) (t target, ok bool) {
	if s == "" || len(s) > maxTarget {
		return target{}, false
	}
	parts := strings.Split(s, ":")
	if parts[0] == "arn" {
		if len(parts) < 4 || !strings.HasPrefix(parts[1], "aws") || parts[2] != "lambda" {
			return target{}, false
		}
		parts = parts[3:]
	}
	take := func(is func(string) bool) (first string) {
		if len(parts) > 1 && is(parts[0]) {
			first, parts = parts[0], parts[1:]
		}
		return first
	}
	t.region = take(isRegion)
	t.account = take(isAccount)
	take(func(s string) bool { return s == "function" })
	t.name = parts[0]
	if len(parts) > 1 {
		t.qualifier = parts[1]
		ok = isQualifier(t.qualifier)
	}
	ok = isName(t.name) && (ok || len(parts) == 1) && len(parts) <= 2
	return t, ok
}

func isName(s string) bool { return len(s) <= 64 && isToken(s, "-_") }

func isQualifier(s string) bool { return s == latest || isToken(s, "-_") }

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// isRegion tells whether s looks like a region: us-east-1, us-gov-west-1.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) < 3 || len(parts[0]) != 2 {
		return false
	}
	for _, p := range parts[:len(parts)-1] {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	n := parts[len(parts)-1]
	return len(n) == 1 && '0' <= n[0] && n[0] <= '9'
}

// arn is the ARN of a function of this host.
func (s *settings) arn(name, qualifier string) string {
	arn := "arn:aws:lambda:" + s.region + ":" + s.account + ":function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// isHere tells whether the target is of this host, in its only version.
func (s *settings) isHere(t target) bool {
	return (t.region == "" || t.region == s.region) && (t.account == "" || t.account == s.account) &&
		(t.qualifier == "" || t.qualifier == latest)
}

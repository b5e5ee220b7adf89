package faashttp

import (
	"fmt"
	"net/http"
	"strings"
)

// latest is the version of a function that was registered without a number.
const latest = "$LATEST"

// target is a parsed FunctionName of the Lambda API: a function, and the region and account
// where it is.
type target struct {
	region, account string // empty means those of this host
	name            string
	qualifier       string // a version or an alias, or empty
}

// call returns the target's name for the router, with its qualifier.
func (t target) call() string {
	if t.qualifier == "" {
		return t.name
	}
	return t.name + ":" + t.qualifier
}

// maxTarget is the length of the longest FunctionName that the API accepts.
const maxTarget = 170

// parseTarget parses all forms of a FunctionName: name, name:qualifier, account:name,
// account:function:name (a partial ARN) and the full ARN, each with or without a qualifier. A
// first part that can be a region, an account or the word "function" is taken as such, as in
// the pattern of the API's model. For example, "function:echo" names echo.
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

func isQualifier(s string) bool { return s == latest || len(s) <= 128 && isToken(s, "-_") }

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// isRegion reports whether s looks like a region, for example us-east-1 or
// us-gov-west-1.
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

// targetOf reads the function that a request names from its path and query.
func targetOf(r *http.Request) (target, *apiError) {
	name := r.PathValue("name")
	t, ok := parseTarget(name)
	if !ok {
		return t, invalidField("functionName", name, "Member must be a function name, a partial ARN or an ARN")
	}
	if !r.URL.Query().Has("Qualifier") {
		return t, nil
	}
	q := r.URL.Query().Get("Qualifier")
	switch {
	case !isQualifier(q):
		return t, invalidField("qualifier", q, "Member must be a version or an alias")
	case t.qualifier != "" && t.qualifier != q:
		return t, invalidParameter("The derived qualifier from the function name does not match the specified qualifier.")
	}
	t.qualifier = q
	return t, nil
}

// address is the region and the account that the host's ARNs name.
type address struct{ region, account string }

// defaultAddress is the address without [WithAddress]. Its account is twelve zeros, which AWS
// never assigns, so that an ARN of this host can't be confused with a real one.
func defaultAddress() address { return address{region: "us-east-1", account: "000000000000"} }

// check returns an error if no call could name the address. The error says how to correct it.
func (a address) check() error {
	if isRegion(a.region) && isAccount(a.account) {
		return nil
	}
	return fmt.Errorf("WithAddress(%q, %q): a region looks like us-east-1, and an account has 12 digits", a.region, a.account)
}

// arn returns the ARN of a function of this host.
func (a address) arn(name, qualifier string) string {
	arn := "arn:aws:lambda:" + a.region + ":" + a.account + ":function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// rehome replaces the default address in an ARN by this address. It returns other ARNs
// unchanged.
func (a address) rehome(arn string) string {
	if rest, ok := strings.CutPrefix(arn, defaultAddress().arn("", "")); ok {
		return a.arn(rest, "")
	}
	return arn
}

// isHere reports whether a target is on this host.
func (a address) isHere(t target) bool {
	return (t.region == "" || t.region == a.region) && (t.account == "" || t.account == a.account)
}

// notFound returns the answer to a call whose target does not exist, or must stay unknown to
// the caller.
func (a address) notFound(t target) *apiError {
	q := t.qualifier
	if q == "" {
		q = latest
	}
	return notFound("Function not found: " + a.arn(t.name, q))
}

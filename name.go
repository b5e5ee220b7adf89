package faas

import (
	"fmt"
	"strings"
)

// This file has the syntax of names, such as "resize" or "resize:2", and the settings that
// belong to a name and not to one of its versions.

// versionLatest is the version of a function that is registered without a number. AWS Lambda
// uses the same name.
const versionLatest = "$LATEST"

// checkName enforces ^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$, because names are used in URLs, headers,
// metrics and logs. A colon is not allowed, since it separates a name from its qualifier.
func checkName(op, name string) *Error {
	if 1 <= len(name) && len(name) <= 64 && name[0] != '-' && isWord(name) {
		return nil
	}
	if base, qualifier, ok := strings.Cut(name, ":"); ok && checkName(op, base) == nil && isQualifier(qualifier) {
		return usageError(op, clipName(name), ErrName, "register %q, with WithVersion(n) for a version that is called as %q", base, clipName(name))
	}
	return usageError(op, clipName(name), ErrName, cureName)
}

const cureName = "use 1 to 64 of A–Z a–z 0–9 _ -, not starting with -"

// checkReference enforces the syntax of a reference to a function: a name, or a name, a
// colon and a qualifier. The qualifier is $LATEST, the number of a version, or the name of an alias.
func checkReference(op, name string) *Error {
	base, qualifier, qualified := strings.Cut(name, ":")
	if err := checkName(op, base); err != nil {
		return usageError(op, clipName(name), ErrName, "%s", cureName)
	}
	if !qualified || isQualifier(qualifier) {
		return nil
	}
	return usageError(op, base+":"+clipName(qualifier), ErrName, "after the colon, write $LATEST, the number of a version, or an alias: 1 to 128 of A–Z a–z 0–9 _ -")
}

// isQualifier reports whether s may follow the colon.
func isQualifier(s string) bool {
	return s == versionLatest || 1 <= len(s) && len(s) <= 128 && isWord(s)
}

// isWord reports whether s has only characters that are allowed in names.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// nameSettings are the settings that all versions of a name share. The version that is
// registered first sets them.
type nameSettings struct {
	concurrency int
	reserved    int
	weight      int
	tenants     int // the limit of one tenant's calls at once; 0: no limit
	queue       int
	runaways    int
	asked       uint8 // bit i is set if the function's own options have set the field that fields()[i] points to
}

// fields returns pointers to the settings, in the order of nameOptions.
func (s *nameSettings) fields() [6]*int {
	return [...]*int{&s.concurrency, &s.reserved, &s.weight, &s.tenants, &s.queue, &s.runaways}
}

// nameOptions returns the names of the options that set them.
func nameOptions() [6]string {
	return [...]string{"WithConcurrency", "WithReserved", "WithWeight", "WithTenantConcurrency", "WithQueue", "WithRunaways"}
}

// ask sets one of the settings for an option, and marks it in asked.
func (s *nameSettings) ask(field *int, n int) {
	*field = n
	for i, f := range s.fields() {
		if f == field {
			s.asked |= 1 << i
		}
	}
}

// differs compares the options of a version with the settings of its name. It describes the
// first option whose value is another than the name's, or returns "" if there is none. An
// option that was not given is not compared.
func (s *nameSettings) differs(name *nameSettings) string {
	has, options := name.fields(), nameOptions()
	for i, own := range s.fields() {
		if s.asked&(1<<i) != 0 && *own != *has[i] {
			return fmt.Sprintf("%s(%d), and the name has %d", options[i], *own, *has[i])
		}
	}
	return ""
}

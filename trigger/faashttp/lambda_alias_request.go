package faashttp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// routing returns the split that results if the fields of a request replace those of was. If
// the API's rules forbid the result, it returns Lambda's error, with Lambda's text.
func (l *Lambda) routing(x *exchange, t target, was split, in *aliasRequest) (s split, apiErr *apiError) {
	s = was
	if in.FunctionVersion != nil {
		if s.version, apiErr = l.version(x, t, *in.FunctionVersion); apiErr != nil {
			return s, apiErr
		}
	}
	if in.RoutingConfig != nil {
		if s.others, apiErr = l.others(x, t, in.RoutingConfig.AdditionalVersionWeights); apiErr != nil {
			return s, apiErr
		}
	}
	if _, twice := s.others[s.version]; twice {
		v := versionText(s.version)
		return s, invalidParameter("Invalid function version " + v + ". Function version " + v + " is already included in routing configuration.")
	}
	if len(s.others) > 0 && s.version == 0 {
		return s, invalidParameter("$LATEST is not supported for an alias pointing to more than 1 version")
	}
	return s, nil
}

// others reads the AdditionalVersionWeights of a request. The API allows at most one.
func (l *Lambda) others(x *exchange, t target, weights map[string]*float64) (map[int]float64, *apiError) {
	if len(weights) > 1 {
		return nil, invalidParameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for text, part := range weights {
		if apiErr := checkWeight(text, part); apiErr != nil {
			return nil, apiErr
		}
		version, apiErr := l.version(x, t, text)
		if apiErr != nil {
			return nil, apiErr
		}
		return map[int]float64{version: *part}, nil
	}
	return nil, nil
}

func checkWeight(version string, part *float64) *apiError {
	var rule string
	switch {
	case strings.Trim(version, "0123456789") != "" || version == "":
		rule = "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
	case part == nil || *part < 0 || *part > 1:
		rule = "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
	default:
		return nil
	}
	weight := "null"
	if part != nil {
		weight = strconv.FormatFloat(*part, 'f', -1, 64)
	}
	return invalidField("routingConfig.additionalVersionWeights", "{"+version+"="+weight+"}", rule)
}

// version reads a FunctionVersion. For a version that the caller may not know of, the error is
// that of a version that does not exist.
func (l *Lambda) version(x *exchange, t target, s string) (int, *apiError) {
	if apiErr := checkVersion(s); apiErr != nil {
		return 0, apiErr
	}
	t.qualifier = s
	version, ok := parseVersion(s)
	if _, err := l.router.Signature(t.call()); err != nil || !ok || x.isDenied(l.router, t.call()) {
		return 0, l.address.notFound(t)
	}
	return version, nil
}

// The functions below that begin with check return nil if their argument is well formed.

func checkVersion(s string) *apiError {
	if s == latest || s != "" && len(s) <= 1024 && strings.Trim(s, "0123456789") == "" {
		return nil
	}
	return invalidField("functionVersion", s, `Member must satisfy regular expression pattern: (\$LATEST|[0-9]+)`)
}

func checkAliasName(name string, given bool) *apiError {
	switch {
	case !given:
		return missingField("name")
	case utf8.RuneCountInString(name) > 128:
		return invalidField("name", name, "Member must have length less than or equal to 128")
	case !isAliasName(name):
		return invalidField("name", name, "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)")
	}
	return nil
}

// isAliasName reports whether a qualifier is the name of an alias. A qualifier that consists of
// digits is a version.
func isAliasName(s string) bool {
	return len(s) <= 128 && isToken(s, "-_") && strings.Trim(s, "0123456789") != ""
}

func checkDescription(s *string) *apiError {
	if s == nil || utf8.RuneCountInString(*s) <= 256 {
		return nil
	}
	return invalidField("description", *s, "Member must have length less than or equal to 256")
}

func missingVersion(in *aliasRequest) *apiError {
	if in.FunctionVersion == nil {
		return missingField("functionVersion")
	}
	return nil
}

func missingField(field string) *apiError {
	return invalid(fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", field))
}

// firstOf returns the first of errs that is not nil, or nil.
func firstOf(errs ...*apiError) *apiError {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

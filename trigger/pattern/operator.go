package pattern

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
)

// operators are the names of all operators, for the error about an unknown one.
const operators = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists"

// emptyList is the text of the error for anything-but with an empty list.
const emptyList = `an empty list excludes nothing; to test that the field exists, use {"exists": true}`

// single returns the one field of an operator: its name and its argument.
func single(path string, v map[string]any) (name string, arg any, err error) {
	for name, arg := range v {
		if len(v) == 1 {
			return name, arg, nil
		}
	}
	return "", nil, errorAt(path, "an operator is an object with one field, this has %d; one entry can't combine several conditions", len(v))
}

// compileOperator compiles an operator. path is the place of its argument.
func compileOperator(path, name string, arg any) (test, error) {
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
		return compileTextTest(path, name, arg)
	case "anything-but":
		return compileAnythingBut(path, arg)
	case "numeric":
		return compileNumeric(path, arg)
	case "cidr":
		return compileBlock(path, arg)
	case "exists":
		want, ok := arg.(bool)
		if !ok {
			return nil, errorAt(path, "exists takes true or false, this is %s", kindOf(arg))
		}
		return exists(want), nil
	}
	return nil, errorAt(path, "no such operator; the operators are %s", operators)
}

// mapped is the length of the prefix ::ffff:0:0/96, which maps IPv4 into IPv6.
const mapped = 96

// compileBlock compiles cidr. It turns a block of IPv4-mapped addresses into the IPv4 block,
// and inBlock turns the addresses of events into IPv4 too, so that both notations match each
// other.
func compileBlock(path string, arg any) (test, error) {
	text, ok := arg.(string)
	if !ok {
		return nil, errorAt(path, "cidr takes a text such as %q, this is %s", "10.0.0.0/24", kindOf(arg))
	}
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, errorAt(path, "not a block of addresses: %v", err)
	}
	if block.Addr().Is4In6() && block.Bits() >= mapped {
		block = netip.PrefixFrom(block.Addr().Unmap(), block.Bits()-mapped)
	}
	return inBlock(block.Masked()), nil
}

// compileTextTest compiles an operator on text. Its argument is a text. For prefix and suffix
// it may also be {"equals-ignore-case": text}.
func compileTextTest(path, name string, arg any) (textTest, error) {
	if o, ok := arg.(map[string]any); ok && (name == "prefix" || name == "suffix") {
		return compileFold(path, name, o)
	}
	s, ok := arg.(string)
	if !ok {
		return nil, errorAt(path, "%s takes a text, this is %s", name, kindOf(arg))
	}
	switch name {
	case "prefix":
		return hasPrefix(s), nil
	case "suffix":
		return hasSuffix(s), nil
	case "wildcard":
		return compileWildcard(path, s)
	}
	return equalFold(s), nil
}

// compileFold compiles a prefix or a suffix that ignores the case of letters.
func compileFold(path, name string, arg map[string]any) (textTest, error) {
	inner, text, err := single(path, arg)
	if err != nil {
		return nil, err
	}
	s, ok := text.(string)
	if inner != "equals-ignore-case" || !ok {
		return nil, errorAt(path+"/"+pointer(inner), `%s takes a text or {"equals-ignore-case": text}`, name)
	}
	if name == "prefix" {
		return foldPrefix(s), nil
	}
	return foldSuffix(s), nil
}

// compileWildcard splits the text at each * that is not escaped by a backslash.
func compileWildcard(path, s string) (textTest, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				return nil, errorAt(path, `a backslash must be followed by * or a backslash; for a backslash itself, write \\ (in JSON "\\\\")`)
			}
			part.WriteByte(s[i])
		case s[i] != '*':
			part.WriteByte(s[i])
		case i > 0 && part.Len() == 0 && len(parts) > 0:
			return nil, errorAt(path, "two * in a row mean the same as one; remove one of them")
		default:
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	return wildcard(append(parts, part.String())), nil
}

// compileAnythingBut compiles anything-but with a value, a list of values, or an operator on
// text.
func compileAnythingBut(path string, arg any) (test, error) {
	switch arg := arg.(type) {
	case map[string]any:
		name, of, err := single(path, arg)
		if err != nil {
			return nil, err
		}
		return compileNoneOf(path+"/"+pointer(name), name, of)
	case []any:
		return compileList(path, arg, compileValue)
	}
	t, err := compileValue(path, arg)
	return anythingBut{t}, err
}

// compileList compiles the list of an anything-but. f compiles each element.
func compileList(path string, list []any, f func(path string, v any) (test, error)) (test, error) {
	if len(list) == 0 {
		return nil, errorAt(path, emptyList)
	}
	var but anythingBut
	for i, v := range list {
		t, err := f(path+"/"+strconv.Itoa(i), v)
		if err != nil {
			return nil, err
		}
		but = append(but, t)
	}
	return but, nil
}

// compileValue compiles a value that anything-but excludes.
func compileValue(path string, v any) (test, error) {
	switch v := v.(type) {
	case string:
		return equalText(v), nil
	case json.Number:
		return equalNumber(toNumber(string(v))), nil
	}
	return nil, errorAt(path, "anything-but takes texts and numbers, this is %s", kindOf(v))
}

// compileNoneOf compiles anything-but with an operator on text. The operator has one argument
// or a list of them.
func compileNoneOf(path, name string, arg any) (test, error) {
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
	default:
		return nil, errorAt(path, "anything-but takes prefix, suffix, equals-ignore-case or wildcard")
	}
	of := func(path string, arg any) (test, error) { return compileTextTest(path, name, arg) }
	if list, ok := arg.([]any); ok {
		return compileList(path, list, of)
	}
	t, err := of(path, arg)
	return anythingBut{t}, err
}

// compileNumeric compiles a range of one or two comparisons.
func compileNumeric(path string, arg any) (test, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, errorAt(path, `numeric takes one comparison or two: [">", 0, "<=", 5]`)
	}
	var all inRange
	for i := 0; i < len(list); i += 2 {
		c, err := compileComparison(path, i, list)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 2 && !all.possible() {
		return nil, errorAt(path, "no number is in this range; two comparisons must be a lower bound and an upper bound")
	}
	return all, nil
}

// compileComparison compiles the operator list[i] and the number after it.
func compileComparison(path string, i int, list []any) (comparison, error) {
	op, _ := list[i].(string)
	switch op {
	case "<", "<=", "=", ">=", ">":
	default:
		return comparison{}, errorAt(path+"/"+strconv.Itoa(i), "this must be one of <, <=, =, >=, >")
	}
	n, ok := list[i+1].(json.Number)
	if !ok {
		return comparison{}, errorAt(path+"/"+strconv.Itoa(i+1), "this must be a number, and is %s", kindOf(list[i+1]))
	}
	return comparison{op, toNumber(string(n))}, nil
}

// possible reports whether any number lies between the two bounds. A pattern that no event can
// match is a mistake of its author.
func (r inRange) possible() bool {
	a, b := r[0], r[1]
	if a.op[0] == '<' {
		a, b = b, a
	}
	if a.op[0] != '>' || b.op[0] != '<' {
		return false
	}
	c := a.than.compare(b.than)
	return c < 0 || c == 0 && a.op == ">=" && b.op == "<="
}

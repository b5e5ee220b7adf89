package faasevents

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

var errTrailing = errors.New("something follows the JSON value's end")

func compileObject(path string, fields map[string]any) (object, error) {
	var o object
	for _, name := range sorted(fields) {
		at := path + "/" + pointer(name)
		if name == "$or" {
			some, err := compileOr(at, fields[name])
			if err != nil {
				return object{}, err
			}
			o.or = some
			continue
		}
		f, err := compileField(at, fields[name])
		if err != nil {
			return object{}, err
		}
		f.name = name
		o.fields = append(o.fields, f)
	}
	return o, nil
}

func compileOr(path string, v any) ([]object, error) {
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return nil, wrong(path, "$or takes an array of two patterns at least, this is %s", kindOf(v))
	}
	var all []object
	for i, v := range list {
		at := path + "/" + strconv.Itoa(i)
		fields, ok := v.(map[string]any)
		if !ok || len(fields) == 0 {
			return nil, wrong(at, "$or takes patterns, which are objects with a field at least")
		}
		o, err := compileObject(at, fields)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func compileField(path string, v any) (field, error) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return field{}, wrong(path, `no field inside; for "it is there", use [{"exists": true}]`)
		}
		o, err := compileObject(path, v)
		return field{below: &o}, err
	case []any:
		if len(v) == 0 {
			return field{}, wrong(path, "an empty array matches nothing; name a value")
		}
		f := field{}
		for i, v := range v {
			t, err := compileTest(path+"/"+strconv.Itoa(i), v)
			if err != nil {
				return field{}, err
			}
			f.tests = append(f.tests, t)
		}
		return f, nil
	}
	return field{}, wrong(path, "values stand in an array: [%s]", compact(v))
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil || len(data) > 40 {
		return "…"
	}
	return string(data)
}

func compileTest(path string, v any) (test, error) {
	switch v := v.(type) {
	case map[string]any:
		name, arg, err := single(path, v)
		if err != nil {
			return nil, err
		}
		return compileOperator(path+"/"+pointer(name), name, arg)
	case []any:
		return nil, wrong(path, "an array can't be a value; an event's array is matched by its elements")
	case string:
		return equalText(v), nil
	case json.Number:
		return equalNumber(toNumber(string(v))), nil
	case bool:
		return equalBool(v), nil
	}
	return isNull{}, nil
}

// single is an operator: an object of one field.
func single(path string, v map[string]any) (name string, arg any, err error) {
	for name, arg := range v {
		if len(v) == 1 {
			return name, arg, nil
		}
	}
	return "", nil, wrong(path, "an operator is an object of one field, this has %d; conditions that hold together can't stand on one value", len(v))
}

const operators = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists"

func compileOperator(path, name string, arg any) (test, error) {
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
		return compileTextTest(path, name, arg)
	case "anything-but":
		return compileAnythingBut(path, arg)
	case "numeric":
		return compileNumeric(path, arg)
	case "cidr":
		text, ok := arg.(string)
		if !ok {
			return nil, wrong(path, "cidr takes a text such as %q, this is %s", "10.0.0.0/24", kindOf(arg))
		}
		return compileBlock(path, text)
	case "exists":
		want, ok := arg.(bool)
		if !ok {
			return nil, wrong(path, "exists takes true or false, this is %s", kindOf(arg))
		}
		return exists(want), nil
	}
	return nil, wrong(path, "no such operator; there are %s", operators)
}

// mapped is how long the prefix is that makes an IPv4 address one of IPv6.
const mapped = 96

// compileBlock takes a block of IPv4-mapped addresses for the block of IPv4
// addresses that it is, as inBlock does with addresses.
func compileBlock(path, text string) (test, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, wrong(path, "not a block of addresses: %v", err)
	}
	if block.Addr().Is4In6() && block.Bits() >= mapped {
		block = netip.PrefixFrom(block.Addr().Unmap(), block.Bits()-mapped)
	}
	return inBlock(block.Masked()), nil
}

// compileTextTest is an operator on text: its argument is one, or for prefix
// and suffix {"equals-ignore-case": text}.
func compileTextTest(path, name string, arg any) (textTest, error) {
	if o, ok := arg.(map[string]any); ok && (name == "prefix" || name == "suffix") {
		inner, text, err := single(path, o)
		if err != nil {
			return nil, err
		}
		s, ok := text.(string)
		if inner != "equals-ignore-case" || !ok {
			return nil, wrong(path+"/"+pointer(inner), `%s takes a text or {"equals-ignore-case": text}`, name)
		}
		if name == "prefix" {
			return foldPrefix(s), nil
		}
		return foldSuffix(s), nil
	}
	s, ok := arg.(string)
	if !ok {
		return nil, wrong(path, "%s takes a text, this is %s", name, kindOf(arg))
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

// compileWildcard cuts at each * that is not escaped.
func compileWildcard(path, s string) (textTest, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				return nil, wrong(path, `a backslash stands before * or another backslash; for itself, write \\ (in JSON "\\\\")`)
			}
			part.WriteByte(s[i])
		case s[i] != '*':
			part.WriteByte(s[i])
		case i > 0 && part.Len() == 0 && len(parts) > 0:
			return nil, wrong(path, "two * in a row mean no more than one")
		default:
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	return wildcard(append(parts, part.String())), nil
}

func compileAnythingBut(path string, arg any) (test, error) {
	if o, ok := arg.(map[string]any); ok {
		name, arg, err := single(path, o)
		if err != nil {
			return nil, err
		}
		return compileNoneOf(path+"/"+pointer(name), name, arg)
	}
	list, ok := arg.([]any)
	if !ok {
		list = []any{arg}
	} else if len(list) == 0 {
		return nil, wrong(path, `an empty list excludes nothing; for "it is there", use {"exists": true}`)
	}
	var but anythingBut
	for i, v := range list {
		at := path
		if ok {
			at += "/" + strconv.Itoa(i)
		}
		switch v := v.(type) {
		case string:
			but = append(but, equalText(v))
		case json.Number:
			but = append(but, equalNumber(toNumber(string(v))))
		default:
			return nil, wrong(at, "anything-but takes texts and numbers, this is %s", kindOf(v))
		}
	}
	return but, nil
}

// compileNoneOf is anything-but with an operator.
func compileNoneOf(path, name string, arg any) (test, error) {
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
	default:
		return nil, wrong(path, "anything-but takes prefix, suffix, equals-ignore-case or wildcard")
	}
	list, ok := arg.([]any)
	if !ok {
		t, err := compileTextTest(path, name, arg)
		return anythingBut{t}, err
	}
	if len(list) == 0 {
		return nil, wrong(path, `an empty list excludes nothing; for "it is there", use {"exists": true}`)
	}
	var but anythingBut
	for i, v := range list {
		t, err := compileTextTest(path+"/"+strconv.Itoa(i), name, v)
		if err != nil {
			return nil, err
		}
		but = append(but, t)
	}
	return but, nil
}

// compileNumeric makes a range of one or two comparisons.
func compileNumeric(path string, arg any) (test, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, wrong(path, `numeric takes one comparison or two: [">", 0, "<=", 5]`)
	}
	var all inRange
	for i := 0; i < len(list); i += 2 {
		at := path + "/" + strconv.Itoa(i)
		op, _ := list[i].(string)
		switch op {
		case "<", "<=", "=", ">=", ">":
		default:
			return nil, wrong(at, "one of <, <=, =, >=, > belongs here")
		}
		n, ok := list[i+1].(json.Number)
		at = path + "/" + strconv.Itoa(i+1)
		if !ok {
			return nil, wrong(at, "a number belongs here, this is %s", kindOf(list[i+1]))
		}
		all = append(all, comparison{op, toNumber(string(n))})
	}
	if len(all) == 2 && !all.possible() {
		return nil, wrong(path, "no number is in this range; two comparisons are a lower bound and an upper one")
	}
	return all, nil
}

// possible tells whether a lower and an upper bound leave room between them.
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

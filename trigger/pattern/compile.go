package pattern

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// The functions of this file compile the JSON of a pattern to objects, fields and tests. path
// is the place of the value in the pattern, as a JSON pointer for errors.

// compileObject compiles the fields in sorted order, so that a pattern with several mistakes
// always gets the same error.
func compileObject(path string, fields map[string]any) (object, error) {
	var o object
	for _, name := range slices.Sorted(maps.Keys(fields)) {
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

// compileOr compiles the patterns of an $or. A single pattern is a mistake, because $or would
// have no effect.
func compileOr(path string, v any) ([]object, error) {
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return nil, errorAt(path, "$or takes an array of at least two patterns, this is %s", kindOf(v))
	}
	var all []object
	for i, v := range list {
		at := path + "/" + strconv.Itoa(i)
		fields, ok := v.(map[string]any)
		if !ok || len(fields) == 0 {
			return nil, errorAt(at, "$or takes patterns, which are objects with at least one field")
		}
		o, err := compileObject(at, fields)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// compileField compiles the value of a name: an object, which matches the fields of the event's
// object, or an array of tests.
func compileField(path string, v any) (field, error) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return field{}, errorAt(path, `an object without fields; to test that the field exists, use [{"exists": true}]`)
		}
		o, err := compileObject(path, v)
		return field{below: &o}, err
	case []any:
		tests, err := compileTests(path, v)
		return field{tests: tests}, err
	}
	return field{}, errorAt(path, "a value must be in an array: [%s]", compact(v))
}

// compileTests compiles the entries of an array. The field matches if one of these tests does.
func compileTests(path string, list []any) ([]test, error) {
	if len(list) == 0 {
		return nil, errorAt(path, "an empty array matches nothing; add a value")
	}
	var tests []test
	for i, v := range list {
		t, err := compileTest(path+"/"+strconv.Itoa(i), v)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// compileTest compiles a value or an operator. Numbers are json.Number, because parse makes the
// decoder keep numbers as text.
func compileTest(path string, v any) (test, error) {
	switch v := v.(type) {
	case map[string]any:
		name, arg, err := single(path, v)
		if err != nil {
			return nil, err
		}
		return compileOperator(path+"/"+pointer(name), name, arg)
	case []any:
		return nil, errorAt(path, "an array can't be a value; an event's array is matched by its elements")
	case string:
		return equalText(v), nil
	case json.Number:
		return equalNumber(toNumber(string(v))), nil
	case bool:
		return equalBool(v), nil
	}
	return isNull{}, nil
}

// compact returns a short value as JSON, for an error that shows a correct pattern.
func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil || len(data) > 40 {
		return "…"
	}
	return string(data)
}

package faasmcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// edit is what is done to arguments that fit a schema before encoding/json reads
// them, which is stricter: to it 1.0 is no integer, and a number that the option
// ",string" is for has to be text.
type edit struct {
	integer bool
	quoted  bool             // a number or a boolean is written as text
	twice   bool             // a text is written as the text of its JSON
	fields  map[string]*edit // of an object
	rest    *edit            // of an object's other fields
	items   *edit            // of an array
}

// orNil is nil for an edit that does nothing.
func (e *edit) orNil() *edit {
	if !e.integer && !e.quoted && !e.twice && len(e.fields) == 0 && e.rest == nil && e.items == nil {
		return nil
	}
	return e
}

// apply returns v edited, and whether it has changed. It may change v.
func (e *edit) apply(v any) (any, bool) {
	if e == nil {
		return v, false
	}
	switch v := v.(type) {
	case map[string]any:
		changed := false
		for name, member := range v {
			below := e.rest
			if f, ok := e.fields[name]; ok {
				below = f
			}
			if edited, did := below.apply(member); did {
				v[name], changed = edited, true
			}
		}
		return v, changed
	case []any:
		changed := false
		for i, item := range v {
			if edited, did := e.items.apply(item); did {
				v[i], changed = edited, true
			}
		}
		return v, changed
	}
	return e.applyToScalar(v)
}

func (e *edit) applyToScalar(v any) (any, bool) {
	switch v := v.(type) {
	case json.Number:
		n := string(v)
		if e.integer {
			n = integral(n)
		}
		if e.quoted {
			return n, true
		}
		return json.Number(n), n != string(v)
	case bool:
		if e.quoted {
			return strconv.FormatBool(v), true
		}
	case string:
		if e.twice && (!strings.HasPrefix(v, `"`) || !json.Valid([]byte(v))) {
			twice, err := unparse(v)
			return string(twice), err == nil
		}
	}
	return v, false
}

// longest bounds how many digits integral writes: no type of Go's is longer but
// big.Int, and nobody writes one of those with an exponent.
const longest = 40

// integral writes a number without a fraction and an exponent, if it is an integer
// and not long.
func integral(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	e := 0
	if exponent != "" {
		var err error
		if e, err = strconv.Atoi(exponent); err != nil || e > longest || e < -longest {
			return s
		}
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	digits, point := whole+fraction, len(whole)+e
	if strings.Trim(digits, "0") == "" {
		return "0"
	}
	if point < 0 || len(digits) > 2*longest {
		return s
	}
	digits += strings.Repeat("0", max(point-len(digits), 0))
	if strings.Trim(digits[point:], "0") != "" {
		return s
	}
	return sign + strings.TrimLeft(digits[:point], "0")
}

// parse reads JSON with its numbers as text.
func parse(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	return v, nil
}

// unparse is the reverse.
func unparse(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// withNumbers is v with its numbers as the validator knows them. What is beyond
// float64 is the largest that there is: whether it fits its type is for the decoder
// to say.
func withNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = withNumbers(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withNumbers(item)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // out of range, it is infinite
		return max(min(f, math.MaxFloat64), -math.MaxFloat64)
	}
	return v
}

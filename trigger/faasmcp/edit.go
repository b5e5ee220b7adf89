package faasmcp

import (
	"encoding/json"
	"strconv"
	"strings"
)

// edit says how to change arguments that fit the schema, so that encoding/json
// reads them too. It is stricter than the schema: 1.0 is no integer for it, and a
// field with the option ",string" has to be text. An edit is built when the tool is
// added and not changed after that.
type edit struct {
	integer bool             // write 1.0 as 1
	quoted  bool             // write a number or a boolean as text
	twice   bool             // write a text as the text of its JSON: a as "a"
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

// apply returns v edited, and whether it has changed. It may change v. An edit that
// is nil leaves v as it is.
func (e *edit) apply(v any) (any, bool) {
	if e == nil {
		return v, false
	}
	changed := false
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			edited, did := e.of(name).apply(member)
			if did {
				v[name], changed = edited, true
			}
		}
		return v, changed
	case []any:
		for i, item := range v {
			edited, did := e.items.apply(item)
			if did {
				v[i], changed = edited, true
			}
		}
		return v, changed
	}
	return e.applyToScalar(v)
}

// of returns the edit for a member of an object.
func (e *edit) of(name string) *edit {
	if f, ok := e.fields[name]; ok {
		return f
	}
	return e.rest
}

// applyToScalar edits a value that is neither an object nor an array.
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
		// A text that reads as a JSON string was written so by the agent already.
		if e.twice && (!strings.HasPrefix(v, `"`) || !json.Valid([]byte(v))) {
			twice, err := unparse(v)
			return string(twice), err == nil
		}
	}
	return v, false
}

// maxDigits bounds how many digits integral writes: an exponent of a client's
// choice must not make it write a number of any length. Of Go's types only big.Int
// is longer, and integral leaves such a number as it is.
const maxDigits = 40

// integral returns a number without fraction and exponent, for example 12 for
// 1.2e1. It returns s as it is if the number is no integer or is too long.
func integral(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	sign, digits, point, ok := decimal(s)
	switch {
	case !ok:
		return s
	case strings.Trim(digits, "0") == "":
		return "0"
	case point < 0 || len(digits) > 2*maxDigits:
		return s
	}
	digits += strings.Repeat("0", max(point-len(digits), 0))
	if strings.Trim(digits[point:], "0") != "" { // there is a fraction
		return s
	}
	return sign + strings.TrimLeft(digits[:point], "0")
}

// decimal takes apart a JSON number: its digits without the point, and where in
// them the point stands once the exponent is applied, which may be outside of them.
// It returns false if the exponent is too large.
func decimal(s string) (sign, digits string, point int, ok bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	e := 0
	if exponent != "" {
		var err error
		if e, err = strconv.Atoi(exponent); err != nil || e > maxDigits || e < -maxDigits {
			return "", "", 0, false
		}
	}
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	return sign, whole + fraction, len(whole) + e, true
}

package faasmcp

import (
	"encoding/json"
	"strconv"
	"strings"
)

// edit changes arguments that fit the schema so that encoding/json reads them. encoding/json is
// stricter than the schema: it does not read 1.0 as an integer, and it requires text for a
// field with the option ",string". An edit is built when the tool is added and not changed
// after that.
type edit struct {
	integer bool             // write 1.0 as 1
	quoted  bool             // write a number or a boolean as text
	twice   bool             // write a text with the quotes of its JSON inside: a as "a"
	fields  map[string]*edit // the edits of an object's fields, by name
	rest    *edit            // the edit of an object's other fields
	items   *edit            // the edit of an array's items
}

// orNil returns e, or nil if e changes nothing.
func (e *edit) orNil() *edit {
	if !e.integer && !e.quoted && !e.twice && len(e.fields) == 0 && e.rest == nil && e.items == nil {
		return nil
	}
	return e
}

// apply returns the edited value, and whether it differs from v. It may change v in place. A
// nil edit changes nothing.
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

// of returns the edit for a member of an object, or nil.
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
		// The agent has already written the quotes if the text is a JSON string.
		if e.twice && (!strings.HasPrefix(v, `"`) || !json.Valid([]byte(v))) {
			twice, err := unparse(v)
			return string(twice), err == nil
		}
	}
	return v, false
}

// maxDigits bounds how many digits integral writes. Without it, an exponent that a client
// chooses could make the number arbitrarily long. Of Go's types only big.Int has longer
// integers, and integral leaves those unchanged.
const maxDigits = 40

// integral writes an integer without fraction and exponent, for example 1.2e1 as 12. It returns
// s unchanged if the number is not an integer or is too long.
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

// decimal splits a JSON number into its sign and its digits without the point. point is the
// index of the decimal point among the digits after the exponent is applied; it may lie outside
// of them. For example, 1.2e1 has the digits 12 and the point 2. ok is false if the exponent is
// too large.
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

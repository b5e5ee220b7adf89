package admin

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// exact is the largest integer up to which every JSON reader can represent all integers: some
// read numbers as 64-bit floats, which have 53 bits of precision.
const exact = 1<<53 - 1

// Count is a number of things, such as calls or bytes, or a revision. In JSON it is a number up
// to 2⁵³-1. Above that it is a string of digits, which no reader rounds. Both forms are
// accepted.
type Count uint64

// MarshalJSON writes a number, or a string if n is above 2⁵³-1.
func (n Count) MarshalJSON() ([]byte, error) {
	text := strconv.FormatUint(uint64(n), 10)
	if n > exact {
		text = `"` + text + `"`
	}
	return []byte(text), nil
}

// UnmarshalJSON reads a number or a string.
func (n *Count) UnmarshalJSON(data []byte) error {
	v, err := strconv.ParseUint(digits(data), 10, 64)
	if err != nil {
		return malformed(data, reflect.TypeFor[Count]())
	}
	*n = Count(v)
	return nil
}

// Int is an integer that may be negative, such as a duration in nanoseconds. Its JSON has the
// same two forms as that of a [Count].
type Int int64

// MarshalJSON writes a number, or a string if n is not between -(2⁵³-1) and 2⁵³-1.
func (n Int) MarshalJSON() ([]byte, error) {
	text := strconv.FormatInt(int64(n), 10)
	if n > exact || n < -exact {
		text = `"` + text + `"`
	}
	return []byte(text), nil
}

// UnmarshalJSON reads a number or a string.
func (n *Int) UnmarshalJSON(data []byte) error {
	v, err := strconv.ParseInt(digits(data), 10, 64)
	if err != nil {
		return malformed(data, reflect.TypeFor[Int]())
	}
	*n = Int(v)
	return nil
}

// digits returns the text of a JSON number, or of a string that contains one.
func digits(data []byte) string {
	if n := len(data); n >= 2 && data[0] == '"' && data[n-1] == '"' {
		data = data[1 : n-1]
	}
	return string(data)
}

// malformed returns an error that quotes at most 40 bytes of data, since data may come from a
// request.
func malformed(data []byte, what reflect.Type) error {
	return &json.UnmarshalTypeError{Value: strconv.Quote(string(data[:min(len(data), 40)])), Type: what}
}

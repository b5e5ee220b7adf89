package plainjson

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads a document. Each of its methods that reads something skips the white space before
// it, and returns false if something else is there. Then the document is left to encoding/json.
type scanner struct {
	data []byte
	at   int // the index of the next byte
}

// peek skips white space, and returns the next byte without reading it; 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) isAtEnd() bool { return s.peek() == 0 && s.at == len(s.data) }

// take reads the byte c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// open reads the begin of an array or an object. more is false if it is empty; then open has read
// its end, too.
func (s *scanner) open(begin, end byte) (more, ok bool) {
	if !s.take(begin) {
		return false, false
	}
	return !s.take(end), true
}

// more reads the comma before the next element, or the end.
func (s *scanner) more(end byte) (more, ok bool) {
	if s.take(',') {
		return true, true
	}
	return false, s.take(end)
}

// takeWord reads null, true or false.
func (s *scanner) takeWord(word string) bool {
	if s.peek() != word[0] || !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		return false
	}
	s.at += len(word)
	return true
}

// takeNull reads a null. It leaves the value that it stands for as it is: zero.
func (s *scanner) takeNull() bool { return s.takeWord("null") }

// quoted reads a string up to the first escape, byte below a space, or byte that is not ASCII.
// closed reports whether it has read the whole string.
func (s *scanner) quoted() (text []byte, closed, ok bool) {
	if !s.take('"') {
		return nil, false, false
	}
	begin := s.at
	for ; s.at < len(s.data); s.at++ {
		c := s.data[s.at]
		if c == '"' {
			s.at++
			return s.data[begin : s.at-1], true, true
		}
		if c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			break
		}
	}
	return s.data[begin:s.at], false, true
}

// key reads the key of an object. simple is false if it has escapes or is not ASCII.
func (s *scanner) key() (key []byte, simple bool) {
	key, closed, ok := s.quoted()
	return key, ok && closed
}

// rest reads the rest of a string, and returns the string. text is what quoted has read of it.
// Text that is not UTF-8, and half a surrogate pair, are left to encoding/json, which
// replaces them.
func (s *scanner) rest(text []byte) (all string, ok bool) {
	out := append(make([]byte, 0, 2*len(text)+32), text...)
	for s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch {
		case c == '"':
			return string(out), utf8.Valid(out)
		case c < ' ':
			return "", false
		case c != '\\':
			out = append(out, c)
		default:
			r := s.escape()
			if r < 0 {
				return "", false
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return "", false
}

// escape reads what follows a backslash, and returns what it stands for, or -1.
func (s *scanner) escape() rune {
	if s.at == len(s.data) {
		return -1
	}
	c := s.data[s.at]
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		return s.escapedRune()
	}
	return -1
}

// escapedRune reads the four digits of an escape, and the second half of a surrogate pair. It
// returns -1 for a half without the other.
func (s *scanner) escapedRune() rune {
	r := s.hex()
	if !utf16.IsSurrogate(r) {
		return r
	}
	if !bytes.HasPrefix(s.data[s.at:], []byte(`\u`)) {
		return -1
	}
	s.at += 2
	if r = utf16.DecodeRune(r, s.hex()); r == utf8.RuneError {
		return -1
	}
	return r
}

// hex reads four hexadecimal digits, or returns -1.
func (s *scanner) hex() rune {
	if len(s.data)-s.at < 4 {
		return -1
	}
	n, err := strconv.ParseUint(string(s.data[s.at:s.at+4]), 16, 32)
	if err != nil {
		return -1
	}
	s.at += 4
	return rune(n)
}

// number reads a number (RFC 8259, section 6).
func (s *scanner) number() (text []byte, ok bool) {
	s.peek()
	begin := s.at
	s.takeOne("-")
	first := s.at
	if n := s.digits(); n == 0 || n > 1 && s.data[first] == '0' {
		return nil, false
	}
	if s.takeOne(".") && s.digits() == 0 {
		return nil, false
	}
	if s.takeOne("eE") {
		s.takeOne("+-")
		if s.digits() == 0 {
			return nil, false
		}
	}
	return s.data[begin:s.at], true
}

// takeOne reads one of these characters, if it is the next byte.
func (s *scanner) takeOne(of string) bool {
	if s.at == len(s.data) || strings.IndexByte(of, s.data[s.at]) < 0 {
		return false
	}
	s.at++
	return true
}

// digits reads digits, and returns how many.
func (s *scanner) digits() (n int) {
	for s.at < len(s.data) && '0' <= s.data[s.at] && s.data[s.at] <= '9' {
		s.at++
		n++
	}
	return n
}

func decodeBool(s *scanner, v reflect.Value) bool {
	if s.takeWord("true") {
		v.SetBool(true)
		return true
	}
	return s.takeWord("false") || s.takeNull()
}

func decodeInt(s *scanner, v reflect.Value) bool {
	if s.takeNull() {
		return true
	}
	text, ok := s.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	return true
}

func decodeUint(s *scanner, v reflect.Value) bool {
	if s.takeNull() {
		return true
	}
	text, ok := s.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || v.OverflowUint(n) {
		return false
	}
	v.SetUint(n)
	return true
}

func decodeFloat(s *scanner, v reflect.Value) bool {
	if s.takeNull() {
		return true
	}
	text, ok := s.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(string(text), v.Type().Bits())
	if err != nil || v.OverflowFloat(n) {
		return false
	}
	v.SetFloat(n)
	return true
}

func decodeString(s *scanner, v reflect.Value) bool {
	if s.takeNull() {
		return true
	}
	text, closed, ok := s.quoted()
	if !ok {
		return false
	}
	if closed {
		v.SetString(string(text))
		return true
	}
	all, ok := s.rest(text)
	v.SetString(all)
	return ok
}

// maxDepth is how deep the value of an unknown key may be nested. A deeper one is left to
// encoding/json, which has its own limit.
const maxDepth = 100

// skip reads a value of any type.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); {
	case depth > maxDepth:
		return false
	case c == '"':
		return s.skipString()
	case c == '[':
		return s.skipAll('[', ']', func() bool { return s.skip(depth + 1) })
	case c == '{':
		return s.skipAll('{', '}', func() bool { return s.skipString() && s.take(':') && s.skip(depth+1) })
	case c == 't' || c == 'f' || c == 'n':
		return s.takeWord("true") || s.takeWord("false") || s.takeNull()
	}
	_, ok := s.number()
	return ok
}

// skipAll reads an array or an object; one reads an element.
func (s *scanner) skipAll(begin, end byte, one func() bool) bool {
	more, ok := s.open(begin, end)
	for ok && more {
		if !one() {
			return false
		}
		more, ok = s.more(end)
	}
	return ok
}

func (s *scanner) skipString() bool {
	text, closed, ok := s.quoted()
	if ok && !closed {
		_, ok = s.rest(text)
	}
	return ok
}

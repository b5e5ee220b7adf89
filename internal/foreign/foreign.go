// Package foreign makes text of values that come from code outside this module:
// the error of a handler, the value of a panic.
//
// Such a value has methods (Error, String) that may panic, end their goroutine
// with [runtime.Goexit], or block for ever. The package has three functions, which
// differ in what they allow such a method to do:
//
//   - [Plain] calls no method. It is for goroutines of the platform, which must
//     never wait for foreign code. For example, such a goroutine logs the panic of a hook.
//   - [Text] calls the method on the caller's goroutine and stops a panic. It is
//     for the Error methods of the platform's own errors. There the calling
//     goroutine is the user's: if the method blocks, it would also block if the
//     user called it directly.
//   - [TextWithin] calls the method on a goroutine of its own and waits for a
//     limited time. It is for a server's goroutine, which writes the text into a
//     response: a method that blocks must not hold up the server.
package foreign

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"time"
)

// Text returns the result of v's Error method or, if it has none, of its String method. For
// a value that has neither, it returns the result of [Plain]. If the method panics, Text returns a text that
// names v's type. If the method blocks or calls [runtime.Goexit], so does Text. Text adds no
// line breaks of its own.
func Text(v any) string {
	text, ok := ask(v)
	if !ok {
		return fmt.Sprintf("(%T that panics when formatted)", v)
	}
	return text
}

// TextWithin is like [Text], but calls the method on another goroutine and waits
// at most d for it. It returns false, and a text that names v's type, if the
// method panics, ends its goroutine or takes longer. In the last case the
// goroutine stays until the method returns. For a value without methods it starts no
// goroutine.
func TextWithin(v any, d time.Duration) (text string, ok bool) {
	if !hasText(v) {
		return Plain(v), true
	}
	type answer struct {
		text string
		ok   bool
	}
	answers := make(chan answer, 1) // buffered, so that a late answer does not block its goroutine
	go func() {
		var a answer
		defer func() { answers <- a }() // runs also after a Goexit
		a.text, a.ok = ask(v)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case a := <-answers:
		if !a.ok {
			a.text = fmt.Sprintf("(%T that does not say what it is)", v)
		}
		return a.text, a.ok
	case <-timer.C:
		return fmt.Sprintf("(%T that does not answer)", v), false
	}
}

// Plain returns a text for v without calling a method of v. A string is quoted,
// booleans and numbers are formatted as if their type had no name, an error of
// the Go runtime has its own text, and for any other value the text is its type.
func Plain(v any) string {
	if v == nil {
		return "nil"
	}
	t := reflect.TypeOf(v)
	if err, ok := v.(runtime.Error); ok && ofRuntime(t) {
		return err.Error()
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		return fmt.Sprintf("%q", reflect.ValueOf(v).String())
	case k >= reflect.Bool && k <= reflect.Complex128:
		return fmt.Sprint(basic(reflect.ValueOf(v)))
	}
	return fmt.Sprintf("(%T)", v)
}

func hasText(v any) bool {
	switch v.(type) {
	case error, fmt.Stringer:
		return true
	}
	return false
}

// ask calls v's method on this goroutine. ok is false if the method panics.
func ask(v any) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			text, ok = "", false
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error(), true
	case fmt.Stringer:
		return v.String(), true
	}
	return Plain(v), true
}

// ofRuntime reports whether the Go runtime declares t. To implement the interface
// [runtime.Error] is not enough: any type can have its methods.
func ofRuntime(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pkg := t.PkgPath()
	return pkg == "runtime" || strings.HasPrefix(pkg, "internal/runtime/")
}

// basic returns v's value as a basic type, such as int64, which has no methods.
func basic(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	}
	return v.Complex()
}

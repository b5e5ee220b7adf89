package access_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
)

// The value does not contain "red", as "[redacted]" does. hidden also looks for the hexadecimal forms
// of the value.
const value = "hunter2-open-sesame"

type config struct {
	Name  string
	Key   access.Secret
	key   access.Secret
	inner struct{ deep []access.Secret }
	ptr   *access.Secret
	m     map[string]access.Secret
}

func newConfig() config {
	s := access.NewSecret(value)
	c := config{Name: "c", Key: s, key: s, ptr: &s, m: map[string]access.Secret{"k": s}}
	c.inner.deep = []access.Secret{s}
	return c
}

// hidden asserts that text does not show the value, in any form.
func hidden(t *testing.T, what, text string) {
	t.Helper()
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("% x", value), fmt.Sprintf("%d", []byte(value)), "hunter", "sesame"} {
		assert.NotContains(t, text, form, what)
	}
}

func TestASecretIsRedactedWhateverTheVerb(t *testing.T) {
	t.Parallel()
	s := access.NewSecret(value)
	c := newConfig()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%t", "%10.3s", "% x", "%#x", "%U", "%c", "%!", "%w"} {
		for what, v := range map[string]any{"value": s, "pointer": &s, "struct": c, "pointer to struct": &c, "slice": []any{s}, "map": map[string]any{"k": s}} {
			hidden(t, verb+" "+what, fmt.Sprintf(verb, v))
		}
		if !slices.Contains([]string{"%T", "%!", "%p", "%w"}, verb) { // fmt answers these without calling Format
			assert.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
		}
	}
	hidden(t, "Errorf", fmt.Errorf("key %v: %w", s, errors.New("x")).Error())
	hidden(t, "Sprint", fmt.Sprint(s, c, &c))
	assert.Equal(t, "[redacted]", s.String())
	assert.Equal(t, "[redacted]", s.GoString())
	assert.Equal(t, value, s.Reveal())
}

func TestASecretIsRedactedWhenEncoded(t *testing.T) {
	t.Parallel()
	type encoded struct {
		Key  access.Secret
		Attr access.Secret `xml:",attr"`
		Zero access.Secret `json:",omitzero"`
	}
	c := encoded{Key: access.NewSecret(value), Attr: access.NewSecret(value)}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Key":"[redacted]","Attr":"[redacted]"}`, string(text))
	text, err = xml.Marshal(c)
	require.NoError(t, err)
	hidden(t, "xml", string(text))
	assert.Contains(t, string(text), "[redacted]")
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(struct{ Key access.Secret }{c.Key}))
	hidden(t, "gob", b.String())
	assert.Contains(t, b.String(), "[redacted]")
	var back struct{ Key access.Secret }
	require.ErrorIs(t, gob.NewDecoder(&b).Decode(&back), access.ErrSetup, "it does not come back as another secret")

	b.Reset()
	require.NoError(t, template.Must(template.New("").Parse(`{{.Key}}<script>var a = {{.Key}}</script>`)).Execute(&b, c))
	hidden(t, "template", b.String())
}

func TestASecretIsRedactedInLogs(t *testing.T) {
	t.Parallel()
	c := newConfig()
	for name, h := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(h(&b)).Info("m", "s", c.Key, "p", &c.Key, "c", c, "any", []any{c.Key}, slog.Group("g", "s", c.Key))
		hidden(t, name, b.String())
		assert.Contains(t, b.String(), "[redacted]")
	}
}

// To print values that differ, testify uses a dumper that reads unexported fields by package unsafe.
func TestASecretIsRedactedInTheDiffOfAFailedTest(t *testing.T) {
	t.Parallel()
	var told failure
	assert.Equal(&told, config{}, newConfig())
	require.NotEmpty(t, told.text)
	hidden(t, "diff", told.text)
}

type failure struct{ text string }

func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }

func TestASecretIsRedactedInAPanicThatEndsTheProcess(t *testing.T) {
	t.Parallel()
	const env = "ACCESS_TEST_PANIC"
	switch os.Getenv(env) {
	case "secret":
		panic(access.NewSecret(value))
	case "struct":
		panic(newConfig())
	case "error":
		panic(fmt.Errorf("key %v", access.NewSecret(value)))
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, what := range []string{"secret", "struct", "error"} {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), env+"="+what)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "panic: ")
		hidden(t, what, string(out))
	}
}

func TestASecretIsReadFromConfiguration(t *testing.T) {
	t.Parallel()
	var c struct{ Key, None access.Secret }
	require.NoError(t, json.Unmarshal([]byte(`{"Key":"`+value+`"}`), &c))
	assert.Equal(t, value, c.Key.Reveal())
	assert.True(t, c.None.IsZero())
	assert.Empty(t, c.None.Reveal())
	assert.Equal(t, "[redacted]", fmt.Sprint(c.None), "whether there is one is nobody's business either")
	err := json.Unmarshal([]byte(`{"Key":"[redacted]"}`), &c)
	require.ErrorIs(t, err, access.ErrSetup)
	assert.ErrorContains(t, err, "Give")
	assert.True(t, access.NewSecret("").IsZero())
}

func TestSecretsAreComparedByValue(t *testing.T) {
	t.Parallel()
	a := access.NewSecret(value)
	assert.True(t, a.Equal(access.NewSecret(value)))
	for _, other := range []string{"", value[:len(value)-1], value + "x", "x" + value[1:], value[:len(value)-1] + "x"} {
		assert.False(t, a.Equal(access.NewSecret(other)), other)
	}
	assert.True(t, access.Secret{}.Equal(access.NewSecret("")))
}

func TestG06_ASecretGivenToAFunctionIsSeenNowhereElse(t *testing.T) {
	t.Parallel()
	var log book
	var records faastest.Recorder
	r := faastest.New(t, faas.WithMeter(&records), faas.WithLogger(log.logger()), faas.WithContext(access.Carry))
	var seenByInner, revealed bool
	inner := faas.Register(r, "inner", func(ctx context.Context, _ int) (int, error) {
		_, seenByInner = access.Given(ctx, "key")
		return 0, nil
	})
	f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) {
		s, ok := access.Given(ctx, "key")
		revealed = ok && s.Reveal() == value
		_, other := access.Given(ctx, "other")
		assert.False(t, other)
		switch in {
		case 1:
			panic(s)
		case 2:
			panic(fmt.Sprintf("config %+v of %v", newConfig(), s))
		case 3:
			return 0, fmt.Errorf("key %v does not fit", s)
		}
		return inner.Invoke(ctx, in)
	}, access.Give("key", access.NewSecret(value)))

	for in := range 4 {
		_, err := f.Invoke(t.Context(), in)
		require.True(t, revealed, "the function has it")
		hidden(t, "error", fmt.Sprintf("%v %+v %#v", err, err, err))
		if p := (*faas.PanicError)(nil); errors.As(err, &p) {
			hidden(t, "stack", string(p.Stack))
		}
	}
	assert.False(t, seenByInner, "the functions that it calls do not")
	_, ok := access.Given(t.Context(), "key")
	assert.False(t, ok)
	for _, e := range records.Executions() {
		hidden(t, "record", fmt.Sprintf("%+v %v", e, e.Err))
	}
	hidden(t, "log", log.String())
	hidden(t, "info", fmt.Sprintf("%+v", f.Info()))
	hidden(t, "environment", strings.Join(os.Environ(), "\n"))
}

func TestACallerCannotSlipASecretIntoAFunction(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	outer := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) {
		inner, err := faas.Lookup[int, bool](r, "inner")
		require.NoError(t, err)
		known, err := inner.Invoke(ctx, 0) // the context has the secret of the outer function
		assert.False(t, known)
		return 0, err
	}, access.Give("key", access.NewSecret(value)))
	faas.Register(r, "inner", func(ctx context.Context, _ int) (bool, error) {
		_, ok := access.Given(ctx, "key")
		return ok, nil
	})
	_, err := outer.Invoke(t.Context(), 0)
	require.NoError(t, err)
}

func TestASecretInAnInputThatIsCopiedIsAnErrorAndNotAnotherSecret(t *testing.T) {
	t.Parallel()
	f := faas.Register(faastest.New(t), "f", func(_ context.Context, s access.Secret) (bool, error) {
		return s.IsZero(), nil
	}, faas.WithCopy())
	_, err := f.Invoke(t.Context(), access.NewSecret(value))
	require.ErrorIs(t, err, faas.ErrInput)
	hidden(t, "error", err.Error())
}

func TestASecretInTheInputOfAFailedCallIsNotCaptured(t *testing.T) {
	t.Parallel()
	type nested struct {
		Key   access.Secret
		Ptr   *access.Secret
		List  []access.Secret
		Map   map[string]access.Secret
		Array [1]*nested
	}
	type input struct {
		Name string
		In   map[string][]*nested
		Any  any
	}
	s := access.NewSecret(value)
	in := input{Name: "n", Any: []any{s, &s}, In: map[string][]*nested{"k": {{
		Key: s, Ptr: &s, List: []access.Secret{s}, Map: map[string]access.Secret{"m": s}, Array: [1]*nested{{Key: s}},
	}}}}
	payload := `{"Name":"n","In":{"k":[{"Key":"` + value + `","Ptr":"` + value + `","List":["` + value + `"],"Map":{"m":"` + value + `"},"Array":[{"Key":"` + value + `"}]}]}}`
	failed := errors.New("failed")
	ring := faas.NewRing(10, 1<<20, nil)
	r := faastest.New(t, faas.WithCapture(ring))
	f := faas.Register(r, "f", func(_ context.Context, in input) (int, error) {
		assert.Equal(t, value, in.In["k"][0].Array[0].Key.Reveal())
		return 0, failed
	})
	only := faas.Register(r, "only", func(context.Context, access.Secret) (int, error) { return 0, failed })
	_, err := f.Invoke(t.Context(), in)
	require.ErrorIs(t, err, failed)
	_, err = only.Invoke(t.Context(), s)
	require.ErrorIs(t, err, failed)
	for name, in := range map[string]string{"f": payload, "only": `"` + value + `"`} {
		_, err = r.Invoke(t.Context(), name, []byte(in))
		require.ErrorIs(t, err, failed)
	}
	require.Equal(t, 4, ring.Len())
	for c := range ring.All() {
		hidden(t, c.State.String(), fmt.Sprintf("%+v", c))
		hidden(t, c.State.String(), string(c.Input))
		assert.Contains(t, string(c.Input), "[redacted]")
	}
}
